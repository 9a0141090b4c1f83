"""Novelty: log lines of a kind never seen before, once the stream's vocabulary is established."""

import math
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from vedette.core.frames import TEMPLATES, VERDICTS, conform, empty
from vedette.core.types import State

HOUR_US: Final = 3_600_000_000.0


class _Stream(NamedTuple):
    first: int
    last: int
    known: int
    recent: float


@dataclass
class Novelty:
    """A verdict for a new template, while new templates are rare.

    A stream's first `learn_seconds` only teach. Afterwards a new template is a verdict as long as fewer than
    `per_hour` came lately (exponentially forgotten over an hour), so a deployment that changes every line
    gives a handful of verdicts, not a flood. The score is `per_hour` over the recent rate, so above 1 exactly then.

    Attributes:
        learn_seconds: how long a stream only teaches.
        per_hour: new templates an hour of one stream beyond which they are no news.
        max_streams: streams known at most; a newcomer beyond them is not judged.

    >>> from datetime import UTC, datetime, timedelta
    >>> start = datetime(2026, 1, 1, tzinfo=UTC)
    >>> rows = [(1, "a", start, 9), (2, "b", start + timedelta(hours=2), 9)]
    >>> Novelty().score(pl.DataFrame(rows, schema=TEMPLATES, orient="row"), 0)["value"].to_list()
    [2.0]
    """

    learn_seconds: float = 3600.0
    per_hour: float = 5.0
    max_streams: int = 100_000
    version: str = "1"
    _streams: dict[int, _Stream] = field(init=False, repr=False, default_factory=dict)

    def score(self, templates: pl.DataFrame, at: int) -> pl.DataFrame:  # noqa: ARG002 -- the port's signature
        """New templates (TEMPLATES columns) in, a VERDICTS row out for each that is news; its value is how many its stream has."""
        conform(templates, TEMPLATES)
        columns = templates.select("series", pl.col("first_seen").dt.timestamp("us")).iter_rows()
        scores = [self._see(series, seen) for series, seen in columns]
        news = [i for i, score in enumerate(scores) if score > 1.0]
        if not news:
            return empty(VERDICTS)
        picked = templates[news]
        return picked.select(
            at=pl.col("first_seen"),
            series=pl.col("series"),
            model=pl.lit("novelty"),
            version=pl.lit(self.version),
            value=pl.Series([float(self._streams[each].known) for each in picked["series"]]),
            yhat=pl.lit(None, pl.Float64),
            yhat_lower=pl.lit(None, pl.Float64),
            yhat_upper=pl.lit(None, pl.Float64),
            anomaly_score=pl.Series([scores[i] for i in news]),
        )

    def state(self) -> State:
        """The streams, sorted by identity: first and last time of a new template, how many, how many lately."""
        series = sorted(self._streams)
        rows = [self._streams[each] for each in series]
        return {
            "series": np.array(series, np.int64),
            "times": np.array([(row.first, row.last) for row in rows], np.int64).reshape(-1, 2),
            "known": np.array([row.known for row in rows], np.int64),
            "recent": np.array([row.recent for row in rows], np.float64),
        }

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from."""
        columns = zip(*(state[name].tolist() for name in ("series", "times", "known", "recent")), strict=True)
        self._streams = {series: _Stream(first, last, known, recent) for series, (first, last), known, recent in columns}

    def learning(self, at: int) -> tuple[int, int, str]:
        """Streams known, those of them that only teach at `at` (UTC microseconds), and why in words."""
        young = sum(at - stream.first < self.learn_seconds * 1e6 for stream in self._streams.values())
        return len(self._streams), young, f"a log stream's vocabulary is learnt for {self.learn_seconds:.0f} s"

    def _see(self, series: int, seen: int) -> float:
        stream = self._streams.get(series)
        if stream is None:
            if len(self._streams) < self.max_streams:
                self._streams[series] = _Stream(seen, seen, 1, 1.0)
            return 0.0
        recent = stream.recent * math.exp(-max(seen - stream.last, 0) / HOUR_US) + 1.0
        self._streams[series] = _Stream(stream.first, max(seen, stream.last), stream.known + 1, recent)
        if seen - stream.first < self.learn_seconds * 1e6:
            return 0.0
        return self.per_hour / recent
