"""Settings that hold for every test."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # speed is for the benchmarks
settings.load_profile("untimed")
