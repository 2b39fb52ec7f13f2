"""Clustering with and without labelled samples: numpy, faiss and scipy, no torch."""
