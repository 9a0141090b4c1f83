"""Housekeeping of the tables, beside a writer that goes on: expire, compact, vacuum, checkpoint."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import polars as pl
from deltalake import DeltaTable, PostCommitHookProperties
from deltalake.exceptions import DeltaError

from vedette.core.failpoints import failpoint
from vedette.lake.durable import sync, sync_checkpoint
from vedette.lake.pins import pinned
from vedette.lake.settings import LakeSettings
from vedette.lake.tables import DAY, TABLES, Table, writer_properties

_HOOKS: Final = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)

BEFORE_MAINTENANCE_COMMIT = failpoint("lake.before_maintenance_commit")


@dataclass(frozen=True, slots=True)
class Maintenance:
    """What a round of maintenance did, over all tables.

    Attributes:
        expired_days: partitions deleted because of their age.
        compacted_files: small files put together; `written_files` what became of them.
        vacuumed_files: files deleted that no version in use needs.
        checkpoints: Delta logs that got a checkpoint.
        deferred: steps that could not be done now, with the reason; the next round tries again.
    """

    expired_days: int = 0
    compacted_files: int = 0
    written_files: int = 0
    vacuumed_files: int = 0
    checkpoints: int = 0
    deferred: tuple[str, ...] = ()


def maintain(root: Path, settings: LakeSettings, today: date) -> Maintenance:
    """One round over all tables under `root`. A step that meets a conflict or a full disk is left for the next round."""
    sums = dict.fromkeys(("expired_days", "compacted_files", "written_files", "vacuumed_files", "checkpoints"), 0)
    deferred = []
    for table in TABLES.values():
        for step in (_expire, _compact, _vacuum, _checkpoint):
            try:
                for name, count in step(root / table.name, table, settings, today):
                    sums[name] += count
            except (OSError, DeltaError) as error:
                deferred.append(f"{table.name}: {step.__name__.lstrip('_')}: {error}")
    return Maintenance(**sums, deferred=tuple(deferred))


Step = Callable[[Path, Table, LakeSettings, date], Iterator[tuple[str, int]]]


def _files(handle: DeltaTable) -> pl.DataFrame:
    """The live files: path, size_bytes, num_records and, of a daily table, partition.day."""
    return pl.DataFrame(handle.get_add_actions(flatten=True))


def _expire(path: Path, table: Table, settings: LakeSettings, today: date) -> Iterator[tuple[str, int]]:
    kept = settings.retention_days.days(table.name)
    if kept is None:
        return
    oldest = today - timedelta(days=kept)
    handle = DeltaTable(path)
    old = _files(handle).filter(pl.col(f"partition.{DAY}") < oldest)
    days = sorted(set(old[f"partition.{DAY}"].to_list()) - pinned(path.parent, table.name))
    if not days:
        return
    before = handle.version()
    BEFORE_MAINTENANCE_COMMIT()
    # A predicate on the partition alone only takes files out of the log; none is read.
    listed = ", ".join(f"'{day}'" for day in days)
    handle.delete(f"{DAY} IN ({listed})", post_commithook_properties=_HOOKS)
    sync(path, range(before + 1, handle.version() + 1))
    yield "expired_days", len(days)


def _compact(path: Path, table: Table, settings: LakeSettings, today: date) -> Iterator[tuple[str, int]]:
    handle = DeltaTable(path)
    small = _files(handle).filter(pl.col("size_bytes") < settings.compact_bytes // 2)
    filters: list[list[tuple[str, str, str]] | None]
    # A closed day gets no more files, so what it has is put together once; the others wait until it is worth it.
    if table.daily:
        by_day = small.group_by(pl.col(f"partition.{DAY}").alias(DAY)).len("files")
        closed = (pl.col(DAY) < today - timedelta(days=1)) & (pl.col("files") >= 4)
        busy = by_day.filter((pl.col("files") >= settings.compact_files) | closed).sort("files", descending=True)
        filters = [[(DAY, "=", str(day))] for day in busy[DAY].head(settings.compact_days)]
    else:
        filters = [None] if small.height >= settings.compact_files else []
    for chosen in filters:
        before = handle.version()
        BEFORE_MAINTENANCE_COMMIT()
        done = handle.optimize.compact(
            partition_filters=chosen,
            target_size=settings.compact_bytes,
            max_concurrent_tasks=1,
            writer_properties=writer_properties(table),
            post_commithook_properties=_HOOKS,
        )
        sync(path, range(before + 1, handle.version() + 1))
        yield "compacted_files", done["numFilesRemoved"]
        yield "written_files", done["numFilesAdded"]


def _vacuum(path: Path, _table: Table, settings: LakeSettings, _today: date) -> Iterator[tuple[str, int]]:
    handle = DeltaTable(path)
    # Vacuum itself makes two commits: not for nothing.
    if not handle.vacuum(settings.vacuum_hours, dry_run=True, enforce_retention_duration=False):
        return
    BEFORE_MAINTENANCE_COMMIT()
    gone = handle.vacuum(settings.vacuum_hours, dry_run=False, enforce_retention_duration=False, post_commithook_properties=_HOOKS)
    yield "vacuumed_files", len(gone)


def _checkpoint(path: Path, _table: Table, settings: LakeSettings, _today: date) -> Iterator[tuple[str, int]]:
    handle = DeltaTable(path)
    names = [entry.name for entry in (path / "_delta_log").iterdir()]
    last = max((int(name[:20]) for name in names if ".checkpoint." in name and name[:20].isdigit()), default=0)
    if handle.version() - last < settings.checkpoint_commits:
        return
    BEFORE_MAINTENANCE_COMMIT()
    handle.create_checkpoint()
    sync_checkpoint(path)
    handle.cleanup_metadata()
    yield "checkpoints", 1
