import subprocess
import sys

import vedette


def test_the_door_has_what_it_says_and_each_leads_somewhere():
    assert vedette.__all__ == sorted(vedette.__all__)
    assert all(getattr(vedette, name) is not None for name in vedette.__all__)


def test_what_is_not_there_is_told():
    assert not hasattr(vedette, "forecast_the_lottery")


def test_the_door_itself_is_light():
    script = "import sys, vedette, vedette.cli; sys.exit('polars' in sys.modules or 'numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
