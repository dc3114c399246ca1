"""Settings that hold for every test."""

import signal

from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # speed is for the benchmarks
settings.load_profile("untimed")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as where a shell started the tests in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
