"""Settings of all tests."""

from hypothesis import settings

# The first example of a test may compile machine code (numba), so none has a deadline.
settings.register_profile("zeroskip", deadline=None)
settings.load_profile("zeroskip")
