"""Training: one loop that knows no family, its optimizer, averages, checkpoints and presets."""
