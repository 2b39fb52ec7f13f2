"""Tuning without novel labels: known classes are hidden, fold by fold, and what finds them best is kept."""
