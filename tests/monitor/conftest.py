import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def simulated():
    """The file of simulated systems beside this one; tests are found by path, so it cannot be imported by name."""
    spec = importlib.util.spec_from_file_location("simulated", Path(__file__).with_name("simulated.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
