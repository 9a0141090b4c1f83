"""Files of the past as deliveries: the same file gives the same keys, so that importing it twice adds nothing."""

import gzip
from collections.abc import Callable, Iterator
from datetime import UTC
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, Final, cast

import polars as pl

from vedette.collect.files import log_rows
from vedette.collect.limits import Limits
from vedette.collect.series import SeriesTable
from vedette.core.errors import BadRecord, NotFound
from vedette.core.frames import AT, METRICS
from vedette.core.types import Delivery

ROWS: Final = 50_000
NAMES: Final = {
    "series": ("series", "name", "metric", "kpi", "KPI ID"),
    "timestamp": ("timestamp", "at", "time"),
    "value": ("value",),
}
#: A whole number is seconds, milliseconds, microseconds or nanoseconds by its size: these lie centuries apart.
UNITS: Final = ((100_000_000_000, 1_000_000), (100_000_000_000_000, 1_000), (100_000_000_000_000_000, 1))
ENDINGS: Final = (".parquet", ".csv", ".csv.gz", ".jsonl", ".ndjson", ".jsonl.gz")


def read(
    path: Path,
    *,
    limits: Limits,
    table: SeriesTable,
    source: str = "import",
    progress: Callable[[int], None] = lambda _: None,
    now: int = 0,
) -> Iterator[Delivery]:
    """The rows of `path` in pieces of 50,000, each with a key made of the file's content and its place in it.

    Parquet, CSV and JSON lines (packed by gzip or not) hold `series,timestamp,value`, with any further columns
    as labels; every other file is read as a log.

    Args:
        path: the file; its ending says what it is.
        limits: `line_bytes` bounds a log line.
        table: gives the series their identity.
        source: the name the rows are kept under.
        progress: is called with the rows read so far.
        now: UTC microseconds, for log lines that name no time; 0 takes the time of the file's last change.

    Raises:
        NotFound: there is no such file.
        BadRecord: columns are missing or a number is none; what was found and expected is named.
    """
    if not path.is_file():
        raise NotFound(f"{path}: no such file")
    digest = _digest(path)
    done = 0
    lower = path.name.lower()
    pieces = _metrics(path, table, source) if lower.endswith(ENDINGS) else _logs(path, limits, table, source, now)
    for index, delivery in enumerate(pieces):
        done += delivery.records
        yield Delivery(source, delivery.frames, key=f"{digest}:{index}")
        progress(done)


def _digest(path: Path) -> str:
    total = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def _frame(path: Path) -> pl.DataFrame:
    name = path.name.lower()
    try:
        if name.endswith(".parquet"):
            return pl.read_parquet(path)
        if name.endswith((".csv", ".csv.gz")):
            return pl.read_csv(path, infer_schema_length=10_000)
        with gzip.open(path) if name.endswith(".gz") else path.open("rb") as file:
            return pl.read_ndjson(file.read(), infer_schema_length=10_000)
    except (pl.exceptions.PolarsError, gzip.BadGzipFile, EOFError) as error:
        raise BadRecord(f"{path}: cannot be read as a table: {error}") from error


def _metrics(path: Path, table: SeriesTable, source: str) -> Iterator[Delivery]:
    frame = _frame(path)
    chosen = {wanted: next((each for each in names if each in frame.columns), None) for wanted, names in NAMES.items()}
    missing = [wanted for wanted, found in chosen.items() if found is None]
    if missing:
        raise BadRecord(f"{path}: found the columns {frame.columns}, expected series, timestamp, value", field=missing[0])
    columns = cast("dict[str, str]", chosen)
    labels = [name for name in frame.columns if name not in columns.values() and frame.schema[name] == pl.String]
    frame = frame.select(
        pl.col(columns["series"]).cast(pl.String).alias("__name"),
        _times(frame[columns["timestamp"]], path).alias("at"),
        _numbers(frame[columns["value"]], path).alias("value"),
        *labels,
    )
    keys = ["__name", *labels]
    distinct = frame.select(keys).unique(maintain_order=True)
    ids = [
        table.resolve(source, row[0] or "unnamed", {key: text for key, text in zip(labels, row[1:], strict=True) if text})
        for row in distinct.iter_rows()
    ]
    frame = frame.join(
        distinct.with_columns(pl.Series("series", ids, pl.Int64)), on=keys, how="left", maintain_order="left", nulls_equal=True
    )
    for piece in frame.select(list(METRICS)).iter_slices(ROWS):
        yield Delivery(source, {"series": table.definitions(piece["series"].unique(maintain_order=True)), "metrics": piece})


def _times(column: pl.Series, path: Path) -> pl.Series:
    """UTC microseconds of times, text or whole numbers."""
    if column.dtype == pl.String:
        number = column.cast(pl.Int64, strict=False)
        if number.null_count() == column.null_count():
            column = number
        else:
            text = column.str.replace("T", " ", literal=True).str.strip_suffix("Z")
            times = text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False).dt.replace_time_zone("UTC")
            return _whole(times, column, path, "timestamp")
    if column.dtype.is_numeric():
        frame = pl.DataFrame({"n": column.cast(pl.Float64 if column.dtype.is_float() else pl.Int64)})
        scaled = pl.col("n") // 1000
        for bound, factor in reversed(UNITS):
            scaled = pl.when(pl.col("n").abs() < bound).then(pl.col("n") * factor).otherwise(scaled)
        return frame.select(scaled.cast(pl.Int64).cast(AT))["n"]
    if isinstance(column.dtype, pl.Datetime):
        aware = column.dt.replace_time_zone("UTC") if column.dtype.time_zone is None else column
        return aware.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    raise BadRecord(f"{path}: expected a time, got {column.dtype}", field="timestamp")


def _numbers(column: pl.Series, path: Path) -> pl.Series:
    return _whole(column.cast(pl.Float64, strict=False), column, path, "value")


def _whole(made: pl.Series, given: pl.Series, path: Path, field: str) -> pl.Series:
    """`made` itself where nothing that was given became nothing."""
    lost = made.is_null() & given.is_not_null()
    if lost.any():
        row = int(lost.arg_max() or 0)
        what = "a number" if field == "value" else "a time"
        raise BadRecord(f"{path}: expected {what}, got {given[row]!r}", field=field, position=row)
    return made


def _logs(path: Path, limits: Limits, table: SeriesTable, source: str, now: int) -> Iterator[Delivery]:
    observed = now or path.stat().st_mtime_ns // 1000
    series = table.resolve(source, "log_stream", {"file": path.name}, "stream")
    with cast("BinaryIO", gzip.open(path)) if path.suffix == ".gz" else path.open("rb") as file:
        lines = iter(lambda: file.readline(limits.line_bytes), b"")
        while first := next(lines, None):
            texts, attributes = [], []
            for raw in islice(chain([first], lines), ROWS):
                length = len(raw)
                while not raw.endswith(b"\n") and (rest := file.readline(limits.line_bytes)):
                    length += len(rest)
                    if rest.endswith(b"\n"):
                        break
                texts.append(raw.rstrip(b"\r\n").decode("utf-8", "backslashreplace"))
                attributes.append({"vedette.truncated": str(length)} if length > len(raw) else {})
            logs = log_rows(pl.Series(texts, dtype=pl.String), attributes, series, observed, UTC)
            yield Delivery(source, {"series": table.definitions([series]), "logs": logs})
