"""Settings of the whole suite."""

from hypothesis import settings

# How long an example takes depends on what else this machine does: no test fails for that.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
