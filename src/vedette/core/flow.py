"""The one loop: beats come from the log, go through the journey, and are remembered in a written order.

The order of a flush is: tables, then what is published (incidents, upserted by key), then the checkpoint (place and
memory as one), then the release of the log. Killed anywhere in between, a restart resumes from the checkpoint, walks the same
beats again, and ends with the same tables: a table skips what it holds already, and an upsert by key changes nothing twice.

A beat that the journey fails on, for a fault of ours, must neither stop the loop nor be lost. What the journey remembers may be
half changed by then, so the loop goes back to the last checkpoint and walks the same beats again. A beat that failed `TRIES`
times, or killed the process that often, is kept as it came, without its journey.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl
import structlog

from vedette.core import arrays
from vedette.core.errors import Transient
from vedette.core.failpoints import failpoint
from vedette.core.ports import Attempts, Frame, Memory, Source, Stateful, Store
from vedette.core.settings import Settings
from vedette.core.types import Beat, Checkpoint, Position

Books = Mapping[str, Mapping[str, int]]

#: How often a beat may fail before it is kept without its journey.
TRIES: Final = 3

log = structlog.get_logger()

_after_store = failpoint("flow.after_store")
_after_publish = failpoint("flow.after_publish")
_after_checkpoint = failpoint("flow.after_checkpoint")


class FlowSettings(Settings):
    """How often what is scored becomes visible, what may wait for it in memory, and how much a restart replays."""

    flush_seconds: float = 5.0
    flush_rows: int = 500_000
    flush_bytes: int = 24 << 20
    checkpoint_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one beat came to.

    Attributes:
        frames: table -> rows for the store.
        counts: source -> book -> records that left the log with this beat.
        changes: values to publish, each an upsert by its own key.
    """

    frames: Mapping[str, Frame] = field(default_factory=dict)
    counts: Books = field(default_factory=dict)
    changes: tuple[Any, ...] = ()


class Flow:
    """Moves beats from the log to the tables, exactly once.

    Args:
        open_source: gives the beats after an offset; called once, by `start`.
        journey: Beat -> Outcome; a pure function of the beat and of `parts`.
        unread: Beat -> Outcome for a beat that the journey cannot be made with.
        parts: everything the journey remembers, by name; saved and loaded as one.
        store, publish, memory, release: where the outcome goes, in that order.
        attempts: remembers, through crashes, how often a beat was begun and not ended.
        turn: called between two beats with the time of the first; whether it changed a part, which is then saved at once, so that
            what is walked again meets the same parts.
    """

    def __init__(
        self,
        open_source: Callable[[int], Source[Beat]],
        journey: Callable[[Beat], Outcome],
        parts: Mapping[str, Stateful],
        *,
        unread: Callable[[Beat], Outcome],
        store: Store,
        publish: Callable[[tuple[Any, ...]], None],
        memory: Memory,
        release: Callable[[int, Books], None],
        attempts: Attempts,
        settings: FlowSettings,
        turn: Callable[[int], bool] = lambda _at: False,
    ) -> None:
        self._turn = turn
        self._open_source = open_source
        self._journey = journey
        self._unread = unread
        self._parts = parts
        self._store = store
        self._publish = publish
        self._memory = memory
        self._release = release
        self._attempts = attempts
        self._settings = settings
        self._source: Source[Beat] | None = None
        self._offset = self._at = self._flushed_at = self._saved_at = self._rows = self._bytes = 0
        self._counts: dict[str, Counter[str]] = {}
        self._changes: tuple[Any, ...] = ()
        self._astray = False
        self._trouble = ""

    @property
    def offset(self) -> int:
        """The last offset that was processed."""
        return self._offset

    @property
    def trouble(self) -> str:
        """Which beat failed last, and what was done with it; empty where none ever did."""
        return self._trouble

    def start(self) -> int:
        """Resume after the newest checkpoint, or begin; returns the offset resumed after."""
        checkpoint = self._memory.latest()
        if checkpoint is None:
            checkpoint = Checkpoint(0, 0, self._state())
            self._memory.save(checkpoint)  # so that there always is one to go back to
        else:
            self._load(checkpoint)
        self._forget_progress(checkpoint.offset, checkpoint.at)
        self._release(self._offset, {})
        self._source = self._open_source(self._offset)
        return self._offset

    def step(self) -> bool:
        """Process the next beat, if there is one; whether there was.

        Raises:
            Transient: something could not be written now. No beat is taken until it can, so memory stays bounded.
        """
        if self._source is None:
            raise RuntimeError("step before start")
        if self._astray:
            self._go_back(self._source)
        self._keep()
        batch = self._source.poll(self._settings.flush_rows)
        if batch is None:
            return False
        if self._take(batch.items):
            if self._turn(self._at):
                self.checkpoint()
            else:
                self._keep()
        return True

    def _take(self, beat: Beat) -> bool:
        """Put one beat through the journey; whether it went through."""
        tried = self._attempts.begin(beat.last)
        self._astray = True
        try:
            outcome = self._journey(beat) if tried < TRIES else self._unread(beat)
            for table, frame in outcome.frames.items():
                self._store.write(table, frame, beat.last)
        except Transient:
            raise
        except (Exception, pl.exceptions.PanicException) as error:
            if tried >= TRIES:
                raise
            self._attempts.fail(beat.last)
            log.exception("a beat failed; it is tried again from the last checkpoint", last=beat.last, tried=tried + 1)
            self._trouble = f"the beat up to offset {beat.last} failed ({type(error).__name__}: {error}); it is tried again"
            return False
        if tried >= TRIES:
            self._trouble = f"the beat up to offset {beat.last} failed {tried} times: its records are stored, but were not scored"
            log.error(self._trouble)
        self._rows += sum(frame.height for frame in outcome.frames.values())
        self._bytes += sum(int(frame.estimated_size()) for frame in outcome.frames.values())
        for source, books in outcome.counts.items():
            self._counts.setdefault(source, Counter()).update(books)
        self._changes += outcome.changes
        self._offset, self._at = beat.last, beat.at
        self._flushed_at = self._flushed_at or beat.at
        self._saved_at = self._saved_at or beat.at
        self._attempts.end()
        self._astray = False
        return True

    def _go_back(self, source: Source[Beat]) -> None:
        """To the newest checkpoint: what came after it is walked again, and the tables skip what they hold."""
        self._store.forget(self._offset)
        self.flush()
        checkpoint = self._memory.latest()
        if checkpoint is None:
            raise Transient("there is no checkpoint to go back to; look at the disk of the checkpoints")
        self._load(checkpoint)
        self._forget_progress(checkpoint.offset, checkpoint.at)
        source.seek(Position("log", "0", checkpoint.offset))
        self._astray = False

    def flush(self) -> None:
        """Make every row and change so far visible and durable."""
        self._store.flush(self._offset)
        _after_store()
        self._publish(self._changes)
        _after_publish()
        self._changes = ()
        self._rows = self._bytes = 0
        self._flushed_at = self._at

    def checkpoint(self) -> None:
        """Flush, save place and memory as one, and let the log go."""
        self.flush()
        self._memory.save(Checkpoint(self._offset, self._at, self._state()))
        _after_checkpoint()
        self._release(self._offset, self._counts)
        self._forget_progress(self._offset, self._at)

    def stop(self) -> None:
        """A last checkpoint; nothing is left to replay, but where a beat failed."""
        if self._source is not None:
            if not self._astray:
                self.checkpoint()
            self._source.close()
            self._source = None

    def _state(self) -> dict[str, Any]:
        return {f"{name}/{key}": value for name, part in self._parts.items() for key, value in part.state().items()}

    def _load(self, checkpoint: Checkpoint) -> None:
        """Remember what `checkpoint` does; a part whose memory another release has written otherwise begins anew."""
        for name, part in self._parts.items():
            blank = {key: value.copy() for key, value in part.state().items()}
            try:
                part.load(arrays.part(checkpoint.state, name))
            except (LookupError, TypeError, ValueError) as error:
                log.warning("the memory of a part is of another release; what it learnt begins anew", part=name, reason=repr(error))
                part.load(blank)

    def _keep(self) -> None:
        if self._is_due(self._saved_at, self._settings.checkpoint_seconds):
            self.checkpoint()
        elif self._is_heavy() or self._is_due(self._flushed_at, self._settings.flush_seconds):
            self.flush()

    def _is_heavy(self) -> bool:
        return self._rows >= self._settings.flush_rows or self._bytes >= self._settings.flush_bytes

    def _is_due(self, since: int, seconds: float) -> bool:
        return self._at > since and self._at - since >= seconds * 1e6

    def _forget_progress(self, offset: int, at: int) -> None:
        self._offset, self._at = offset, at
        self._flushed_at = self._saved_at = at
        self._rows = self._bytes = 0
        self._counts = {}
        self._changes = ()
