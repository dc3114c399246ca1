"""Corpora of what strangers might send, built on the spot and from a seed, and how one looks on."""
