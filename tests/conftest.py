"""What all tests share."""

import pytest
import structlog
from hypothesis import settings

from vedette.app import kernels

# How long an example takes says more of the machine than of the code.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")


def pytest_configure(config):
    """Compile once what every process of every test would otherwise compile for itself, and be large from it."""
    if not hasattr(config, "workerinput"):
        for part in kernels.stale():
            kernels.compile_part(part)


@pytest.fixture(autouse=True)
def _no_log_of_another_test():
    """What a test configured writes to its own captured stderr, which is closed when it ends."""
    yield
    structlog.reset_defaults()
