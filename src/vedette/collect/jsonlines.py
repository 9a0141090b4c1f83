"""JSON and text as senders really write them: bounded depth, numbers that are numbers, times that say their zone."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar, cast

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from vedette.collect.lines import instants as clock_times
from vedette.core.errors import BadRecord
from vedette.core.frames import LABELS, Schema

T = TypeVar("T")
Json = dict[str, Any]
Ints = NDArray[np.int64]
Marks = NDArray[np.bool_]

#: Attribute of a log record whose text was not valid Unicode and was escaped by `reversible`.
ENCODING: Final = "vedette.encoding"
BACKSLASH: Final = "backslashreplace"

_SECOND: Final = {"s": 1_000_000.0, "ms": 1_000.0, "us": 1.0, "ns": 0.001}
_PLAIN_TIME: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_ESCAPES: Final = re.compile(r"\\(?:\\|x[0-9a-f]{2})")


def reversible(raw: bytes) -> tuple[str, bool]:
    r"""Text from bytes, and whether it had to be escaped. Valid UTF-8 is taken as it is.

    Otherwise backslashes are doubled and each invalid byte becomes `\xNN`, so that `restore` gives back the very bytes.

    >>> reversible(b"caf\xc3\xa9"), reversible(b"caf\xe9")
    (('café', False), ('caf\\xe9', True))
    """
    try:
        return raw.decode(), False
    except UnicodeDecodeError:
        return raw.replace(b"\\", b"\\\\").decode("utf-8", BACKSLASH), True


def texts(raws: Sequence[bytes]) -> tuple[pl.Series, pl.Series]:
    r"""`reversible` over a column: the texts, and `backslashreplace` where one had to be escaped, else null.

    >>> [column.to_list() for column in texts([b"up", b"caf\xe9"])]
    [['up', 'caf\\xe9'], [None, 'backslashreplace']]
    """
    column = pl.Series("text", raws, dtype=pl.Binary)
    try:
        return column.cast(pl.String), pl.Series(ENCODING, [None], dtype=pl.String).new_from_index(0, len(column))
    except pl.exceptions.ComputeError:
        found = [reversible(raw) for raw in raws]
    marks = [BACKSLASH if escaped else None for _, escaped in found]
    return pl.Series("text", [text for text, _ in found], dtype=pl.String), pl.Series(ENCODING, marks, dtype=pl.String)


def restore(text: str) -> bytes:
    r"""The bytes from which `reversible` made an escaped text.

    >>> restore(reversible(b"\\\xe9")[0])
    b'\\\xe9'
    """
    parts = _ESCAPES.split(text)
    found = [b"\\" if escape == "\\\\" else bytes.fromhex(escape[2:]) for escape in _ESCAPES.findall(text)]
    return b"".join(part.encode() + escape for part, escape in zip(parts, [*found, b""], strict=True))


def check_depth(raw: bytes, limit: int) -> None:
    """Raise BadRecord where brackets nest deeper than `limit`; reads once, without recursion."""
    if raw.count(b"[") + raw.count(b"{") <= limit:
        return
    depth = 0
    for token in _BRACKETS.finditer(raw):
        first = raw[token.start()]
        if first in b"[{":
            depth += 1
            if depth > limit:
                raise BadRecord(f"JSON nests deeper than {limit} levels at byte {token.start()}")
        elif first in b"]}":
            depth -= 1


def document(raw: bytes, depth: int) -> Any:  # noqa: ANN401 -- a JSON document is any of its types
    """One JSON document, strictly.

    Raises:
        BadRecord: not UTF-8, not JSON, or nested too deep.
    """
    check_depth(raw, depth)
    try:
        return msgspec.json.decode(raw.removeprefix(b"\xef\xbb\xbf"))
    except UnicodeDecodeError as error:
        raise BadRecord(f"invalid UTF-8: {error.reason} at byte {error.start}") from error
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadRecord(str(error)) from error


def record(raw: bytes, depth: int) -> tuple[Json, bool]:
    """One JSON object of a push, and whether invalid Unicode in it had to be escaped.

    Numbers out of range and NaN are read, so that the field they stand in can be named by `number`.
    """
    check_depth(raw, depth)
    escaped = False
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        found, escaped = _tolerant(raw)
    if not isinstance(found, dict):
        raise BadRecord(f"expected a JSON object, got {kind_of(found)}")
    return found, escaped


def _tolerant(raw: bytes) -> tuple[Any, bool]:
    text = raw.decode("utf-8", "surrogateescape")
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadRecord(f"expected a JSON object, got text that is not JSON: {error}".encode(errors=BACKSLASH).decode()) from error
    marks: list[bool] = []
    return _escape(found, marks), bool(marks)


def _escape(found: Any, marks: list[bool]) -> Any:  # noqa: ANN401 -- walks any JSON value; its depth is bounded already
    if isinstance(found, dict):
        return {_escape(key, marks): _escape(value, marks) for key, value in found.items()}
    if isinstance(found, list):
        return [_escape(value, marks) for value in found]
    if not isinstance(found, str) or found.isascii():
        return found
    try:
        found.encode()
    except UnicodeEncodeError:
        marks.append(True)
        try:
            return reversible(found.encode("utf-8", "surrogateescape"))[0]
        except UnicodeEncodeError:
            return found.replace("\\", "\\\\").encode("utf-8", BACKSLASH).decode()
    return found


def kind_of(value: object) -> str:
    """The JSON name of a value's type, for messages.

    >>> kind_of(None), kind_of([1]), kind_of("7")
    ('null', 'an array', "the string '7'")
    """
    if isinstance(value, str):
        return f"the string {value[:64]!r}"
    if isinstance(value, bool) or value is None:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "an object"
    return "an array" if isinstance(value, list) else f"the number {value!r:.64}" if isinstance(value, float) else "a number"


def number(value: object, field: str) -> float:
    """A finite number; a string that looks like one is not.

    >>> number(2**63, "value")
    9.223372036854776e+18
    >>> number("1", "value")
    Traceback (most recent call last):
    vedette.core.errors.BadRecord: field 'value': expected a finite number, got the string '1'
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            if math.isfinite(value):
                return float(value)
        except OverflowError:
            pass
    raise BadRecord(f"expected a finite number, got {kind_of(value)}", field=field)


def instant(value: object, field: str, window: tuple[int, int], unit: str | None = None) -> int:
    """UTC microseconds of an ISO 8601 time with its zone, or of a number in the declared `unit`. Nothing is guessed.

    Raises:
        BadRecord: neither, or outside `window` (earliest and latest believed, UTC microseconds).

    >>> instant("2026-01-01T00:00:00Z", "timestamp", (0, 2**62)), instant(1.5, "timestamp", (0, 2**62), "s")
    (1767225600000000, 1500000)
    """
    at = _iso(value, field) if isinstance(value, str) else _numeric(value, field, unit)
    if not window[0] <= at <= window[1]:
        raise BadRecord(f"expected a time within retention and not ahead of the clock, got {value!r:.64}", field=field)
    return int(at)


def _iso(text: str, field: str) -> float:
    expected = f"expected an ISO 8601 time with a zone such as 2026-01-31T12:00:00Z, got {text[:64]!r}"
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            raise BadRecord(expected, field=field)
        whole = time.replace(microsecond=0).timestamp()
    except (ValueError, OverflowError) as error:
        raise BadRecord(expected, field=field) from error
    return int(whole) * 1_000_000 + time.microsecond


def _numeric(value: object, field: str, unit: str | None) -> float:
    if unit is None:
        raise BadRecord(f"expected an ISO 8601 time (no time_unit is declared for numbers), got {kind_of(value)}", field=field)
    if isinstance(value, int) and not isinstance(value, bool):
        return value * 1_000_000 if unit == "s" else value * 1_000 if unit == "ms" else value if unit == "us" else value // 1_000
    return number(value, field) * _SECOND[unit]


def instants(values: Sequence[object], window: tuple[int, int], unit: str | None = None) -> tuple[Ints, Marks]:
    """`instant` of a whole column where that is plain: UTC microseconds, and which of them are to be believed.

    Those it does not vouch for are not necessarily wrong: `instant` decides about each, and says why.

    >>> instants(["2026-01-01T00:00:00Z", "2026-01-01"], (0, 2**62))
    (array([1767225600000000,                0]), array([ True, False]))
    """
    kinds = set(map(type, values))
    at, sure = np.zeros(len(values), np.int64), np.zeros(len(values), np.bool_)
    if kinds == {str}:
        texts = pl.Series(values, dtype=pl.String)
        read = clock_times(texts).to_physical()
        plain = texts.str.contains(_PLAIN_TIME) & read.is_between(*window).fill_null(value=False)
        return read.fill_null(0).to_numpy() * plain.to_numpy(), plain.to_numpy()
    if kinds == {int} and unit is not None:
        try:
            given = np.array(values, np.int64)
        except OverflowError:
            return at, sure
        scale = int(_SECOND[unit]) or 1
        low, high = (window[0] * 1000, window[1] * 1000 + 999) if unit == "ns" else (-(-window[0] // scale), window[1] // scale)
        sure = (given >= low) & (given <= high)
        kept = np.where(sure, given, 0)
        return kept // 1000 if unit == "ns" else kept * scale, sure
    return at, sure


def words(value: object, field: str, labels: int, size: int) -> dict[str, str]:
    """A JSON object whose values are text, within `labels` entries of `size` bytes; null or absent is empty."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise BadRecord(f"expected an object of strings, got {kind_of(value)}", field=field)
    if len(value) > labels:
        raise BadRecord(f"expected at most {labels} entries, got {len(value)}", field=field)
    for key, text in value.items():
        if not isinstance(text, str):
            raise BadRecord(f"expected a string, got {kind_of(text)}", field=f"{field}.{key[:64]}")
        if len(key.encode()) > size or len(text.encode()) > size:
            raise BadRecord(f"expected at most {size} bytes", field=f"{field}.{key[:64]}")
    return dict(value)


def each(decode: Callable[[Any], T], items: Sequence[Any]) -> list[T]:
    """`decode` of each item; a BadRecord says at which position it arose."""
    found = []
    for position, item in enumerate(items):
        try:
            found.append(decode(item))
        except BadRecord as error:
            raise BadRecord(error.reason, field=error.field, position=position, status=error.status) from error
    return found


def frame(rows: Sequence[tuple[object, ...]], schema: Schema) -> pl.DataFrame:
    """Rows as columns.

    >>> from vedette.core.frames import SERIES
    >>> frame([(1, "up", {"job": "a"}, "gauge", "")], SERIES)["labels"].to_list()
    [{'job': 'a'}]
    """
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    series = [
        maps(cast("Sequence[Mapping[str, str]]", values)).alias(name) if dtype == LABELS else pl.Series(name, values, dtype)
        for (name, dtype), values in zip(schema.items(), columns, strict=True)
    ]
    return pl.DataFrame(series)


def maps(values: Sequence[Mapping[str, str]]) -> pl.Series:
    """A column of maps. Handed dictionaries, Polars 2.1 needs 150 us for each; handed keys and values, a few.

    >>> maps([{"a": "1", "b": "2"}, {}]).to_list()
    [{'a': '1', 'b': '2'}, {}]
    """
    sizes = np.fromiter(map(len, values), np.int64, len(values))
    none = pl.Series("map", [{}], dtype=LABELS)
    if not sizes.any():
        return none.new_from_index(0, len(values))
    entries = pl.DataFrame(
        {
            "row": np.repeat(np.arange(len(values)), sizes),
            "key": pl.Series([key for each in values for key in each], dtype=pl.String),
            "value": pl.Series([text for each in values for text in each.values()], dtype=pl.String),
        }
    )
    made = entries.group_by("row", maintain_order=True).agg(pl.struct("key", "value").alias("map"))["map"].cast(LABELS)
    if len(made) == len(values):
        return made
    filled = sizes > 0
    return pl.concat([none, made]).gather(np.cumsum(filled) * filled)


def plain(value: object) -> str:
    """A JSON value as text: strings as they are, anything else as JSON.

    >>> plain("a"), plain(True), plain([1, "b"])
    ('a', 'true', '[1,"b"]')
    """
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
