"""The verbs: what a room may ask of another. A port exists only where two implementations do."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Protocol, TypeVar

import polars as pl

from vedette.core.types import Artefact, Batch, Beat, Checkpoint, Delivery, Position, Receipt, State

Frame = pl.DataFrame
Stage = Callable[[Frame], Frame]
Clock = Callable[[], int]
"""Wall-clock time in UTC microseconds since 1970. Handed in wherever time is needed."""

T = TypeVar("T")
R = TypeVar("R")


class Source(Protocol[T]):
    """Gives a batch and says where it is. A constructor opens nothing: `seek` then `poll` is the only way to start.

    `poll` returns None when there is nothing to give now; it never blocks for long (a second at most).
    It raises `Transient` when it may work later. `seek` may be called once per partition before the first poll.
    """

    def poll(self, limit: int) -> Batch[T] | None:
        """At most about `limit` records, with the position after them."""

    def seek(self, position: Position) -> None:
        """Resume after `position`, which an earlier batch of this source carried."""

    def close(self) -> None:
        """Let go of what is open; may be called twice."""


class Journal(Protocol):
    """The durable, ordered log, as its writers see it."""

    def append(self, delivery: Delivery, position: Position | None = None) -> Future[Receipt]:
        """Resolve once the delivery, and the position of its source with it, survive a power cut.

        Fails with `Transient` when the log is full or the disk is.
        """

    def positions(self, source: str) -> Sequence[Position]:
        """The last durable position of each partition of a pulled source."""

    def note(self, source: str, *, rejected: int = 0, shed: int = 0, duplicate: int = 0) -> None:
        """Count records that were received but did not go into the log."""


class Store(Protocol):
    """Tables that rows are added to, exactly once by position."""

    def write(self, table: str, frame: Frame, offset: int) -> None:
        """Take the rows of the beat that ends at `offset` into memory; nothing is visible yet.

        A table that holds `offset` already ignores them, wherever earlier flushes fell.
        """

    def flush(self, offset: int) -> Mapping[str, int]:
        """Make what was written visible and durable together with `offset`; rows added by table."""

    def forget(self, after: int) -> None:
        """Let go of rows in memory of beats behind `after`: they will be written again."""


class Stateful(Protocol):
    """Something with memory that a checkpoint keeps: plain arrays, by name."""

    def state(self) -> State:
        """The arrays; they may be views, and are written before the next beat."""

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from."""


class Model(Stateful, Protocol):
    """Scores points as they come, learning as it goes."""

    def score(self, frame: Frame, at: int) -> Frame:
        """POINTS sorted by (series, at) -> VERDICTS, one row a row, each scored before it is learnt."""


class Recipe(Stateful, Protocol):
    """What turns a beat into points, templates and catalogue rows."""

    def __call__(self, beat: Beat) -> Mapping[str, Frame]:
        """Frames by name: points, metrics, series, logs, templates, events."""


class Redactor(Protocol):
    """Takes secrets and personal data out of text before anything is kept."""

    def column(self, text: pl.Series) -> pl.Series:
        """A String column with every finding replaced; nulls stay null."""

    def text(self, text: str) -> str:
        """One string, the same way."""


class Attempts(Protocol):
    """Remembers which beat was begun and not ended, through crashes."""

    def begin(self, last: int) -> int:
        """The beat that ends at `last` is begun; how often it was and did not end well."""

    def end(self) -> None:
        """The beat that was begun went well."""

    def fail(self, last: int) -> None:
        """It did not."""


class Memory(Protocol):
    """Where checkpoints are kept."""

    def save(self, checkpoint: Checkpoint) -> None:
        """Durable when it returns; an older one stays until then."""

    def latest(self) -> Checkpoint | None:
        """The newest that is whole, or None."""


class Versions(Protocol):
    """Where the versions of models come from."""

    def load(self, name: str, version: int) -> Artefact:
        """A version, verified before anything of it is read."""


class Engine(Protocol):
    """Where the work of a training is done."""

    def map(self, fn: Callable[[T], R], parts: Sequence[T]) -> Iterator[R]:
        """`fn` of each part, in the order of the parts."""

    def close(self) -> None:
        """Let go of what is held; may be called twice."""
