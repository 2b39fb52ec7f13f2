"""Clustering with and without labelled samples: numpy and scipy, no torch."""
