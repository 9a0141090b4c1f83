"""Frames to bytes and back: fixed-width columns for metrics, Arrow IPC for everything else.

The first byte names the format, so that a log written by an earlier release stays readable. Identities and values of
points are as good as random, so they are kept as they are; their times hardly differ, so only the differences are.
"""

import io
import struct
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import polars as pl

from vedette.core.errors import BadRecord
from vedette.core.frames import AT, INBOUND, conform

RAW: Final = 1
ARROW: Final = 2
#: Format, width of a time in bytes, points, and the earliest time. Then series, values, and times as differences from the earliest.
_RAW_HEADER: Final = struct.Struct("<BBxxIq")
#: Width in bytes -> how times are written: all equal, within 71 minutes of the earliest, anything.
_TIMES: Final = {0: "", 4: "<u4", 8: "<i8"}
#: Below this many bytes compression costs more than it saves.
_SMALL: Final = 2048


def encode(table: str, frame: pl.DataFrame) -> bytes:
    """The payload of a frame with the schema `INBOUND[table]`.

    Raises:
        TypeError: the columns are not those of the table.

    >>> one = pl.DataFrame({"series": [1], "at": [0], "value": [2.0]}, schema=INBOUND["metrics"])
    >>> decode("metrics", encode("metrics", one)).equals(one)
    True
    """
    conform(frame, INBOUND[table])
    if table == "metrics" and not any(column.null_count() for column in frame.iter_columns()):
        return _packed(frame)
    buffer = io.BytesIO()
    buffer.write(bytes([ARROW]))
    compression: Literal["uncompressed", "zstd"] = "uncompressed" if frame.estimated_size() < _SMALL else "zstd"
    frame.write_ipc_stream(buffer, compression=compression)
    return buffer.getvalue()


def decode(table: str, payload: bytes) -> pl.DataFrame:
    """The frame that `encode` was given.

    Raises:
        BadRecord: the bytes are of an unknown format, cut, or of another table.
    """
    return decode_all(table, [payload])


def decode_all(table: str, payloads: Sequence[bytes]) -> pl.DataFrame:
    """All rows of `payloads`, in their order, as one frame: much cheaper than a frame for each.

    Raises:
        BadRecord: as `decode`.
    """
    frames: list[pl.DataFrame] = []
    run: list[bytes] = []
    for payload in payloads:
        if payload[:1] == b"\x01":
            run.append(payload)
            continue
        if run:
            frames.append(_raw(table, run))
            run = []
        frames.append(_arrow(table, payload))
    if run:
        frames.append(_raw(table, run))
    return frames[0] if len(frames) == 1 else pl.concat(frames, rechunk=True)


def _packed(frame: pl.DataFrame) -> bytes:
    # A cast that changes nothing but the type is free; `to_physical` goes through the lazy engine, 60 us a call.
    at = frame["at"].cast(pl.Int64).to_numpy()
    first, last = (int(at.min()), int(at.max())) if at.size else (0, 0)
    width = 0 if first == last else 4 if last - first < 1 << 32 else 8
    times = (at - first).astype(_TIMES[width]).tobytes() if width else b""
    header = _RAW_HEADER.pack(RAW, width, frame.height, first)
    return b"".join((header, frame["series"].to_numpy().tobytes(), frame["value"].to_numpy().tobytes(), times))


def _raw(table: str, payloads: Sequence[bytes]) -> pl.DataFrame:
    if table != "metrics":
        raise BadRecord(f"raw columns in table '{table}'; only metrics are written so")
    headers = [_header(payload) for payload in payloads]
    ends = np.cumsum([rows for _, rows, _ in headers])
    series, at, value = np.empty(ends[-1], "<i8"), np.empty(ends[-1], "<i8"), np.empty(ends[-1], "<f8")
    for payload, end, (width, rows, first) in zip(payloads, ends.tolist(), headers, strict=True):
        begin, place = end - rows, _RAW_HEADER.size
        series[begin:end] = np.frombuffer(payload, "<i8", rows, place)
        value[begin:end] = np.frombuffer(payload, "<f8", rows, place + 8 * rows)
        at[begin:end] = first
        if width:
            at[begin:end] += np.frombuffer(payload, _TIMES[width], rows, place + 16 * rows)
    return pl.DataFrame([pl.Series("series", series), pl.Series("at", at).cast(AT), pl.Series("value", value)])


def _header(payload: bytes) -> tuple[int, int, int]:
    """Width of a time, points, and the earliest time."""
    if len(payload) < _RAW_HEADER.size:
        raise BadRecord(f"a payload of {len(payload)} bytes is cut")
    _, width, rows, first = _RAW_HEADER.unpack_from(payload)
    if width not in _TIMES or len(payload) != _RAW_HEADER.size + (16 + width) * rows:
        raise BadRecord(f"{len(payload)} bytes do not hold {rows} points")
    return width, rows, first


def _arrow(table: str, payload: bytes) -> pl.DataFrame:
    if payload[:1] != bytes([ARROW]):
        raise BadRecord(f"unknown payload format {payload[:1].hex() or 'of no bytes'}; it was written by a later release")
    try:
        return conform(pl.read_ipc_stream(io.BytesIO(payload[1:])), INBOUND[table])
    except (pl.exceptions.PolarsError, TypeError, OSError) as error:
        raise BadRecord(f"table '{table}' cannot be read: {error}") from error
