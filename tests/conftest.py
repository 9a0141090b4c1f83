"""What all tests share."""

import pytest
import structlog
from hypothesis import settings

# How long an example takes says more of the machine than of the code.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")


@pytest.fixture(autouse=True)
def _no_log_of_another_test():
    """What a test configured writes to its own captured stderr, which is closed when it ends."""
    yield
    structlog.reset_defaults()
