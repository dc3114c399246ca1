"""The families against one another: the same clips, the same time, the same ruler."""
