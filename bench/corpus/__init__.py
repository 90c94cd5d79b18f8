"""Utterances on disk: the manifest and its truth, decoding, envelopes, annotation, upkeep."""
