"""The nouns. Everything here is frozen: a change is a new value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import polars as pl

from vedette.core.frames import COUNTED

State = Mapping[str, np.ndarray]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Position:
    """Where to resume: ordered within (source, partition)."""

    source: str
    partition: str
    offset: int


@dataclass(frozen=True, slots=True)
class Fault:
    """One record that was refused: which (counted from 0 within the body), which field, and why in words."""

    position: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"record {self.position}: field '{self.field}': {self.reason}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a codec makes of one body, or a source of one read: columns by table, ready to be made durable.

    Attributes:
        source: the declared name of where it came from (`remote_write`, `otlp`, `host`, ...).
        frames: table -> frame with the schema of `vedette.core.frames.INBOUND`. `series` holds the
            definitions of series that this process has not announced before.
        rejected: records refused by validation (counted in the books, never stored).
        faults: the first of them, in words.
        key: idempotency key; a second delivery of the same source with the same key is a duplicate. Always a digest, since what
            senders choose as keys may hold secrets.
        duplicate: records the receiver itself recognised as seen before.
        written: samples, histograms and exemplars taken, as remote write 2.0 wants them counted.
    """

    source: str
    frames: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    rejected: int = 0
    faults: tuple[Fault, ...] = ()
    key: str | None = None
    duplicate: int = 0
    written: tuple[int, int, int] = (0, 0, 0)

    @property
    def records(self) -> int:
        """Records inside: samples, log lines, events and dead letters; definitions of series do not count."""
        return sum(self.frames[table].height for table in COUNTED if table in self.frames)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The log's answer once a delivery is durable; `duplicate` where its key had been seen."""

    offset: int
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """Some items, and the position after which to resume once they are safe."""

    items: T
    position: Position


@dataclass(frozen=True, slots=True)
class Beat:
    """A stretch of the log that is processed as a whole: it ends at a tick or at a number of rows.

    Where the log is cut depends on the log alone, so a replay cuts it at the same places and ends with the
    same tables. `at` (UTC microseconds, from the log itself) is the only "now" a stage ever sees.

    Attributes:
        at: the time at which the last entry was appended.
        last: the offset of that entry.
        frames: table -> all rows of the beat in order of arrival, with the columns of `INBOUND` plus `source`.
    """

    at: int
    last: int
    frames: Mapping[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Place and memory, saved as one. `state` maps "part/name" to an array; no objects, ever."""

    offset: int
    at: int
    state: State


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: `measured` against `required`, and why it matters, in words."""

    check: str
    passed: bool
    measured: str
    required: str
    why: str


Severity = Literal["info", "warning", "critical"]
Move = Literal["PROMOTE", "HOLD", "ROLL_BACK"]


@dataclass(frozen=True, slots=True)
class Signal:
    """What a monitor says, which is rarely: when (UTC microseconds), of what, how bad, why, and what to do about it."""

    at: int
    monitor: str
    subject: str
    severity: Severity
    reason: str
    advice: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided of a model, never a bare yes or no.

    Attributes:
        at: when, UTC microseconds.
        model, version: of what.
        move: `PROMOTE` (a step forward), `HOLD` (it stays where it is) or `ROLL_BACK`.
        stage: where the version stands after it (`shadow`, `canary`, `champion`, `retired`, `rejected`).
        reason: in words.
        evidence: plain values that it rests on.
        actor: who decided; `policy` where nobody had to be asked.
    """

    at: int
    model: str
    version: int
    move: Move
    stage: str
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    actor: str = "policy"


@dataclass(frozen=True, slots=True)
class Card:
    """What a version is and where it comes from; it travels with the bytes, under the same signature.

    Attributes:
        name: of the model, as declared.
        version: counted from 1.
        family: `anomalies`, `forecasts` or `classes`.
        kind: the algorithm.
        parameters: what its constructor was given.
        recipe: digest of the stages behind which it was trained.
        dataset, dataset_digest: `NAME@VERSION` of what it learnt from, and the digest of that.
        seed: of everything that was drawn.
        code: the version of Vedette.
        trained_at: UTC microseconds.
        parent: the champion it was measured against; None for the first.
        trained_by: who asked for it.
        findings: what the gates found.
        metrics: the figures of its report.
        digest: of the arrays.
    """

    name: str
    version: int
    family: str
    kind: str
    parameters: Mapping[str, Any]
    recipe: str
    dataset: str
    dataset_digest: str
    seed: int
    code: str
    trained_at: int
    parent: int | None = None
    trained_by: str = "policy"
    findings: tuple[Finding, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    digest: str = ""

    @property
    def label(self) -> str:
        """`NAME@VERSION`."""
        return f"{self.name}@{self.version}"

    @property
    def passed(self) -> bool:
        """Whether no gate rejected it."""
        return all(each.passed for each in self.findings)


@dataclass(frozen=True, slots=True)
class Artefact:
    """A card and the arrays that are the model: all that is ever kept of one."""

    card: Card
    arrays: State
