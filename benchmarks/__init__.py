"""What the project costs on this machine: `python -m benchmarks`."""
