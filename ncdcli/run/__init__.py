"""The run folder: its layout, manifests, provenance, journal and lock."""
