"""Simulated systems: series with a day and a week, noise that remembers itself, sampled by the hour."""

import numpy as np
import polars as pl
from scipy.signal import lfilter

from vedette.core.frames import POINTS

HOUR = 3_600_000_000
MONDAY = 1_767_571_200_000_000
WEEK = 168


def values(seed, series=100, weeks=12, rho=0.5, noise=1.0):
    """(series, hours): levels from 5 to 200, seasons of up to five deviations of the noise."""
    rng = np.random.default_rng(seed)
    hours = np.arange(weeks * WEEK)
    day, week = np.sin(2 * np.pi * hours / 24), (hours % WEEK >= 120).astype(float)
    drawn = lfilter([np.sqrt(1 - rho**2)], [1, -rho], rng.normal(size=(series, len(hours))))
    level, size, weekend = rng.uniform(5, 200, (series, 1)), *rng.uniform(0, 5, (2, series, 1))
    return level + size * day + weekend * week + noise * drawn


def points(x, hour=0):
    """Values (series, hours) from an hour on as POINTS."""
    series, hours = x.shape
    at = MONDAY + (hour + np.arange(hours)) * HOUR
    return pl.DataFrame({"series": np.repeat(np.arange(series), hours), "at": np.tile(at, series), "value": x.ravel()}).cast(POINTS)


def live(monitor, x, begin, step=1):
    """All signals while the hours from `begin` on pass by, `step` of them at a time."""
    told = []
    for hour in range(begin, x.shape[1], step):
        told += monitor.update(points(x[:, hour : hour + step], hour), MONDAY + (min(hour + step, x.shape[1])) * HOUR - 1)
    return told
