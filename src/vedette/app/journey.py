"""What happens to a beat between the log and the tables."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

import polars as pl
import structlog

from vedette.act import Incidents
from vedette.core.flow import Outcome
from vedette.core.ports import Clock
from vedette.core.telemetry import Telemetry
from vedette.core.types import Beat
from vedette.prepare import Prepared, StandardRecipe
from vedette.serve.scorer import Scorer

BOOK_OF: Final = {"metrics": "stored", "logs": "stored", "events": "stored", "dead_letters": "dead_lettered"}

log = structlog.get_logger()


class Journey:
    """Prepare, score, act: a pure function of the beat and of the parts' memory, but for what it counts about itself."""

    def __init__(self, recipe: StandardRecipe, scorer: Scorer, incidents: Incidents, telemetry: Telemetry, clock: Clock) -> None:
        self._recipe = recipe
        self._scorer = scorer
        self._incidents = incidents
        self._telemetry = telemetry
        self._clock = clock

    def __call__(self, beat: Beat) -> Outcome:
        """Rows for the lake, changed incidents, and which records left the log."""
        with self._telemetry.beat_seconds.time():
            prepared = self._recipe(beat)
            verdicts = self._scorer.score(prepared, beat.at)
            changes = self._incidents.observe(beat.at, verdicts, prepared["logs"], prepared["events"], prepared["templates"])
        frames = {name: frame for name, frame in prepared.items() if name != "points"} | {"verdicts": verdicts}
        self._measure(prepared, verdicts)
        return Outcome(frames, counts_of(beat.frames), changes)

    def _measure(self, prepared: Prepared, verdicts: pl.DataFrame) -> None:
        for source, records in prepared.late.items():
            self._telemetry.late.labels(source).inc(records)
        for reason, records in prepared.invalid.items():
            self._telemetry.invalid_values.labels(reason).inc(records)
        for finding in prepared.findings:
            log.warning(finding.why, check=finding.check, measured=finding.measured, required=finding.required)
        if verdicts.is_empty():
            return
        for model, points in verdicts["model"].value_counts().iter_rows():
            self._telemetry.scored.labels(model).inc(points)
        self._telemetry.event_to_verdict.observe((self._clock() - verdicts["at"].to_physical().to_numpy()) / 1e6)


def counts_of(frames: Mapping[str, pl.DataFrame]) -> dict[str, Counter[str]]:
    """How many records of each source go into which book.

    >>> counts_of({"metrics": pl.DataFrame({"source": ["host", "host"]})})
    {'host': Counter({'stored': 2})}
    """
    counts: dict[str, Counter[str]] = {}
    for table, book in BOOK_OF.items():
        if table in frames:
            for source, records in frames[table]["source"].value_counts(sort=True).iter_rows():
                counts.setdefault(source, Counter())[book] += records
    return counts
