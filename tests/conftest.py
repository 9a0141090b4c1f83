"""What all tests share: how long an example of hypothesis takes says more of the machine than of the code."""

from hypothesis import settings

settings.register_profile("shared", deadline=None)
settings.load_profile("shared")
