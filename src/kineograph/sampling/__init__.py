"""Sampling: noise, schedules, solvers and guidance, as functions of a callable. None knows an architecture.

Flow time runs from 0 (noise) to 1 (data): z = t x + (1 - t) e, velocity v = dz/dt = x - e.
"""
