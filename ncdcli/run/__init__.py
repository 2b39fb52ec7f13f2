"""The run folder: layout, manifests, lock, journal."""
