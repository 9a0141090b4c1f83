"""A report as a candidate would get it, made up."""

import numpy as np
import polars as pl

from vedette.core.types import Finding
from vedette.validate.charts import Bars, Curve, Lines, Reliability
from vedette.validate.gates import DEFAULT_GATES, judge
from vedette.validate.intervals import poisson, wilson
from vedette.validate.report import Figure, Report

CANDIDATE = {
    "event_f1": 0.738,
    "event_recall": 0.68,
    "false_alarms_per_series_week": 1.42,
    "must_catch_recall": 0.86,
    "worst_group_recall": 0.41,
    "null_share": 0.04,
    "microseconds_per_point": 0.31,
    "memory_bytes_per_series": 992.0,
}
CHAMPION = CANDIDATE | {"event_f1": 0.701, "false_alarms_per_series_week": 0.88, "event_recall": 0.69}


def sample(name="checkout-latency@7"):
    rng = np.random.default_rng(0)
    day = 86_400_000_000
    at = 1_700_000_000_000_000 + np.arange(56) * day
    rate = 0.9 + 0.3 * np.sin(np.arange(56) / 5) + rng.normal(0, 0.1, 56)
    recall = np.linspace(0.02, 0.95, 60)
    intervals = {"event_recall": wilson(136, 200), "false_alarms_per_series_week": poisson(142, 100.0)}
    return Report(
        title=name,
        facts={
            "model": "anomalies, kind envelope, trained 2026-11-21 04:00 UTC by policy",
            "dataset": "payments@12, 31 days, 1,204 series, 4 outages left out",
            "judged on": "2026-11-14 to 2026-11-28, a day's gap behind the training set",
            "champion": "checkout-latency@6",
            "digest": "2f6d1c0b8a7e4f5f9a3f1f0b2f9f1c77",
        },
        findings=(
            *judge(CANDIDATE, CHAMPION, DEFAULT_GATES["anomalies"]),
            Finding("scores_finite", True, "0 of 2,419,200 scores", "none is NaN or infinite", "Every score is a number."),
            Finding(
                "must_catch",
                False,
                "11 of 14 outages caught",
                "50 % of every kind",
                "Missed: error plateau (0 of 3 caught). What hurt once, and would not be noticed now, is no progress.",
            ),
        ),
        figures=tuple(Figure(key, value, intervals.get(key), CHAMPION[key]) for key, value in CANDIDATE.items()),
        groups=pl.DataFrame(
            {
                "group": ["checkout", "database", "ingress", "search"],
                "series": [312, 88, 402, 402],
                "event_recall": [0.71, 0.41, 0.66, None],
                "false_alarms_per_series_week": [1.1, 3.2, 0.8, 1.6],
            }
        ),
        charts=(
            Lines(
                "False alarms a series-week, day by day",
                "The band holds 95 per cent; the champion is dashed.",
                at.tolist(),
                {"candidate": rate.tolist(), "champion": (rate * 0.8).tolist()},
                (rate - 0.25).tolist(),
                (rate + 0.25).tolist(),
                time=True,
            ),
            Curve(
                "Precision and recall of events",
                "The ring is the threshold in use.",
                recall.tolist(),
                (1 - 0.75 * recall**4).tolist(),
                (0.68, 1 - 0.75 * 0.68**4),
            ),
            Bars(
                "Recall by kind of outage",
                "The mark is the champion's.",
                {"spike": 0.93, "dip": 0.82, "level shift": 0.78, "slow leak": 0.06, "error plateau": 0.0},
                {"error plateau": "0 of 3"},
                {"spike": 0.9, "dip": 0.84, "level shift": 0.8, "slow leak": 0.1, "error plateau": 1.0},
            ),
            Reliability(
                "Do probabilities mean what they say?",
                "On the diagonal they do; larger dots are more answers.",
                [0.1, 0.3, 0.5, 0.7, 0.95],
                [0.15, 0.26, 0.55, 0.74, 0.93],
                [20, 35, 60, 120, 400],
            ),
        ),
        notes=("Each point was scored before it was learnt.", "False alarms come in swarms: the true interval is a little wider."),
    )
