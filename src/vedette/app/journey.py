"""What happens to a beat between the log and the tables."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Final

import polars as pl
import structlog

from vedette.act import Incidents
from vedette.app.loop import Loop
from vedette.core.catalogue import Catalogue
from vedette.core.flow import Outcome
from vedette.core.frames import AT, DEAD_LETTERS, SERIES
from vedette.core.ports import Clock
from vedette.core.telemetry import Telemetry
from vedette.core.types import Beat
from vedette.lake import LakeSettings
from vedette.prepare import Prepared, StandardRecipe
from vedette.serve.scorer import Scorer

BOOK_OF: Final = {"metrics": "stored", "logs": "stored", "events": "stored", "dead_letters": "dead_lettered"}

log = structlog.get_logger()


class Journey:
    """Prepare, score, act: a pure function of the beat and of the parts' memory, but for what it counts about itself."""

    def __init__(
        self,
        recipe: StandardRecipe,
        scorer: Scorer,
        incidents: Incidents,
        telemetry: Telemetry,
        clock: Clock,
        kept: LakeSettings,
        loop: Loop,
    ) -> None:
        self._loop = loop
        self._kept = kept
        self._recipe = recipe
        self._scorer = scorer
        self._incidents = incidents
        self._telemetry = telemetry
        self._clock = clock

    def __call__(self, beat: Beat) -> Outcome:
        """Rows for the lake, changed incidents, and which records left the log."""
        beat = believable(beat, self._kept)
        with self._telemetry.beat_seconds.time():
            prepared = self._recipe(beat)
            verdicts = self._loop.tolerance(self._scorer.score(prepared, beat.at), beat.at)
            events = self._loop.router(prepared["events"])
            changes = self._incidents.observe(beat.at, verdicts, prepared["logs"], events, prepared["born"])
            signals = self._loop.oversight.observe(beat.at, prepared["points"], prepared["series"], verdicts)
        frames = {name: frame for name, frame in prepared.items() if name not in {"points", "born"}}
        frames |= {"verdicts": verdicts, "events": events}
        self._measure(prepared, verdicts)
        return Outcome(frames, counts_of(beat.frames), (*changes, *signals))

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


def unread(beat: Beat, catalogue: Catalogue, kept: LakeSettings) -> Outcome:
    """A beat as it came, for the tables alone: nothing of it is understood, nothing of it is lost."""
    beat = believable(beat, kept)
    frames = dict(beat.frames)
    if "series" in frames:
        first_seen = pl.lit(beat.at).cast(AT)
        frames["series"] = (
            catalogue.add(frames["series"]).with_columns(first_seen=first_seen).select(*SERIES, "source", "first_seen")
        )
    if "logs" in frames:
        frames["logs"] = frames["logs"].with_columns(template=pl.lit(None, pl.Int64))
    return Outcome(frames, counts_of(beat.frames))


def believable(beat: Beat, kept: LakeSettings) -> Beat:
    """`beat` with rows of impossible times, as a wrong clock leaves them, set aside as dead letters.

    What is possible is judged by the time of the beat, so that a replay sets aside the same rows, whatever the clock says by then.
    """
    window = kept.window(beat.at)
    frames, letters = dict(beat.frames), []
    for table, frame in beat.frames.items():
        if "at" not in frame.columns:
            continue
        fine = frame["at"].to_physical().is_between(*window).fill_null(value=False)
        if fine.all():
            continue
        frames[table] = frame.filter(fine)
        letters.append(_letters(table, frame.filter(~fine), beat))
    if letters:
        frames["dead_letters"] = pl.concat([*([frames["dead_letters"]] if "dead_letters" in frames else []), *letters])
    return replace(beat, frames=frames)


def _letters(table: str, rows: pl.DataFrame, beat: Beat) -> pl.DataFrame:
    told = pl.format("{} at {}: the time cannot be, at {}; was a clock wrong?", pl.lit(table), "at", pl.lit(beat.at).cast(AT))
    plain = [name for name, dtype in rows.schema.items() if dtype not in (pl.Binary, SERIES["labels"])]
    words = rows.select(pl.struct(plain).struct.json_encode()).to_series().to_list()
    payloads = [text.encode()[:1024] for text in words]
    return rows.select(
        pl.lit(beat.at).cast(AT).alias("at"),
        pl.lit(table).alias("partition"),
        pl.lit(beat.last, pl.Int64).alias("offset"),
        told.alias("reason"),
        pl.Series("digest", [sha256(payload).hexdigest() for payload in payloads], pl.String),
        pl.Series("payload", payloads, pl.Binary),
        "source",
    ).select(*DEAD_LETTERS, "source")
