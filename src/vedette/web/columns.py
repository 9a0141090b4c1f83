"""From what a client sent to the columns that a model takes, and back. What is wrong is told by field and position."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
import polars as pl

from vedette.core.errors import BadRecord
from vedette.core.ports import Frame

#: Characters of one text.
TEXT: Final = 65_536
#: May come as ISO 8601 where it is declared as INT64: UTC microseconds then.
TIMESTAMP: Final = "timestamp"
#: What msgspec raises at what it cannot read.
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_PLACE: Final = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_FIRST: Final = re.compile(r"\[(\d+)\]")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INTEGERS: Final = frozenset({"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"})


@dataclass(frozen=True, slots=True)
class Datatype:
    """One of the datatypes of the Open Inference Protocol that a model may declare.

    Attributes:
        dtype: of the column.
        element: of what is sent, in msgspec's terms.
        sent: the datatypes under which it may be sent.
    """

    dtype: type[pl.DataType]
    element: Any
    sent: frozenset[str]


DATATYPES: Final = {
    "BYTES": Datatype(pl.String, Annotated[str, msgspec.Meta(max_length=TEXT)], frozenset({"BYTES"})),
    "FP64": Datatype(pl.Float64, float | None, _INTEGERS | {"FP16", "FP32", "FP64"}),
    "INT64": Datatype(pl.Int64, Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)], _INTEGERS),
}
_FLAT: Final = {name: msgspec.json.Decoder(list[each.element]) for name, each in DATATYPES.items()}  # type: ignore[name-defined]
_NESTED: Final = {
    name: msgspec.json.Decoder(list[Annotated[list[each.element], msgspec.Meta(min_length=1, max_length=1)]])  # type: ignore[name-defined]
    for name, each in DATATYPES.items()
}


def refused(error: Exception, field: str = "") -> BadRecord:
    """One of `UNREADABLE` as ours: `field` and the place in it, or the path to it from the top of the document.

    >>> print(refused(msgspec.ValidationError("Expected `float`, got `str` - at `$[3]`"), "value"))
    record 3: field 'value': expected float, got str
    """
    if isinstance(error, UnicodeDecodeError):
        return BadRecord("expected UTF-8", field=field)
    if isinstance(error, RecursionError):
        return BadRecord("it is nested too deep", field=field)
    text = str(error)
    place = _PLACE.search(text)
    reason = _PLACE.sub("", text).replace("`", "")
    first = _FIRST.search(place["path"]) if place else None
    path = place["path"].lstrip(".") if place and not field else field
    return BadRecord(reason[:1].lower() + reason[1:], field=path, position=int(first[1]) if first else None)


def decoded(name: str, datatype: str, data: msgspec.Raw, *, nested: bool = False) -> pl.Series:
    """The JSON array `data` as the column `name`; `nested` where each value is an array of its own.

    Raises:
        BadRecord: a value is not of `datatype`; only FP64 may be null.
    """
    try:
        if not nested:
            return pl.Series(name, _FLAT[datatype].decode(data), dtype=DATATYPES[datatype].dtype)
        return pl.Series(name, [value for (value,) in _NESTED[datatype].decode(data)], dtype=DATATYPES[datatype].dtype)
    except UNREADABLE as error:
        raise refused(error, name) from error


def converted(name: str, datatype: str, values: Sequence[Any], *, text: bool = False) -> pl.Series:
    """`values` as JSON has them, or as `text` as CSV has them, as the column `name`.

    Raises:
        BadRecord: a value is not of `datatype`; only FP64 may be null.

    >>> converted("value", "FP64", ["1.5", ""], text=True).to_list()
    [1.5, None]
    >>> converted("timestamp", "INT64", ["1970-01-01T00:00:01Z", "1970-01-01 00:00:02"]).to_list()
    [1000000, 2000000]
    """
    if name == TIMESTAMP and datatype == "INT64" and values and isinstance(values[0], str) and not values[0].isdecimal():
        return moments(name, values)
    if text and datatype != "BYTES":
        values = [each or None for each in values]
    try:
        found = msgspec.convert(values, list[DATATYPES[datatype].element], strict=not text)  # type: ignore[misc]
    except msgspec.ValidationError as error:
        raise refused(error, name) from error
    return pl.Series(name, found, dtype=DATATYPES[datatype].dtype)


def moments(name: str, values: Sequence[Any]) -> pl.Series:
    """Times in ISO 8601 as UTC microseconds; one that does not tell its zone is in UTC.

    Raises:
        BadRecord: one is none.
    """
    try:
        found = msgspec.convert(values, list[datetime])
    except msgspec.ValidationError as error:
        raise refused(error, name) from error
    aware = (each if each.tzinfo else each.replace(tzinfo=UTC) for each in found)
    return pl.Series(name, [(each - _EPOCH) // timedelta(microseconds=1) for each in aware], dtype=pl.Int64)


def assembled(columns: Mapping[str, pl.Series], inputs: Mapping[str, str], limit: int) -> Frame:
    """The columns that were sent as the frame that a model takes, in the order in which it declares them.

    Raises:
        BadRecord: one is missing, they are not of one length, or have no rows or more than `limit`.
    """
    for name in inputs:
        if name not in columns:
            raise BadRecord("it is missing", field=name)
    height = len(next(iter(columns.values())))
    for name, column in columns.items():
        if len(column) != height:
            raise BadRecord(f"expected {height} values as in the first column, got {len(column)}", field=name)
    check_rows(height, limit)
    return pl.DataFrame([columns[name] for name in inputs])


def declared(name: str, inputs: Mapping[str, str]) -> str:
    """The datatype that is declared for the column `name`.

    Raises:
        BadRecord: there is no such column.
    """
    if name not in inputs:
        raise BadRecord(f"there is no such column; expected {', '.join(inputs)}", field=name)
    return inputs[name]


def check_rows(count: int, limit: int) -> None:
    """Raise BadRecord where there are no rows, or more than `limit`."""
    if not count:
        raise BadRecord("expected at least one row")
    if count > limit:
        raise BadRecord(f"expected at most {limit} rows, got {count}", status=413)


def outgoing(column: pl.Series, datatype: str) -> list[Any]:
    """The values of an answer; what is no finite number becomes null when it is encoded."""
    wanted = DATATYPES[datatype].dtype
    if column.dtype == wanted:
        return column.to_list()
    if isinstance(column.dtype, pl.Datetime) and datatype == "INT64":
        return column.dt.timestamp("us").to_list()
    return column.cast(wanted).to_list()
