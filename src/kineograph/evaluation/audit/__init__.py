"""Fairness audits: what a model shows when a prompt leaves it open, and whether groups are served alike."""
