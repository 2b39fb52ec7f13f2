"""Backbones: one embedding per sample."""
