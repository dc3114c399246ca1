"""Training data: shards of clips on disk, where they come from, and batches drawn from them by step."""
