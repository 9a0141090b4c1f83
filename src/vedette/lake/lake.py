"""The writer and reader of the tables: exactly once by the transaction identifier of Delta."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from time import time_ns
from typing import Final

import numpy as np
import polars as pl
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from vedette.core.errors import BadRecord, NotFound, Transient
from vedette.core.failpoints import failpoint
from vedette.core.frames import conform
from vedette.core.ports import Clock
from vedette.core.types import Finding
from vedette.lake.durable import repair, sync
from vedette.lake.maintenance import Maintenance, maintain
from vedette.lake.pins import pin
from vedette.lake.settings import LakeSettings
from vedette.lake.tables import DAY, TABLES, Table, delta_schema, writer_properties
from vedette.lake.verify import verify

APP_ID: Final = "log/0"
_TRIES: Final = 5
STALE: Final = 0x7FF0000000000002
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# A checkpoint belongs to maintenance: within a commit it would only lengthen a flush.
_HOOKS: Final = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)

BEFORE_COMMIT = failpoint("lake.before_commit")
AFTER_COMMIT = failpoint("lake.after_commit")


def wall_clock() -> int:
    """Now, in UTC microseconds."""
    return time_ns() // 1000


class Lake:
    """The Delta tables under one directory, with one writer that adds whole beats of the log to them.

    Rows are written into memory and become visible at `flush(offset)`: one commit a table, which carries `offset` as
    its transaction version. What a table already holds it ignores, so a replay of the log changes nothing, wherever
    the flushes fell the first time. A flush always ends where a beat ends.

    One thread writes and flushes; `scan`, `append_now`, `maintain` and `verify` may run in others, or in other processes.

    Args:
        root: the directory of the tables; made where it is missing.
        settings: retention, sizes and bounds.
        clock: what time it is, to refuse history of days to come.

    Raises:
        Transient: the directory or a table cannot be made or opened now.

    >>> import tempfile
    >>> lake = Lake(Path(tempfile.mkdtemp()), LakeSettings())
    >>> lake.committed("metrics")
    -1
    """

    def __init__(self, root: Path, settings: LakeSettings | None = None, clock: Clock = wall_clock) -> None:
        self.root = root
        self.settings = settings or LakeSettings()
        self._clock = clock
        self._properties = {name: writer_properties(table) for name, table in TABLES.items()}
        self._buffers: dict[str, list[tuple[int, pl.DataFrame]]] = {name: [] for name in TABLES}
        self._uncertain: set[str] = set()
        self._handles: dict[str, DeltaTable] = {}
        self._committed: dict[str, int] = {}
        for table in TABLES.values():
            repair(root / table.name)
            self._reopen(table)

    @property
    def buffered_bytes(self) -> int:
        """Bytes in memory that wait for a flush."""
        return sum(int(frame.estimated_size()) for buffer in self._buffers.values() for _, frame in buffer)

    def write(self, table: str, frame: pl.DataFrame, offset: int) -> None:
        """Take the rows of the beat that ends at `offset` into memory, unless the table holds that beat already.

        `frame` has the table's columns but for `day`, in any order. That its times are within `settings.window` is the caller's
        care. Within a table offsets never fall. A staleness marker of Prometheus becomes a null; any other NaN stays what it is.

        Raises:
            NotFound: there is no such table.
            TypeError: a column is missing, too many, or of another type.
            BadRecord: a row's `at` is null.
        """
        if frame.is_empty() or self.committed(table) >= offset:
            return
        self._buffers[table].append((offset, self._ready(_table(table), frame)))

    def flush(self, offset: int) -> Mapping[str, int]:
        """Make what was written durable and visible, table by table, together with `offset`; returns rows added.

        Raises:
            Transient: a table could not be written. Its rows and those of the tables after it stay in memory; the
                same call, or a later one with a larger offset, completes the work.
        """
        added = {}
        for name in TABLES:
            if self._buffers[name]:
                added[name] = _insist(name, partial(self._commit, name, offset))
        return added

    def forget(self, after: int) -> None:
        """Let go of rows in memory of beats behind `after`: they will be written again."""
        for name, buffer in self._buffers.items():
            self._buffers[name] = [(offset, frame) for offset, frame in buffer if offset <= after]

    def committed(self, table: str) -> int:
        """The last offset of the log whose rows `table` holds; -1 when none."""
        return self._committed[_table(table).name]

    def floor(self) -> int:
        """The largest committed offset: beats up to here may be in some tables, beyond it they are in none."""
        return max(self.committed(table) for table in TABLES)

    def append_now(self, table: str, frame: pl.DataFrame) -> None:
        """Add rows that do not come through the log, such as an operator's word, in a commit of their own.

        Raises:
            Transient: it could not be written now.
        """
        if frame.is_empty():
            return
        spec = _table(table)
        ready = self._ready(spec, frame)

        def append() -> int:
            # The kept handle belongs to the thread that flushes.
            self._append(_open(self.root / table, spec, self.settings), spec, ready, CommitProperties())
            return ready.height

        _insist(table, append)

    def bring(self, table: str, pieces: Mapping[str, pl.DataFrame]) -> Mapping[str, int]:
        """Add history from elsewhere, each piece exactly once by its key, all that are new in one commit; rows added by key.

        Its days are kept whatever the retention, and may be any since 1970.

        Raises:
            Transient: it could not be written now.
        """
        spec = _table(table)
        added: dict[str, int] = {}

        def append() -> int:
            # At each try anew: another import of the same pieces may have come first.
            handle = _open(self.root / table, spec, self.settings)
            fresh = {key: frame for key, frame in pieces.items() if handle.transaction_version(f"import/{key}") is None}
            if not fresh:
                return 0
            ready = self._ready(spec, pl.concat(fresh.values()))
            if spec.daily:
                self._check_days(table, ready["at"])
                pin(self.root, table, ready[DAY].unique().to_list())
            mark = CommitProperties(app_transactions=[Transaction(f"import/{key}", 0) for key in fresh])
            self._append(handle, spec, ready, mark)
            added.update({key: frame.height for key, frame in fresh.items()})
            return ready.height

        _insist(table, append)
        return added

    def scan(self, table: str) -> pl.LazyFrame:
        """The table as it is now, lazily: filters on `day`, `series` and `at` skip files."""
        return pl.scan_delta(_open(self.root / table, _table(table), self.settings))

    def series_window(self, series: Sequence[int], start: int, end: int, table: str = "metrics") -> pl.LazyFrame:
        """Rows of `series` with start <= at < end (UTC microseconds), sorted by (series, at)."""
        first, last = (pl.lit(moment).cast(pl.Int64).cast(pl.Datetime("us")).dt.replace_time_zone("UTC") for moment in (start, end))
        within = (pl.col("at") >= first) & (pl.col("at") < last)
        days = pl.col(DAY).is_between(day_of(start), day_of(end))
        return self.scan(table).filter(days & within & pl.col("series").is_in(list(series))).sort("series", "at")

    def maintain(self, now: int) -> Maintenance:
        """One bounded round of housekeeping at `now` (UTC microseconds); safe beside appends and readers."""
        return maintain(self.root, self.settings, day_of(now))

    def verify(self) -> list[Finding]:
        """What is wrong with the tables, or that nothing is."""
        return verify(self.root)

    def _ready(self, table: Table, frame: pl.DataFrame) -> pl.DataFrame:
        missing = [name for name in table.columns if name not in frame.columns]
        surplus = [name for name in frame.columns if name not in table.columns]
        if missing or surplus:
            raise TypeError(f"table {table.name}: missing columns {missing}, unknown columns {surplus}")
        frame = conform(frame.select(list(table.columns)), table.columns)
        if not table.daily:
            return frame
        if frame["at"].null_count():
            raise BadRecord(f"table {table.name}: a row without a time", field="at", position=frame["at"].is_null().arg_max())
        if table.name == "metrics":
            frame = _without_stale(frame)
        return frame.with_columns(pl.col("at").dt.date().alias(DAY))

    def _check_days(self, table: str, at: pl.Series) -> None:
        """History may be of any day since 1970, but of none to come."""
        low, high = 0, self.settings.window(self._clock())[1]
        wrong = ~at.to_physical().is_between(low, high)
        if wrong.any():
            position = wrong.arg_max() or 0
            raise BadRecord(f"table {table}: {at[position]} is outside of 1970 to now", field="at", position=position)

    def _commit(self, name: str, offset: int) -> int:
        if name in self._uncertain:
            self._settle(name)
        if not self._buffers[name] or self.committed(name) >= offset:
            self._buffers[name].clear()
            return 0
        rows = pl.concat([frame for _, frame in self._buffers[name]])
        mark = CommitProperties(app_transactions=[Transaction(APP_ID, offset)])
        self._uncertain.add(name)
        self._append(self._handles[name], TABLES[name], rows, mark)
        self._committed[name] = offset
        self._uncertain.remove(name)
        self._buffers[name].clear()
        return rows.height

    def _settle(self, name: str) -> None:
        """Find out whether a commit that seemed to fail was made after all; its rows must not be written again."""
        self._reopen(TABLES[name])
        held = self._committed[name]
        self._buffers[name] = [(offset, frame) for offset, frame in self._buffers[name] if offset > held]
        self._uncertain.remove(name)

    def _reopen(self, table: Table) -> None:
        handle = _open(self.root / table.name, table, self.settings)
        try:
            version = handle.transaction_version(APP_ID)
        except (OSError, DeltaError) as error:
            raise _transient(table.name, error) from error
        self._handles[table.name] = handle
        self._committed[table.name] = -1 if version is None else version

    def _append(self, handle: DeltaTable, table: Table, rows: pl.DataFrame, mark: CommitProperties) -> None:
        # Lines of one time stay in the order in which they came.
        ordered = rows.sort(table.sort, maintain_order=True) if table.sort else rows
        before = handle.version()
        BEFORE_COMMIT()
        write_deltalake(
            handle,
            ordered,
            mode="append",
            writer_properties=self._properties[table.name],
            commit_properties=mark,
            post_commithook_properties=_HOOKS,
        )
        if self.settings.sync:
            sync(self.root / table.name, range(before + 1, handle.version() + 1))
        AFTER_COMMIT()


def reading(root: Path, table: str) -> pl.LazyFrame:
    """A table as it is now, for another process than the one that writes: nothing is made, and nothing mended.

    Raises:
        NotFound: it is not there.
    """
    _table(table)
    if not DeltaTable.is_deltatable(str(root / table)):
        raise NotFound(f"{root / table}: there is no such table")
    return pl.scan_delta(DeltaTable(root / table))


def day_of(micros: int) -> date:
    """The UTC date of a time in microseconds.

    >>> day_of(1_700_000_000_000_000)
    datetime.date(2023, 11, 14)
    """
    return (_EPOCH + timedelta(microseconds=micros)).date()


def _table(name: str) -> Table:
    if name not in TABLES:
        raise NotFound(f"the lake has no table '{name}'; its tables are {', '.join(TABLES)}")
    return TABLES[name]


def _open(path: Path, table: Table, settings: LakeSettings) -> DeltaTable:
    try:
        if DeltaTable.is_deltatable(str(path)):
            return DeltaTable(path)
        path.mkdir(parents=True, exist_ok=True)
        return DeltaTable.create(
            path,
            delta_schema(table),
            mode="ignore",
            name=table.name,
            partition_by=[DAY] if table.daily else None,
            configuration={
                "delta.dataSkippingStatsColumns": ",".join(table.statistics),
                "delta.deletedFileRetentionDuration": f"interval {settings.vacuum_hours} hours",
                "delta.logRetentionDuration": f"interval {settings.vacuum_hours} hours",
            },
        )
    except (OSError, DeltaError) as error:
        raise _transient(table.name, error) from error


def _insist(table: str, commit: Callable[[], int]) -> int:
    """Commit, again where a round of maintenance came first: it may have taken away files under a handle that knew them."""
    tries = 0
    while True:
        try:
            return commit()
        except (OSError, DeltaError) as error:
            tries += 1
            if tries == _TRIES or not isinstance(error, CommitFailedError):
                raise _transient(table, error) from error


def _transient(table: str, error: Exception) -> Transient:
    return Transient(f"lake table {table}: {error}; check the disk, then try again")


def _without_stale(frame: pl.DataFrame) -> pl.DataFrame:
    value = frame["value"]
    if not value.is_nan().any():
        return frame
    stale = pl.Series(value.to_numpy().view(np.int64) == STALE)
    return frame.with_columns(pl.when(stale).then(None).otherwise(pl.col("value")).alias("value"))
