"""Whether the tables are what they should be: opened, of the contract's columns, with every file whole and every row counted."""

from pathlib import Path

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from vedette.core.types import Finding
from vedette.lake.tables import DAY, TABLES, Table, delta_schema

_LOOK = "restore the directory from a backup, or move it away: what the log still holds is written again at the next start"


def verify(root: Path) -> list[Finding]:
    """Findings of every table under `root`; a table that cannot be opened has one, any other four."""
    return [finding for table in TABLES.values() for finding in _verify(root / table.name, table)]


def _verify(path: Path, table: Table) -> list[Finding]:
    try:
        handle = DeltaTable(path)
    except (OSError, DeltaError) as error:
        return [Finding(f"lake.{table.name}.opens", passed=False, measured=str(error), required="a Delta table", why=_LOOK)]
    files = pl.DataFrame(handle.get_add_actions(flatten=True))
    version = f"version {handle.version()}"
    opens = Finding(f"lake.{table.name}.opens", passed=True, measured=version, required="a Delta table", why="")
    return [opens, _schema(handle, table), _present(path, table, files), _counts(path, table, files)]


def _schema(handle: DeltaTable, table: Table) -> Finding:
    found, wanted = handle.schema(), delta_schema(table)
    partitions = handle.metadata().partition_columns
    passed = found == wanted and partitions == ([DAY] if table.daily else [])
    return Finding(
        f"lake.{table.name}.schema",
        passed=passed,
        measured="as required" if passed else f"{found}, partitioned by {partitions}",
        required=f"{list(table.schema)}",
        why="" if passed else "another program changed the table; move it away and let Vedette make a new one",
    )


def _present(path: Path, table: Table, files: pl.DataFrame) -> Finding:
    wrong = [name for name, size in files.select("path", "size_bytes").iter_rows() if not _is_whole(path / name, size)]
    return Finding(
        f"lake.{table.name}.files",
        passed=not wrong,
        measured=f"{len(wrong)} of {files.height} missing or of another size" + (f", first {wrong[0]}" if wrong else ""),
        required="every listed file there, with its size",
        why=_LOOK if wrong else "",
    )


def _is_whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _counts(path: Path, table: Table, files: pl.DataFrame) -> Finding:
    """Rows as the Delta log has them against rows as the footers of the files have them."""
    whole = files.filter([_is_whole(path / name, size) for name, size in files.select("path", "size_bytes").iter_rows()])
    listed = int(whole["num_records"].sum())
    try:
        footers = sum(pl.scan_parquet(path / name).select(pl.len()).collect().item() for name in whole["path"])
    except (OSError, pl.exceptions.PolarsError) as error:
        return Finding(f"lake.{table.name}.rows", passed=False, measured=str(error), required=f"{listed} rows", why=_LOOK)
    why = "" if footers == listed else _LOOK
    return Finding(f"lake.{table.name}.rows", passed=not why, measured=f"{footers} rows", required=f"{listed} rows", why=why)
