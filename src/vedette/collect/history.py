"""Files of the past as deliveries: the same rows give the same keys, so that importing a file twice adds nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b, sha256
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from vedette.collect.columns import FOREVER, ROWS, Columns, Rows, Table
from vedette.collect.limits import Limits
from vedette.collect.lines import TIME, believed, log_rows
from vedette.collect.readers import PACKED, Handles, Reader, reader
from vedette.collect.records import TextSettings, records
from vedette.collect.series import SeriesTable
from vedette.collect.tail import BOMS, Tail
from vedette.collect.truth import Truth
from vedette.core.errors import BadRecord, ConfigError, NotFound
from vedette.core.frames import DEAD_LETTERS, from_rows
from vedette.core.types import Delivery, Fault

BLOCK: Final = 4 << 20
#: How many rows of each frame are told of in words; all of them are set aside.
FAULTS: Final = 10
KEPT_BYTES: Final = 4096
NULLS: Final = ["NA", "N/A", "null", "NULL", "None"]
SEPARATORS: Final = {".csv": ",", ".tsv": "\t"}
LINES: Final = (".jsonl", ".ndjson", ".json")
#: What holds several files is not opened: it names their places itself, and may hold itself.
SEVERAL: Final = (".zip", ".tar", ".tgz", ".7z", ".rar")

Progress = Callable[[int, int], None]


def _silent(rows: int, read: int) -> None:
    """Where nobody watches."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some rows of a file, which of its rows is the first of them, and how many of its bytes have been read."""

    frame: pl.DataFrame
    first: int
    read: int


def read(
    path: Path,
    *,
    limits: Limits,
    table: SeriesTable,
    source: str = "import",
    mapping: Columns | None = None,
    text: TextSettings | None = None,
    window: tuple[int, int] = FOREVER,
    progress: Progress = _silent,
    truth: Truth | None = None,
    now: int = 0,
) -> Iterator[Delivery]:
    """The rows of `path` in pieces of some 50,000, each with a key made of its content and all that came before it.

    Parquet, CSV, TSV and JSON lines are tables (the latter three packed as .gz, .bz2, .xz or .zst, or not); every other file
    is read as a log. A file is read piece by piece, never whole; one that has grown by whole pieces gives the keys of before
    for those it had. A row whose time or number is none, or is not believed, is set aside as a dead letter.

    Args:
        path: the file; its ending says what it is.
        limits: `line_bytes` bounds a log line, `decoded_bytes` a row of a table.
        table: gives the series their identity.
        source: the name the rows are kept under.
        mapping: what the columns of a table are, where their names and kinds do not say it.
        text: how a log is read; times that name no zone are UTC by default.
        window: the earliest and latest time believed, UTC microseconds; history may be older than what live sources may send.
        progress: is called with the rows taken and the bytes of the file read so far.
        truth: is told what the column `mapping.truth` says of the rows.
        now: UTC microseconds, for log lines before the first that names a time; 0 takes the time of the file's last change.

    Raises:
        NotFound: there is no such file.
        ConfigError: columns that `mapping` names are not there; each is listed.
        BadRecord: it is no such table, columns are missing, or none of its first rows can be taken; what was found and
            expected is named.
    """
    if not path.is_file():
        raise NotFound(f"{path}: no such file; give the path of one")
    if _plain_name(path).endswith(SEVERAL):
        raise BadRecord(f"{path}: an archive of several files is not opened; unpack it and import what it holds")
    observed = now or path.stat().st_mtime_ns // 1000
    mapping = mapping or Columns()
    chain, taken = blake2b(digest_size=16), 0
    try:
        if _table_ending(path):
            found = _tables(path, limits, mapping, table, source=source, observed=observed, window=window)
        else:
            found = _logs(path, limits, text or TextSettings(zone="UTC"), table, source=source, observed=observed, window=window)
        for rows, first, done in found:
            chain.update(_content(rows))
            delivery = _delivery(rows, first, table, source=source, partition=path.name, observed=observed)
            taken += rows.frame.height
            if truth is not None and rows.wrong is not None:
                truth.add(rows.frame["series"], rows.frame["at"], rows.wrong)
            if delivery.records:
                yield Delivery(source, delivery.frames, faults=delivery.faults, key=chain.hexdigest())
            progress(taken, done)
    except ConfigError as error:
        raise ConfigError([f"{path}: {fault}" for fault in error.faults]) from error
    except BadRecord as error:
        raise BadRecord(f"{path}: {error.reason}", field=error.field, position=error.position) from error


def _delivery(rows: Rows, first: int, table: SeriesTable, *, source: str, partition: str, observed: int) -> Delivery:
    """The rows with the definitions they need, and what was set aside, by its place in the file."""
    frames = {rows.table: rows.frame}
    if "series" in rows.frame.columns:
        frames["series"] = table.definitions(rows.frame["series"].unique(maintain_order=True).to_list())
    faults = tuple(Fault(first + row, field, reason) for row, field, reason, _ in rows.bad)
    if rows.bad:
        payloads = [payload[:KEPT_BYTES] for *_, payload in rows.bad]
        letters = [
            (observed, partition, fault.position, str(fault), sha256(payload).hexdigest(), payload)
            for fault, payload in zip(faults, payloads, strict=True)
        ]
        frames["dead_letters"] = from_rows(letters, DEAD_LETTERS)
    return Delivery(source, frames, faults=faults[:FAULTS])


def _content(rows: Rows) -> bytes:
    """What the rows say, as bytes that are the same on every machine."""
    frame = rows.frame
    at = frame["at"].to_physical().to_numpy().tobytes()
    if rows.table == "events":
        told = frame.select(
            pl.col("starts_at", "ends_at").to_physical().cast(pl.String), "key", "status", "title", pl.col("labels").map.entries()
        )
        return at + "\n".join(told.select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list()).encode()
    at += frame["series"].to_numpy().tobytes()
    if rows.table == "metrics":
        return at + frame["value"].to_numpy().tobytes()
    return at + "\n".join(frame["body"].to_list()).encode("utf-8", "surrogatepass")


def _plain_name(path: Path) -> str:
    """The name in lower case without the ending of an archive."""
    return path.stem.lower() if path.suffix.lower() in PACKED else path.name.lower()


def _table_ending(path: Path) -> bool:
    return path.name.lower().endswith(".parquet") or _plain_name(path).endswith((*SEPARATORS, *LINES))


def _tables(
    path: Path,
    limits: Limits,
    mapping: Columns,
    table: SeriesTable,
    *,
    source: str,
    observed: int,
    window: tuple[int, int],
) -> Iterator[tuple[Rows, int, int]]:
    """(rows, number of the first, bytes read so far) of a table's file."""
    reading: Table | None = None
    pieces = _parquet(path) if path.name.lower().endswith(".parquet") else _blocks(path, limits)
    try:
        for piece in pieces:
            if reading is None:
                reading = Table(piece.frame, mapping, table, source=source, file=path.name, observed=observed, window=window)
            for offset in range(0, piece.frame.height, reading.step):
                rows = reading.rows(piece.frame.slice(offset, reading.step), piece.first + offset)
                if rows.bad and not rows.frame.height and not piece.first + offset:
                    row, field, reason, _ = rows.bad[0]
                    raise BadRecord(f"{reason}; no row could be taken", field=field, position=row)
                yield rows, piece.first + offset, piece.read
    except pl.exceptions.PolarsError as error:
        raise BadRecord(f"cannot be read as a table: {error}") from error


def _parquet(path: Path) -> Iterator[_Piece]:
    lazy = pl.scan_parquet(path)
    total, size, first = lazy.select(pl.len()).collect().item(), path.stat().st_size, 0
    for frame in lazy.collect_batches(chunk_size=ROWS, maintain_order=True):
        yield _Piece(frame, first, size * (first + frame.height) // max(1, total))
        first += frame.height


def _blocks(path: Path, limits: Limits) -> Iterator[_Piece]:
    """Whole rows of a file of text, some megabytes at a time."""
    name = _plain_name(path)
    separator = next((mark for ending, mark in SEPARATORS.items() if name.endswith(ending)), "")
    header, first = b"", 0
    with path.open("rb") as file:
        source = reader(file, path.name, limits.decoded_bytes)
        for raw, place in _whole_rows(source, limits.decoded_bytes, quoted=bool(separator)):
            if not separator:
                frame = pl.read_ndjson(BytesIO(raw), infer_schema_length=None)
            else:
                body = raw
                if not header:
                    header = raw[: raw.find(b"\n") + 1]
                    body = raw[len(header) :]
                frame = pl.read_csv(
                    header + body, separator=separator, infer_schema=False, null_values=NULLS, encoding="utf8-lossy"
                )
            yield _Piece(frame, first, place)
            first += frame.height
        if source.fault:
            raise BadRecord(f"the archive cannot be read beyond row {first}: {source.fault}")


def _whole_rows(source: Reader, most: int, *, quoted: bool) -> Iterator[tuple[bytes, int]]:
    """Bytes up to the end of a row, and the place in the file; a line feed between quotes ends none."""
    at, held = 0, b""
    while block := source.read(at, BLOCK):
        at += len(block)
        held += block
        raw = np.frombuffer(held, np.uint8)
        ends = np.flatnonzero(raw == ord("\n"))
        if quoted:
            ends = ends[np.cumsum(raw == ord('"'), dtype=np.uint8)[ends] % 2 == 0]  # of which only the parity counts
        if ends.size:
            cut = int(ends[-1]) + 1
            yield held[:cut], source.place(at)
            held = held[cut:]
        if len(held) > most:
            raise BadRecord(f"a row is longer than {most} bytes; is a quote not closed?")
    if held.strip():
        yield held + b"\n", source.place(at)


def _logs(
    path: Path,
    limits: Limits,
    settings: TextSettings,
    table: SeriesTable,
    *,
    source: str,
    observed: int,
    window: tuple[int, int],
) -> Iterator[tuple[Rows, int, int]]:
    """(rows, number of the first, bytes read so far) of a file of lines. A line without a time has that of the one before."""
    series = table.resolve(source, "log_stream", {"file": path.name}, "stream")
    stat = path.stat()
    files = Handles(1, limits.decoded_bytes)
    tail = Tail(str(path), f"{stat.st_dev}:{stat.st_ino}", files)
    last = pl.Series([None], dtype=pl.Datetime("us", "UTC"))
    first = 0
    try:
        head = tail.read(0, 4)
        tail.encoding = next((name for mark, name in BOMS if head.startswith(mark)), settings.encoding)
        while (found := _lines(tail, settings, limits.line_bytes // 2 * 2)) is not None:
            bodies, marks = found
            at, odd = believed(bodies, observed, settings.zone or "UTC", window)
            at = last.append(at).fill_null(strategy="forward")[1:].fill_null(strategy="backward")
            last = at[-1:]
            rows = log_rows(bodies, marks.with_columns(odd.alias(TIME)), at, series=series, observed=observed)
            yield Rows("logs", rows), first, tail.reader.place(tail.offset)
            first += rows.height
        if tail.reader.fault:
            raise BadRecord(f"the archive cannot be read beyond line {first}: {tail.reader.fault}")
    finally:
        files.close()


def _lines(tail: Tail, settings: TextSettings, line_bytes: int) -> tuple[pl.Series, pl.DataFrame] | None:
    """The next records of `tail`, as many as make a delivery, with their marks; None at the end."""
    bodies, marks, count = [], [], 0
    full = max(ROWS - settings.multiline_lines, 1) if settings.multiline != "none" else ROWS
    while count < full and (piece := tail.next_lines(max(ROWS - count, settings.multiline_lines + 1), line_bytes, final=True)):
        taken = records(piece, settings, tail.encoding, waits=False, full_bytes=line_bytes // 2)
        if taken is None:
            break
        tail.offset = taken.after
        bodies.append(taken.bodies)
        marks.append(taken.marks)
        count += len(taken.bodies)
    return (pl.concat(bodies), pl.concat(marks, how="diagonal")) if bodies else None
