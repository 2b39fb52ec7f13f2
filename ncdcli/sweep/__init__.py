"""Sweeps: one recipe over seeds and a grid of values, run side by side and summed up in one table."""
