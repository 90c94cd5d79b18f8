"""A run on disk: its folder, its provenance, its append-only log, and the seal."""
