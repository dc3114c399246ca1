"""Rendered worlds whose truth is known: scenes, the renderer, captions and detectors."""
