"""Captions to numbers: a closed vocabulary and a small encoder."""
