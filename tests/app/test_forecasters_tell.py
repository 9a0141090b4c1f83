"""A forecaster tells how old it is, and how often what came was outside its bounds."""

import numpy as np
import polars as pl

from vedette.app.timelapse import Timelapse
from vedette.config import Config
from vedette.core.document import read
from vedette.core.frames import METRICS, SERIES, from_rows
from vedette.core.types import Delivery
from vedette.testing.simulation import HOUR, START

DECLARED = """
models:
  load:
    family: forecasts
    window_days: 20
    horizon: 6
    retrain: {automatic: false}
    gates: [{metric: mase, max_absolute: 9}, {metric: coverage_80, min_absolute: 0, max_absolute: 1}]
"""


def hours(between, far=0.0):
    """A value an hour with a daily season and noise; `far` from where it ought to be."""
    noise = np.random.default_rng(between.start).normal(size=len(between))
    values = 50 + 20 * np.sin(2 * np.pi * np.array(between) / 24) + noise + far
    at = [START + each * HOUR for each in between]
    rows = pl.DataFrame({"series": 7, "at": at, "value": values}).cast(METRICS)
    return Delivery("test", {"series": from_rows([(7, "load", {}, "gauge", "")], SERIES), "metrics": rows})


def live(running, between, far=0.0):
    for hour in between:
        running.beat(START + hour * HOUR, hours(range(hour, hour + 1), far))
        running.tick()


def test_the_drift_of_a_forecaster_is_how_often_what_came_was_outside_its_bounds(tmp_path):
    with Timelapse(read(DECLARED, Config), tmp_path / "home") as running:
        running.beat(START + 400 * HOUR, hours(range(400)))
        running.train("load", "the first")
        assert running.loop.deployments.standing("load").champion == 1, running.loop.deployments.decisions("load")[0].reason
        live(running, range(401, 404))
        assert running.loop.gauges()["load"]["age_seconds"] > 0
        live(running, range(404, 412))
        assert running.loop.gauges()["load"]["drift_bounds"] < 2
        live(running, range(412, 436), far=60.0)
        assert running.loop.gauges()["load"]["drift_bounds"] > 2
