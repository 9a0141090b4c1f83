import subprocess
import sys
from datetime import UTC, datetime, timedelta

import polars as pl

import vedette


def test_the_door_has_what_it_says_and_each_leads_somewhere():
    assert vedette.__all__ == sorted(vedette.__all__)
    assert all(getattr(vedette, name) is not None for name in vedette.__all__)


def test_the_door_is_these_names_and_no_others():
    workbench = {"score", "templates", "forecast", "classify", "drift"}
    errors = {"VedetteError", "BadRecord", "ConfigError", "NotFound", "Rejected", "Tampered", "Transient"}
    nouns = {"Batch", "Beat", "Checkpoint", "Delivery", "Fault", "Finding", "Position", "Settings", "series_id"}
    ports = {"Model", "Source", "Stateful"}
    assert set(vedette.__all__) == workbench | errors | nouns | ports | {"__version__"}


def test_the_workbench_is_functions_on_frames():
    start = datetime(2026, 11, 20, tzinfo=UTC)
    times = [start + timedelta(minutes=minute) for minute in range(100)]
    frame = pl.DataFrame({"series": "a", "timestamp": times, "value": [minute % 5.0 for minute in range(99)] + [900.0]})
    scores = vedette.score(frame)["anomaly_score"]
    assert scores[0] is None
    assert scores[-1] > 1
    assert vedette.templates(pl.DataFrame({"line": ["took 12 ms", "took 7 ms"]}))["template"].n_unique() == 1


def test_what_is_not_there_is_told():
    assert not hasattr(vedette, "forecast_the_lottery")


def test_the_door_itself_is_light():
    script = "import sys, vedette, vedette.cli; sys.exit('polars' in sys.modules or 'numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
