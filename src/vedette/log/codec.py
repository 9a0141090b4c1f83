"""Frames to bytes and back: raw fixed-width columns for metrics, Arrow IPC for everything else.

The first byte names the format, so that a log written by an earlier release stays readable.
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
_RAW_HEADER: Final = struct.Struct("<BxxxI")
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
        columns = (column.to_physical().to_numpy().tobytes() for column in frame.iter_columns())
        return b"".join((_RAW_HEADER.pack(RAW, frame.height), *columns))
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


def _raw(table: str, payloads: Sequence[bytes]) -> pl.DataFrame:
    if table != "metrics":
        raise BadRecord(f"raw columns in table '{table}'; only metrics are written so")
    parts: tuple[list[np.ndarray], ...] = ([], [], [])
    for payload in payloads:
        if len(payload) < _RAW_HEADER.size:
            raise BadRecord(f"a payload of {len(payload)} bytes is cut")
        _, rows = _RAW_HEADER.unpack_from(payload)
        if len(payload) != _RAW_HEADER.size + 24 * rows:
            raise BadRecord(f"{len(payload)} bytes do not hold {rows} points")
        for place, (part, dtype) in enumerate(zip(parts, ("<i8", "<i8", "<f8"), strict=True)):
            part.append(np.frombuffer(payload, dtype, rows, _RAW_HEADER.size + 8 * rows * place))
    series, at, value = (np.concatenate(part) for part in parts)
    return pl.DataFrame([pl.Series("series", series), pl.Series("at", at).cast(AT), pl.Series("value", value)])


def _arrow(table: str, payload: bytes) -> pl.DataFrame:
    if payload[:1] != bytes([ARROW]):
        raise BadRecord(f"unknown payload format {payload[:1].hex() or 'of no bytes'}; it was written by a later release")
    try:
        return conform(pl.read_ipc_stream(io.BytesIO(payload[1:])), INBOUND[table])
    except (pl.exceptions.PolarsError, TypeError, OSError) as error:
        raise BadRecord(f"table '{table}' cannot be read: {error}") from error
