"""The composition root: the only module that knows two rooms. Config in, a running pipeline out.

Each step of the start pushes its own undo on one stack, so a start that fails half-way and a normal stop run the same code.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self

import numpy as np
import polars as pl
import structlog

from vedette import __version__
from vedette.collect.host import HostSettings, HostSource
from vedette.collect.intake import redacted
from vedette.collect.series import SeriesTable
from vedette.config import Config
from vedette.core.catalogue import Catalogue
from vedette.core.errors import Transient
from vedette.core.flow import Flow, Outcome
from vedette.core.frames import SERIES
from vedette.core.ports import Clock, Source
from vedette.core.telemetry import Telemetry
from vedette.core.types import Beat, Delivery, State
from vedette.lake import Lake
from vedette.log import SqliteLog
from vedette.models import standard
from vedette.prepare.recipe import StandardRecipe
from vedette.security import Redaction
from vedette.serve.checkpoints import Checkpoints
from vedette.serve.scorer import Scorer

TICK_SECONDS = 1.0
IDLE_TICKS = 5
BOOK_OF = {"metrics": "stored", "logs": "stored", "events": "stored", "dead_letters": "dead_lettered"}

log = structlog.get_logger()


class CatalogueMemory:
    """The catalogue in a checkpoint: its frame as the bytes of an Arrow stream."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def state(self) -> State:
        """One array of bytes."""
        buffer = BytesIO()
        self._catalogue.frame().write_ipc_stream(buffer)
        return {"frame": np.frombuffer(buffer.getvalue(), dtype=np.uint8)}

    def load(self, state: State) -> None:
        """Know the series of `state` too."""
        self._catalogue.add(pl.read_ipc_stream(state["frame"].tobytes()).select(list(SERIES)))


class Journey:
    """What happens to a beat between the log and the tables. A pure function of the beat and of the parts' memory."""

    def __init__(self, recipe: StandardRecipe, scorer: Scorer, telemetry: Telemetry) -> None:
        self._recipe = recipe
        self._scorer = scorer
        self._telemetry = telemetry

    def __call__(self, beat: Beat) -> Outcome:
        """Prepare and score `beat`; rows for the lake, and which records left the log."""
        prepared = self._recipe(beat)
        verdicts = self._scorer.score(prepared, beat.at)
        frames = {name: frame for name, frame in prepared.items() if name != "points"} | {"verdicts": verdicts}
        self._measure(beat, prepared.late, prepared.invalid, verdicts)
        return Outcome(frames, counts_of(beat.frames))

    def _measure(self, beat: Beat, late: Mapping[str, int], invalid: Mapping[str, int], verdicts: pl.DataFrame) -> None:
        for source, records in late.items():
            self._telemetry.late.labels(source).inc(records)
        for reason, records in invalid.items():
            self._telemetry.invalid_values.labels(reason).inc(records)
        for model, points in verdicts["model"].value_counts().iter_rows():
            self._telemetry.scored.labels(model).inc(points)
        if not verdicts.is_empty():
            delays = beat.at / 1e6 - verdicts["at"].to_physical().to_numpy() / 1e6
            self._telemetry.event_to_verdict.observe(max(float(np.median(delays)), 0.0))


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


class App:
    """All roles in one process.

    Args:
        config: what the user declared.
        home: where everything is kept; made where it is missing.
        clock: UTC microseconds.
    """

    def __init__(self, config: Config, home: Path, clock: Clock) -> None:
        self.config = config
        self.home = home
        self.telemetry = Telemetry()
        self.telemetry.build.labels(__version__).set(1)
        self.catalogue = Catalogue()
        self._clock = clock
        self._stopping = Event()
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        """Start; what was started is stopped again where a later step fails."""
        with ExitStack() as undo:
            self._start(undo)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _start(self, undo: ExitStack) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = self.config
        self.redaction = Redaction(config.redaction, lambda kind, texts: self.telemetry.redactions.labels(kind).inc(texts))
        self.table = SeriesTable(config.limits.series_per_source, self.redaction.text)
        self.lake = Lake(self.home / "lake", config.lake, self._clock)
        memory = Checkpoints(self.home / "checkpoints")
        checkpoint = memory.latest()
        floor = max(self.lake.floor(), checkpoint.offset if checkpoint else 0)
        self.log = SqliteLog(
            self.home / "log" / "log.db", config.log, clock=self._clock, floor=floor, corrupt=self.telemetry.corrupt_bytes.inc
        )
        undo.callback(self.log.close)
        recipe = StandardRecipe(config.prepare, self.catalogue)
        self.scorer = Scorer(standard(config.detectors))
        self.flow = Flow(
            self.log.reader,
            Journey(recipe, self.scorer, self.telemetry),
            {"catalogue": CatalogueMemory(self.catalogue), "recipe": recipe, "scorer": self.scorer},
            store=self.lake,
            publish=lambda _changes: None,
            memory=memory,
            release=self.log.release,
            settings=config.flow,
        )
        self.flow.start()
        undo.callback(self.flow.stop)
        self._thread(undo, "consume", self._consume)
        self._thread(undo, "tick", self._tick)
        if config.host is not None:
            self._thread(undo, "host", lambda: self._pump(HostSource(config.host or HostSettings(), self.table, self._clock)))
        undo.callback(self._stopping.set)

    def _thread(self, undo: ExitStack, name: str, run: Callable[[], None]) -> None:
        thread = Thread(target=run, name=name, daemon=True)
        thread.start()
        undo.callback(thread.join)

    def _consume(self) -> None:
        while not self._stopping.is_set():
            try:
                self.flow.step()
            except Transient as error:
                log.warning("the lake cannot be written now; trying again", reason=str(error), retry_after=error.retry_after)
                self._stopping.wait(error.retry_after)

    def _tick(self) -> None:
        seen, idle = -1, 0
        while not self._stopping.wait(TICK_SECONDS):
            idle += 1
            if self.log.last != seen or idle >= IDLE_TICKS:
                idle = 0
                try:
                    seen = self.log.tick().result().offset
                except Transient as error:
                    log.warning("the log takes nothing now", reason=str(error))

    def _pump(self, source: Source[Delivery]) -> None:
        while not self._stopping.is_set():
            try:
                batch = source.poll(10_000)
                if batch is None:
                    self._stopping.wait(0.2)
                    continue
                self.log.append(redacted(batch.items, self.redaction), batch.position).result()
                if "series" in batch.items.frames:
                    self.table.confirm(batch.items.frames["series"]["series"].to_list())
            except Transient as error:
                self._stopping.wait(error.retry_after)
        source.close()

    def status(self) -> dict[str, Any]:
        """What is known of every source, and how far the models are."""
        return {"sources": self.log.books(), "series": len(self.catalogue), "version": __version__}
