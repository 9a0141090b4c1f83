"""Figures that need no threshold: how well a score ranks what was wrong before what was not."""

import math
from itertools import pairwise
from typing import Any, Final

import numpy as np
import polars as pl
from numba import njit

from vedette.validate.counting import edges_of, from_labels

Array = np.ndarray[Any, Any]

BUFFER: Final = 100
THRESHOLDS: Final = 250


def auc_pr(at: Array, series: Array, score: Array, label: Array) -> float:
    """Area under the precision-recall curve of points (average precision): the mean over series that have an anomaly.

    Points of one score are taken together. NaN scores are never found. Arguments and errors as for `counting.events`; NaN where no
    series has an anomaly.

    >>> auc_pr(np.arange(4), np.zeros(4, np.int64), np.array([0.1, 0.9, 0.8, 0.2]), np.array([0, 1, 0, 1]))
    0.8333333333333333
    """
    edges = edges_of(at, series, score, label)
    wrong = np.asarray(label) != 0
    areas = [_average_precision(score[low:high], wrong[low:high]) for low, high in pairwise(edges) if wrong[low:high].any()]
    return float(np.mean(areas)) if areas else math.nan


def vus_pr(at: Array, series: Array, score: Array, label: Array, buffer: int = BUFFER, thresholds: int = THRESHOLDS) -> float:
    """Volume under the surface of precision and recall: the mean over series that have an anomaly.

    The label of an event fades on either side over half a buffer, for each buffer of 0 to `buffer` points, so that a score is not
    punished for being a little early or late (Paparrizos et al., *Volume Under the Surface*, VLDB 2022). Scores evenly spaced
    by rank serve as `thresholds`. NaN scores are never found. Other arguments and errors as for `counting.events`.

    >>> label = np.repeat([0, 1, 0], [40, 10, 50])
    >>> round(vus_pr(np.arange(100), np.zeros(100, np.int64), label * 1.0, label), 3)
    1.0
    """
    edges = edges_of(at, series, score, label)
    wrong = np.asarray(label) != 0
    volumes = [
        _volume(np.ascontiguousarray(score[low:high], np.float64), wrong[low:high], buffer, thresholds)
        for low, high in pairwise(edges)
        if wrong[low:high].any()
    ]
    return float(np.mean(volumes)) if volumes else math.nan


def sweep(at: Array, series: Array, score: Array, label: Array, thresholds: Array) -> pl.DataFrame:
    """The event figures at each of `thresholds`, to see what another one would have cost.

    Returns:
        `threshold, event_precision, event_recall, event_f1, event_f1_prompt, delay_points, false_alarms_per_series_week`.
    """
    totals = [from_labels(at, series, score, label, float(each)).total for each in thresholds]
    return pl.DataFrame([{"threshold": float(t), **total.metrics()} for t, total in zip(thresholds, totals, strict=True)])


def _average_precision(score: Array, wrong: Array) -> float:
    said = ~np.isnan(score)
    order = np.argsort(-score[said], kind="stable")
    ranked, found = score[said][order], np.cumsum(wrong[said][order])
    ends = np.flatnonzero(np.r_[ranked[1:] != ranked[:-1], True]) if len(ranked) else np.zeros(0, np.int64)
    recall, precision = found[ends] / wrong.sum(), found[ends] / (ends + 1)
    return float(np.sum(np.diff(np.r_[0.0, recall]) * precision))


def _volume(score: Array, wrong: Array, buffer: int, thresholds: int) -> float:
    ranked = -np.sort(-score[~np.isnan(score)])
    if len(ranked) == 0:
        return 0.0
    cuts = ranked[np.linspace(0, len(ranked) - 1, thresholds).astype(np.int64)]
    # At which threshold each point is first told: scores at or above a cut are.
    told = np.where(np.isnan(score), thresholds, np.searchsorted(-cuts, -score, "left"))
    begins = np.flatnonzero(np.diff(np.r_[False, wrong].astype(np.int8)) == 1)
    ends = np.flatnonzero(np.diff(np.r_[wrong, False].astype(np.int8)) == -1) + 1
    return float(np.mean(_areas(told, wrong, begins, ends, buffer, thresholds)))


@njit(cache=True, nogil=True)
def _soften(soft: Array, wrong: Array, begins: Array, ends: Array, buffer: int) -> None:
    """Write what each point around the events is worth: 1 inside, fading with the distance outside."""
    count = len(soft)
    for event in range(len(begins)):
        for row in range(begins[event], ends[event]):
            soft[row] = 1.0
        for distance in range(1, buffer // 2 + 1):
            worth = math.sqrt(1.0 - distance / buffer)
            after, before = ends[event] - 1 + distance, begins[event] - distance
            if after < count and not wrong[after]:
                soft[after] = min(1.0, soft[after] + worth)
            if before >= 0 and not wrong[before]:
                soft[before] = min(1.0, soft[before] + worth)


@njit(cache=True, nogil=True)
def _areas(told: Array, wrong: Array, begins: Array, ends: Array, buffer: int, thresholds: int) -> Array:
    """The area under the curve for each buffer: float64 of shape (buffer + 1,).

    A point that is told at a threshold is told at all lower ones, so what is told at each is a running sum over the thresholds at
    which points are first told.
    """
    count = len(told)
    alarms = np.zeros(thresholds + 1)
    for row in range(count):
        alarms[told[row]] += 1.0
    areas = np.zeros(buffer + 1)
    soft = np.zeros(count)
    for width in range(buffer + 1):
        hits, faded, firsts = np.zeros(thresholds + 1), np.zeros(thresholds + 1), np.zeros(thresholds + 1)
        for event in range(len(begins)):
            for row in range(max(0, begins[event] - width), min(count, ends[event] + width)):
                soft[row] = 0.0
        _soften(soft, wrong, begins, ends, width)
        inside, stretches, row, half = 0.0, 0, 0, width // 2
        for event in range(len(begins)):
            low, high = max(0, begins[event] - half), min(count, ends[event] + half)
            # Where the surroundings of two events touch they are one stretch, found by any alarm in it.
            if event == 0 or low >= row:
                stretches += 1
                row, first = low, thresholds
            else:
                firsts[first] -= 1.0
            inside += ends[event] - begins[event]
            for each in range(row, high):
                hits[told[each]] += soft[each]
                if not wrong[each]:
                    faded[told[each]] += soft[each]
                first = min(first, told[each])
            row = max(row, high)
            firsts[first] += 1.0
        hit = blur = stretch = alarm = before = 0.0
        for k in range(thresholds):
            hit, blur, stretch, alarm = hit + hits[k], blur + faded[k], stretch + firsts[k], alarm + alarms[k]
            recall = min(hit / (inside + blur / 2.0), 1.0) * stretch / stretches
            if alarm > 0.0:
                areas[width] += (recall - before) * hit / alarm
            before = recall
    return areas
