"""Drift of what a model says: how much it calls anomalous, and how its scores are spread."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from vedette.core.frames import VERDICTS, conform
from vedette.core.types import Signal, State
from vedette.monitor.hours import DAY, hour_of
from vedette.monitor.settings import MonitorSettings
from vedette.monitor.statistics import stability
from vedette.monitor.told import Told

Array = np.ndarray[Any, Any]

#: Bounds of the bins of scores, half an octave each; 1, beyond which a score is anomalous, is one of them.
EDGES: Final = 2.0 ** (np.arange(21) / 2.0 - 6.0)
_SCORES: Final = len(EDGES) + 1
_ONE: Final = 13
#: After the bins of scores: still learning (null), and no number.
_NULL, _NAN = _SCORES, _SCORES + 1
_BINS: Final = _SCORES + 2


@dataclass(frozen=True, slots=True, eq=False)
class ScoreBaseline:
    """How the scores of a model were spread where it was judged: `counts` (24, bins) by hour of the day, UTC."""

    counts: Array

    @classmethod
    def of(cls, verdicts: pl.DataFrame) -> "ScoreBaseline":
        """Of VERDICTS in any order, such as those of the replay that a version was judged by.

        Raises:
            TypeError: the columns are not those of VERDICTS.
        """
        hour, place, _ = _binned(conform(verdicts, VERDICTS))
        return cls(_tally(hour % DAY, place))

    def state(self) -> State:
        """The counts."""
        return {"counts": self.counts}

    @classmethod
    def of_state(cls, state: State) -> "ScoreBaseline":
        """What `state` was taken from."""
        return cls(state["counts"])


class PredictionMonitor:
    """Says when a model speaks otherwise than when it was judged: the last day against the same hours of the day.

    `anomalies`: in at least half of the hours of a day it called far more anomalous than usual, which is no incident, it is a
    model that lost touch. `scores`: the population stability index of all scores. `silence`: too many scores are null, not
    a number, or all the same.

    Args:
        baseline: of the replay by which it was judged; without one only silence is told.
        settings: thresholds.
        subject: what it is about, as `NAME@VERSION`.
    """

    def __init__(self, baseline: ScoreBaseline | None, settings: MonitorSettings | None = None, subject: str = "model") -> None:
        self.baseline = baseline
        self.settings = settings or MonitorSettings()
        self.subject = subject
        self._counts = np.zeros((DAY, _BINS))
        self._range = np.tile([np.inf, -np.inf], (DAY, 1))
        self._hour = -1
        self._shares = np.zeros(4)
        self._told = Told(self.settings.again_seconds, self.settings.worse)

    def update(self, verdicts: pl.DataFrame, at: int) -> tuple[Signal, ...]:
        """Take VERDICTS of this model at `at` (UTC microseconds); they count for the hour in which they arrive.

        Raises:
            TypeError: the columns are not those of VERDICTS.
        """
        conform(verdicts, VERDICTS)
        now, before = int(hour_of(at)), self._hour
        found: tuple[Signal, ...] = ()
        if now > before:
            found = self._told.new(self._found(at)) if before >= 0 else ()
            gone = np.arange(max(before + 1, now - DAY + 1), now + 1) % DAY
            self._counts[gone], self._range[gone], self._hour = 0.0, (np.inf, -np.inf), now
        if not verdicts.is_empty():
            _, place, scores = _binned(verdicts)
            slot = now % DAY
            self._counts[slot] += np.bincount(place, minlength=_BINS)
            finite = scores[np.isfinite(scores)]
            low, high = self._range[slot]
            self._range[slot] = min(low, finite.min(initial=np.inf)), max(high, finite.max(initial=-np.inf))
        return found

    def gauges(self) -> dict[str, float]:
        """Of the last day: share of anomalous verdicts, stability index of scores, shares that are null and no number."""
        return dict(zip(("anomalies", "scores", "null", "nan"), self._shares.tolist(), strict=True))

    def state(self) -> State:
        """A day by the hour, and what was told; views."""
        hour = np.array([self._hour], np.int64)
        return {"counts": self._counts, "range": self._range, "hour": hour, "shares": self._shares, **self._told.state()}

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from."""
        self._counts, self._range, self._shares = (state[name].copy() for name in ("counts", "range", "shares"))
        self._hour = int(state["hour"][0])
        self._told.load(state)

    def _found(self, at: int) -> Iterator[tuple[Signal, float]]:
        total = self._counts.sum()
        if total < self.settings.verdicts:
            return
        null, nan = self._counts[:, _NULL].sum() / total, self._counts[:, _NAN].sum() / total
        scored = self._counts[:, :_SCORES].sum()
        share, index, odd = self._counts[:, _ONE:_SCORES].sum() / max(scored, 1.0), 0.0, 0
        usual = 0.0
        if self.baseline is not None and scored >= self.settings.verdicts:
            expected = self._expected(self.baseline.counts)
            usual = expected[:, _ONE:].sum() / max(expected.sum(), 1e-12)
            index = stability(expected.sum(axis=0), self._counts[:, :_SCORES].sum(axis=0))
            odd = self._odd_hours(expected)
        self._shares = np.array([share, index, null, nan])
        yield from self._silence(null, nan, scored, at)
        if odd >= DAY // 2:
            yield self._anomalous(share, usual, odd, at), share
        elif index >= self.settings.psi and (total - self._counts[:, _NULL].sum()) >= self.settings.verdicts:
            yield self._spread(index, at), index

    def _expected(self, counts: Array) -> Array:
        """As many scores as there are in each hour, spread as in that hour of the baseline, or in all of it where that had none."""
        scores = counts[:, :_SCORES]
        own, overall = scores.sum(axis=1, keepdims=True), scores.sum(axis=0) / max(scores.sum(), 1.0)
        spread = np.where(own >= self.settings.least, scores / np.maximum(own, 1.0), overall)
        return np.asarray(self._counts[:, :_SCORES].sum(axis=1, keepdims=True) * spread)

    def _odd_hours(self, expected: Array) -> int:
        number = np.maximum(expected.sum(axis=1), 1.0)
        live, usual = self._counts[:, _ONE:_SCORES].sum(axis=1) / number, expected[:, _ONE:].sum(axis=1) / number
        return int((live >= np.maximum(self.settings.anomalies * usual, usual + self.settings.anomalies_least)).sum())

    def _silence(self, null: float, nan: float, scored: float, at: int) -> Iterator[tuple[Signal, float]]:
        low, high = self._range[:, 0].min(), self._range[:, 1].max()
        if nan >= self.settings.nan_share:
            reason, size = f"{nan:.1%} of the scores of the last day are no number", nan
        elif null >= self.settings.null_share and self.baseline is not None:
            reason, size = f"{null:.0%} of the verdicts of the last day are null: the model does not know these series", null
        elif scored >= self.settings.verdicts and low == high:
            reason, size = f"all {scored:.0f} scores of the last day are {low:.4g}", 1.0
        else:
            return
        advice = "A model that says nothing warns nobody: roll back to the last version that spoke, then look at its input."
        yield Signal(at, "silence", self.subject, "critical", reason, advice), size

    def _anomalous(self, share: float, usual: float, odd: int, at: int) -> Signal:
        reason = f"{share:.1%} of verdicts are anomalous, {usual:.1%} is usual at these hours; in {odd} of the last {DAY} it was so"
        advice = "If there was no incident all day, the model has lost touch: retrain it on recent data."
        return Signal(at, "anomalies", self.subject, "warning", reason, advice)

    def _spread(self, index: float, at: int) -> Signal:
        reason = (
            f"scores are spread otherwise than when the model was judged: stability index {index:.2f}, over {self.settings.psi:g}"
        )
        advice = "Compare its input with the golden baseline; if the input is sound, retrain."
        return Signal(at, "scores", self.subject, "warning", reason, advice)


def _binned(verdicts: pl.DataFrame) -> tuple[Array, Array, Array]:
    """Hour, bin and score of each verdict; a null score is NaN there, told apart by its bin."""
    score = verdicts["anomaly_score"]
    values = score.fill_null(0.0).to_numpy()
    place = np.where(np.isfinite(values), np.searchsorted(EDGES, values, "left"), _NAN)
    place = np.where(score.is_null().to_numpy(), _NULL, place)
    return hour_of(verdicts["at"].dt.timestamp("us").to_numpy()), place, np.where(place == _NULL, np.nan, values)


def _tally(hour: Array, place: Array) -> Array:
    return np.bincount(hour * _BINS + place, minlength=DAY * _BINS).reshape(DAY, _BINS).astype(np.float64)
