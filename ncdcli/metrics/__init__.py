"""Matching of clusters to classes and the scores of the field's protocols."""
