"""The one loop: beats come from the log, go through the journey, and are remembered in a written order.

The order of a flush is: tables, then what is published (incidents, upserted by key), then the checkpoint (place and
memory as one), then the release of the log. Killed anywhere in between, a restart resumes from the checkpoint, walks the same
beats again, and ends with the same tables: a table skips what it holds already, and an upsert by key changes nothing twice.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vedette.core.failpoints import failpoint
from vedette.core.ports import Frame, Memory, Source, Stateful, Store
from vedette.core.settings import Settings
from vedette.core.types import Beat, Checkpoint

Books = Mapping[str, Mapping[str, int]]

_after_store = failpoint("flow.after_store")
_after_publish = failpoint("flow.after_publish")
_after_checkpoint = failpoint("flow.after_checkpoint")


class FlowSettings(Settings):
    """How often what is scored becomes visible, and how much a restart replays. Seconds and rows."""

    flush_seconds: float = 5.0
    flush_rows: int = 500_000
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
        parts: everything the journey remembers, by name; saved and loaded as one.
        store, publish, memory, release: where the outcome goes, in that order.
    """

    def __init__(
        self,
        open_source: Callable[[int], Source[Beat]],
        journey: Callable[[Beat], Outcome],
        parts: Mapping[str, Stateful],
        *,
        store: Store,
        publish: Callable[[tuple[Any, ...]], None],
        memory: Memory,
        release: Callable[[int, Books], None],
        settings: FlowSettings,
    ) -> None:
        self._open_source = open_source
        self._journey = journey
        self._parts = parts
        self._store = store
        self._publish = publish
        self._memory = memory
        self._release = release
        self._settings = settings
        self._source: Source[Beat] | None = None
        self._offset = self._at = self._flushed_at = self._saved_at = self._rows = 0
        self._counts: dict[str, Counter[str]] = {}
        self._changes: tuple[Any, ...] = ()

    @property
    def offset(self) -> int:
        """The last offset that was processed."""
        return self._offset

    def start(self) -> int:
        """Resume after the newest checkpoint, or begin; returns the offset resumed after."""
        checkpoint = self._memory.latest()
        offset, at = (checkpoint.offset, checkpoint.at) if checkpoint else (0, 0)
        if checkpoint:
            for name, part in self._parts.items():
                prefix = f"{name}/"
                part.load({key.removeprefix(prefix): value for key, value in checkpoint.state.items() if key.startswith(prefix)})
        self._forget_progress(offset, at)
        self._release(offset, {})
        self._source = self._open_source(offset)
        return offset

    def step(self) -> bool:
        """Process the next beat, if there is one; whether there was.

        Raises:
            Transient: something could not be written now. No beat is taken until it can, so memory stays bounded.
        """
        if self._source is None:
            raise RuntimeError("step before start")
        self._keep()
        batch = self._source.poll(self._settings.flush_rows)
        if batch is None:
            return False
        beat = batch.items
        outcome = self._journey(beat)
        for table, frame in outcome.frames.items():
            self._store.write(table, frame, beat.last)
            self._rows += frame.height
        for source, books in outcome.counts.items():
            self._counts.setdefault(source, Counter()).update(books)
        self._changes += outcome.changes
        self._offset, self._at = beat.last, beat.at
        self._flushed_at = self._flushed_at or beat.at
        self._saved_at = self._saved_at or beat.at
        self._keep()
        return True

    def flush(self) -> None:
        """Make every row and change so far visible and durable."""
        self._store.flush(self._offset)
        _after_store()
        self._publish(self._changes)
        _after_publish()
        self._changes = ()
        self._rows = 0
        self._flushed_at = self._at

    def checkpoint(self) -> None:
        """Flush, save place and memory as one, and let the log go."""
        self.flush()
        state = {f"{name}/{key}": value for name, part in self._parts.items() for key, value in part.state().items()}
        self._memory.save(Checkpoint(self._offset, self._at, state))
        _after_checkpoint()
        self._release(self._offset, self._counts)
        self._forget_progress(self._offset, self._at)

    def stop(self) -> None:
        """A last checkpoint; nothing is left to replay."""
        if self._source is not None:
            self.checkpoint()
            self._source.close()
            self._source = None

    def _keep(self) -> None:
        if self._is_due(self._saved_at, self._settings.checkpoint_seconds):
            self.checkpoint()
        elif self._rows >= self._settings.flush_rows or self._is_due(self._flushed_at, self._settings.flush_seconds):
            self.flush()

    def _is_due(self, since: int, seconds: float) -> bool:
        return self._at > since and self._at - since >= seconds * 1e6

    def _forget_progress(self, offset: int, at: int) -> None:
        self._offset, self._at = offset, at
        self._flushed_at = self._saved_at = at
        self._rows = 0
        self._counts = {}
        self._changes = ()
