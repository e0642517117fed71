"""Settings of the whole suite."""

import signal

from hypothesis import settings

# A shell starts what it puts in the background deaf to Ctrl-C, which some tests press.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes depends on what else this machine does: no test fails for that.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
