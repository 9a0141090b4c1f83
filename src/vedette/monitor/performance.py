"""How good a live model is, from what people and late labels say of it, and how good it must be from what it promised."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from vedette.core.errors import BadRecord
from vedette.core.types import Severity, Signal, State
from vedette.monitor.hours import hour_of
from vedette.monitor.settings import MonitorSettings
from vedette.monitor.statistics import Z95, echo, poisson, wilson
from vedette.monitor.told import Told

Array = np.ndarray[Any, Any]

WEEK_SECONDS: Final = 7 * 86_400.0
#: Figures of which more is better; of all others less is.
HIGHER: Final = frozenset({"precision", "recall", "accuracy", "macro_f1", "coverage"})
#: Bins of confidence, each with as many cases.
_BINS: Final = 20


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval, what it rests on in words, and how many cases that were."""

    value: float
    low: float
    high: float
    basis: str
    n: float


def precision(answers: pl.DataFrame, actor_share: float = 0.5) -> Estimate:
    """Share of incidents that people called real, by Wilson's interval.

    The last word on an incident counts. `known` says nothing of whether the model was right and is left out. One actor's answers
    count for at most `actor_share` of all, so nobody alone can make a model good or bad.

    Args:
        answers: columns `at`, `incident`, `verdict` (real | false | known), `actor`, in any order.
        actor_share: 0 to 1.

    Raises:
        BadRecord: a column is missing.

    >>> rows = [(1, "a", "false", "ann"), (2, "a", "real", "ann"), (3, "b", "real", "bob")]
    >>> told = precision(pl.DataFrame(rows, schema=["at", "incident", "verdict", "actor"], orient="row"))
    >>> told.value, round(told.low, 2), told.n
    (1.0, 0.34, 2.0)
    """
    last = _last_words(answers).filter(pl.col("verdict").is_in(["real", "false"]))
    by = last.group_by("actor").agg(n=pl.len().cast(pl.Float64), real=(pl.col("verdict") == "real").sum())
    bound = np.maximum(actor_share * last.height, 1.0)
    weight = np.minimum(1.0, bound / by["n"].to_numpy())
    total, real = float((weight * by["n"].to_numpy()).sum()), float((weight * by["real"].to_numpy()).sum())
    low, high = wilson(real, total)
    return Estimate(real / total if total else float("nan"), low, high, "operators' verdicts", total)


def false_alarms(answers: pl.DataFrame, seconds: float) -> Estimate:
    """Incidents a week that people called false, over a time of `seconds`, by Garwood's exact interval.

    Raises:
        BadRecord: a column is missing.
    """
    number = _last_words(answers).filter(pl.col("verdict") == "false").height
    weeks = max(seconds, 1.0) / WEEK_SECONDS
    low, high = poisson(number)
    return Estimate(number / weeks, low / weeks, high / weeks, "operators' verdicts", float(number))


def forecast_error(frame: pl.DataFrame) -> Estimate:
    """Mean absolute error of forecasts of which the truth has come.

    Args:
        frame: columns `at` (UTC), `value`, `yhat`; rows with a missing one are left out. Divide both by a scale first where
            series differ in size.

    Raises:
        BadRecord: a column is missing.
    """
    wanted = _need(frame, "at", "value", "yhat").drop_nulls(["value", "yhat"])
    return _hourly(wanted["at"], (wanted["value"] - wanted["yhat"]).abs())


def coverage(frame: pl.DataFrame) -> Estimate:
    """Share of values between `yhat_lower` and `yhat_upper`; see `forecast_error`.

    Raises:
        BadRecord: a column is missing.
    """
    wanted = _need(frame, "at", "value", "yhat_lower", "yhat_upper").drop_nulls(["value", "yhat_lower", "yhat_upper"])
    inside = wanted.select(pl.col("value").is_between("yhat_lower", "yhat_upper").cast(pl.Float64)).to_series()
    told = _hourly(wanted["at"], inside)
    return Estimate(told.value, max(told.low, 0.0), min(told.high, 1.0), told.basis, told.n)


def accuracy(predicted: pl.Series, actual: pl.Series) -> Estimate:
    """Share of classes that late labels confirm; rows without a label are left out.

    >>> accuracy(pl.Series(["a", "b"]), pl.Series(["a", None])).n
    1.0
    """
    right = (predicted == actual).drop_nulls()
    hits, total = float(right.sum()), float(len(right))
    low, high = wilson(hits, total)
    return Estimate(hits / total if total else float("nan"), low, high, "late labels", total)


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """How often a classifier was right at which confidence, where labels were known: what makes its confidence an estimate.

    Confidence-based performance estimation: with calibrated probabilities, the mean of the chance to be right is the expected
    accuracy, labels or not (the idea behind NannyML's CBPE; Garg et al., *Leveraging Unlabeled Data to Predict
    Out-of-Distribution Performance*, ICLR 2022, compare such estimates). It follows a shift of the input, not a change of what
    the classes mean: only labels show that.

    Attributes:
        confidence: mean of each bin, increasing; a bin holds about as many cases as any other.
        hits, count: right ones and all in each bin.

    >>> confidence = np.tile([0.6, 0.9], 500)
    >>> right = np.tile([1, 1, 0, 1, 1, 1, 0, 1, 1, 0], 100)
    >>> told = Reliability.of(confidence, right).expected(np.full(400, 0.9))
    >>> round(told.value, 2), told.low < 0.8 < told.high
    (0.8, True)
    """

    confidence: Array
    hits: Array
    count: Array

    @classmethod
    def of(cls, confidence: Array, right: Array) -> "Reliability":
        """Of the largest probability of each held-out case (n,) and whether the class was right (n,).

        Raises:
            ValueError: there is no case.
        """
        if len(confidence) == 0:
            raise ValueError("no held-out case to learn from how far a confidence can be trusted")
        edges = np.unique(np.quantile(confidence, np.arange(1, _BINS) / _BINS))
        place = np.searchsorted(edges, confidence, "left")
        _, place, count = np.unique(place, return_inverse=True, return_counts=True)
        means, hits = (np.bincount(place, weights=np.asarray(each, np.float64)) for each in (confidence, right))
        return cls(means / count, hits, count.astype(np.float64))

    def expected(self, confidence: Array) -> Estimate:
        """The accuracy to be expected of live cases by the largest probability of each (n,)."""
        n = len(confidence)
        if n == 0:
            return Estimate(float("nan"), 0.0, 1.0, "calibrated confidence", 0.0)
        overall = self.hits.sum() / self.count.sum()
        # A bin of few cases is worth as much as they are; one prior case holds the overall share.
        chance = (self.hits + overall) / (self.count + 1.0)
        # Between bins, and beyond them, what is moved by is the error of the confidence, not its level.
        value = float(np.clip(confidence + np.interp(confidence, self.confidence, chance - self.confidence), 0.0, 1.0).mean())
        place = np.searchsorted((self.confidence[1:] + self.confidence[:-1]) / 2.0, confidence)
        share, doubt = np.bincount(place, minlength=len(chance)) / n, chance * (1.0 - chance)
        half = Z95 * float(np.sqrt((share**2 * doubt / (self.count + 1.0)).sum() + (share * doubt).sum() / n))
        return Estimate(value, max(value - half, 0.0), min(value + half, 1.0), "calibrated confidence", float(n))

    def state(self) -> State:
        """Three arrays, which travel with the model."""
        return {"confidence": self.confidence, "hits": self.hits, "count": self.count}

    @classmethod
    def of_state(cls, state: State) -> "Reliability":
        """What `state` was taken from."""
        return cls(state["confidence"], state["hits"], state["count"])


class PerformanceMonitor:
    """Says when a live figure is surely worse than what the model's card promised: its whole interval must lie beyond.

    Args:
        promised: figure -> value, as on the card: `precision`, `coverage`, `accuracy`, `mae`, `false_alarms_week`, ...
        settings: thresholds.
        subject: what it is about, as `NAME@VERSION`.

    >>> monitor = PerformanceMonitor({"precision": 0.9})
    >>> [signal.reason for signal in monitor.update({"precision": Estimate(0.5, 0.4, 0.6, "operators' verdicts", 80.0)}, 0)]
    ["precision 0.5 (0.4 to 0.6, 80 cases by operators' verdicts), promised 0.9"]
    """

    def __init__(self, promised: Mapping[str, float], settings: MonitorSettings | None = None, subject: str = "model") -> None:
        self.promised = dict(promised)
        self.settings = settings or MonitorSettings()
        self.subject = subject
        self._ratio: dict[str, float] = {}
        self._told = Told(self.settings.again_seconds, self.settings.worse)

    def update(self, estimates: Mapping[str, Estimate], at: int) -> tuple[Signal, ...]:
        """Live figures by name at `at` (UTC microseconds); those that were never promised are not judged."""
        return self._told.new(self._found(estimates, at))

    def gauges(self) -> dict[str, float]:
        """Of each promised figure, live over promised."""
        return dict(self._ratio)

    def state(self) -> State:
        """What was told."""
        return self._told.state()

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from."""
        self._told.load(state)

    def _found(self, estimates: Mapping[str, Estimate], at: int) -> Iterator[tuple[Signal, float]]:
        for name, told in estimates.items():
            promise = self.promised.get(name)
            if promise is None or told.n < self.settings.least or not np.isfinite(told.value):
                continue
            self._ratio[name] = told.value / promise if promise else 0.0
            slack = self.settings.tolerance * abs(promise)
            worse = promise - told.high > slack if name in HIGHER else told.low - promise > slack
            if worse:
                yield self._worse(name, told, promise, at), abs(told.value - promise) / max(abs(promise), 1e-12)

    def _worse(self, name: str, told: Estimate, promise: float, at: int) -> Signal:
        basis = f"{told.low:.3g} to {told.high:.3g}, {told.n:.0f} cases by {told.basis}"
        reason = f"{name} {told.value:.3g} ({basis}), promised {promise:.3g}"
        severity: Severity = "warning" if told.basis == "calibrated confidence" else "critical"
        advice = "Roll back if the version before it kept its promise; else retrain, with these cases among its tests."
        return Signal(at, name, self.subject, severity, reason, advice)


def _last_words(answers: pl.DataFrame) -> pl.DataFrame:
    return _need(answers, "at", "incident", "verdict", "actor").sort("at", maintain_order=True).unique("incident", keep="last")


def _need(frame: pl.DataFrame, *names: str) -> pl.DataFrame:
    missing = next((name for name in names if name not in frame.columns), None)
    if missing is not None:
        raise BadRecord(f"expected a column of this name, got {frame.columns}", field=missing)
    return frame


def _hourly(at: pl.Series, value: pl.Series) -> Estimate:
    """The mean of hourly means with Student's interval; neighbouring hours are alike, so fewer of them count.

    Series of the same hour share its fate, so an hour counts as one however many series there are.
    """
    sound = pl.DataFrame({"hour": hour_of(at.dt.timestamp("us").to_numpy()), "value": value}).filter(pl.col("value").is_finite())
    hours = sound.group_by("hour").agg(pl.col("value").mean()).sort("hour")["value"].to_numpy()
    if len(hours) == 0:
        return Estimate(float("nan"), -np.inf, np.inf, "late truth", 0.0)
    from scipy.special import stdtrit

    alike = float(echo(hours))
    size = max(len(hours) * (1.0 - alike) / (1.0 + alike), 1.0)
    deviation = float(hours.std(ddof=1)) / np.sqrt(size) if len(hours) > 1 else np.inf
    half = float(stdtrit(max(size - 1.0, 1.0), 0.975)) * deviation
    mean = float(hours.mean())
    return Estimate(mean, mean - half, mean + half, "late truth", float(len(hours)))
