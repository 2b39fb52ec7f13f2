"""Pretraining losses by kind."""
