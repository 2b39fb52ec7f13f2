"""Estimators of the number of classes."""
