"""How old a model is, and how much of what is live it never saw."""

from collections.abc import Iterator
from typing import Final

import polars as pl

from vedette.core.frames import POINTS, conform
from vedette.core.types import Signal, State
from vedette.monitor.golden import Golden
from vedette.monitor.hours import HOUR_US, columns, hour_of
from vedette.monitor.seen import Seen
from vedette.monitor.settings import MonitorSettings
from vedette.monitor.told import Told

_DAY: Final = 24 * HOUR_US


class StalenessMonitor:
    """Says once in a while that a model is old, or that the systems have outgrown it.

    Args:
        golden: of the model's training data.
        trained_at: when it was trained, UTC microseconds.
        settings: thresholds.
        subject: what it is about, as `NAME@VERSION`.

    >>> from vedette.core.frames import empty
    >>> monitor = StalenessMonitor(Golden.of(empty(POINTS)), 1)
    >>> [signal.reason for signal in monitor.update(empty(POINTS), 29 * _DAY)]
    ['trained 29.0 days ago; after 28 a model is stale']
    """

    def __init__(self, golden: Golden, trained_at: int, settings: MonitorSettings | None = None, subject: str = "model") -> None:
        self.trained_at = trained_at
        self.settings = settings or MonitorSettings()
        self.subject = subject
        self._seen = Seen(golden.ids)
        self._age = self._unseen = 0.0
        self._hour = -1
        self._told = Told(self.settings.again_seconds, self.settings.worse)

    def update(self, points: pl.DataFrame, at: int) -> tuple[Signal, ...]:
        """Take POINTS sorted by (series, at) at `at` (UTC microseconds).

        Raises:
            TypeError: the columns are not those of POINTS.
        """
        if not conform(points, POINTS).is_empty():
            series, times, _ = columns(points)
            self._seen.hear(series, times)
        if hour_of(at) <= self._hour:
            return ()
        self._hour = int(hour_of(at))
        return self._told.new(self._found(at))

    def gauges(self) -> dict[str, float]:
        """Age in seconds, and the share of live series that the model never saw."""
        return {"age_seconds": self._age, "unseen": self._unseen}

    def state(self) -> State:
        """When each series was heard, and what was told; views."""
        return {**self._seen.state(), **self._told.state()}

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from; the figures are those of the next hour."""
        self._seen.load(state)
        self._told.load(state)

    def _found(self, at: int) -> Iterator[tuple[Signal, float]]:
        unknown, known = self._seen.unknown(at - _DAY), self._seen.known(at - _DAY)
        self._age, self._unseen = (at - self.trained_at) / 1e6, unknown / max(unknown + known, 1)
        if self._age >= self.settings.age_seconds:
            reason = f"trained {self._age / 86_400:.1f} days ago; after {self.settings.age_seconds / 86_400:g} a model is stale"
            yield Signal(at, "age", self.subject, "info", reason, "Retrain it on recent data."), self._age
        if self._unseen >= self.settings.unseen:
            reason = f"{unknown} of {unknown + known} series of the last day ({self._unseen:.0%}) were not in training"
            advice = "Retrain, so that the new series are known from their first day."
            yield Signal(at, "unseen", self.subject, "warning", reason, advice), self._unseen
