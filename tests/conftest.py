"""Settings that hold for every test."""

import os
import signal
import tempfile

from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # speed is for the benchmarks
settings.load_profile("untimed")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as where a shell started the tests in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Keys to sign with are made for the tests, and never in the home of whoever runs them.
_HOME = tempfile.TemporaryDirectory(prefix="kineograph-tests-")
os.environ["KINEO_HOME"] = _HOME.name
