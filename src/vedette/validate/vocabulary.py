"""What each figure is called, which way is better, how it is written, and why it matters: the words of gates and reports."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple


class Metric(NamedTuple):
    """A figure in words.

    Attributes:
        title: its name to a person.
        better: which way; None where neither is, and for what is not known.
        why: what it means to be on the wrong side, one sentence.
        unit: `share` (written as a percentage), `bytes`, or what is written behind the number.
    """

    title: str
    better: Literal["higher", "lower"] | None
    why: str
    unit: str = ""

    @property
    def higher_is_better(self) -> bool | None:
        """Which way is better, as gates ask for it."""
        return None if self.better is None else self.better == "higher"


METRICS: Final[Mapping[str, Metric]] = MappingProxyType(
    {
        "event_precision": Metric("precision of events", "higher", "People stop looking at alarms that are mostly wrong.", "share"),
        "event_recall": Metric("recall of events", "higher", "An outage that is not found is told by customers.", "share"),
        "event_f1": Metric("event F1", "higher", "It weighs outages missed against false alarms, each outage counted once."),
        "event_f1_prompt": Metric("event F1 within 8 points", "higher", "An outage found late is an outage that hurt."),
        "event_f1_weighted": Metric("event F1 by cost", "higher", "It weighs misses and false alarms by what they cost here."),
        "must_catch_recall": Metric(
            "recall of must-catch outages", "higher", "What was caught once must not be missed again.", "share"
        ),
        "worst_group_recall": Metric(
            "recall in the worst group", "higher", "A good mean must not hide a group left unwatched.", "share"
        ),
        "false_alarms_per_series_week": Metric(
            "false alarms a series-week", "lower", "Each one wakes somebody for nothing, and teaches them not to look."
        ),
        "delay_points": Metric("delay of detection", "lower", "A warning is worth what it comes ahead.", "points"),
        "vus_pr": Metric("VUS-PR", "higher", "It says how well the score ranks what was wrong, at any threshold."),
        "auc_pr": Metric("AUC-PR", "higher", "It says how well the score ranks wrong points, at any threshold."),
        "nab_standard": Metric("NAB score", "higher", "It rewards being early within a window, and punishes noise."),
        "nab_low_fp": Metric("NAB score, low FP", "higher", "The same, where noise costs twice."),
        "nab_low_fn": Metric("NAB score, low FN", "higher", "The same, where a miss costs twice."),
        "null_share": Metric("points without an answer", "lower", "A model that says nothing watches nothing.", "share"),
        "microseconds_per_point": Metric("time a point", "lower", "A slow model falls behind the stream.", "µs"),
        "memory_bytes_per_series": Metric("memory a series", "lower", "It bounds how many series one machine can watch.", "bytes"),
        "mase": Metric("MASE", "lower", "Above 1, repeating the last season would have done better."),
        "smape": Metric("sMAPE", "lower", "It is the error in per cent of the size of what came.", "share"),
        "wql": Metric("weighted quantile loss", "lower", "It judges the whole forecast, its bounds included."),
        "pinball": Metric("pinball loss", "lower", "It judges the bounds in the unit of the series."),
        "coverage_80": Metric("coverage of the 80 % bounds", None, "Bounds that hold too little or too much mislead.", "share"),
        "coverage_95": Metric("coverage of the 95 % bounds", None, "Bounds that hold too little or too much mislead.", "share"),
        "accuracy": Metric("accuracy", "higher", "It is the share of right answers; large classes decide it.", "share"),
        "macro_f1": Metric("macro-F1", "higher", "Every class counts the same, the rare ones too."),
        "balanced_accuracy": Metric(
            "balanced accuracy", "higher", "It is the recall of a class, in the mean of the classes.", "share"
        ),
        "worst_class_recall": Metric(
            "recall of the worst class", "higher", "A good mean must not hide a class never found.", "share"
        ),
        "calibration_error": Metric(
            "calibration error", "lower", "People act on probabilities; they must mean what they say.", "share"
        ),
        "mean_cost": Metric("cost of an answer", "lower", "It is what the errors cost, by the prices declared."),
    }
)


#: What the checks that are no figures are called.
CHECKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "arity": "one answer a point",
        "causal": "no look ahead",
        "fairness": "no group left behind",
        "golden_drift": "near the golden baseline",
        "latency": "time a point against the champion",
        "must_catch": "every kind of outage caught",
        "order_of_columns": "order of columns does not matter",
        "order_of_series": "order of series does not matter",
        "scores_finite": "scores are numbers",
        "scores_vary": "scores differ",
        "source_share": "no source dominates",
    }
)


def titled(name: str) -> str:
    """What a check or a figure is called.

    >>> titled("causal"), titled("wql")
    ('no look ahead', 'weighted quantile loss')
    """
    return CHECKS.get(name) or metric(name).title


def metric(name: str) -> Metric:
    """The figure of that name; an unknown one speaks for itself.

    >>> metric("cache_hits").title
    'cache hits'
    """
    return METRICS.get(name) or Metric(name.replace("_", " "), None, "It was declared to matter.")


def written(name: str, value: float) -> str:
    """A figure as a person reads it.

    >>> written("event_recall", 0.8125), written("memory_bytes_per_series", 2048.0), written("mase", 1.23456)
    ('81.2 %', '2.0 KiB', '1.23')
    """
    if math.isnan(value):
        return "not measured"
    if math.isinf(value):
        return "without bound"
    unit = metric(name).unit
    if unit == "share":
        return f"{_digits(100.0 * value)} %"
    return _bytes(value) if unit == "bytes" else f"{_digits(value)} {unit}".rstrip()


def _digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000.0 else f"{value:.3g}"


def _bytes(value: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if abs(value) < 1024.0 or unit == "GiB":
            return f"{value:.0f} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024.0
    raise AssertionError
