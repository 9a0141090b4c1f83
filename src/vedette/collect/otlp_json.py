"""OTLP in JSON, written anew as protobuf: behind this both encodings are one.

Source: opentelemetry.io/docs/specs/otlp, "JSON Protobuf Encoding".
Names are in lowerCamelCase, ids in hex, numbers of 64 bits may be strings, enums numbers or names; what is not known is ignored.
"""

import struct
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any, Final

from vedette.collect.jsonlines import document
from vedette.core.errors import BadRecord

#: Writes a value, found at a path, as one field with its tag; ValueError, TypeError or struct.error where it is none.
Write = Callable[[Any, str], bytes]
Message = Mapping[str, Write]


def number(value: int) -> bytes:
    """A varint."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _spanned(tag: bytes, content: bytes) -> bytes:
    return tag + number(len(content)) + content


def _whole(value: Any) -> int:  # noqa: ANN401 -- any JSON value
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise TypeError("a whole number is expected")
    whole = int(value)
    if not -(1 << 63) <= whole < 1 << 64:
        raise OverflowError("more than 64 bits")
    return whole


def _real(value: Any) -> float:  # noqa: ANN401
    if isinstance(value, bool):
        raise TypeError("a number is expected")
    return float(value)


def _string(field: int) -> Write:
    tag = number(field << 3 | 2)

    def write(value: Any, _: str) -> bytes:  # noqa: ANN401
        if not isinstance(value, str):
            raise TypeError("a text is expected")
        return _spanned(tag, value.encode("utf-8", "surrogatepass"))

    return write


def _hexadecimal(field: int) -> Write:
    tag = number(field << 3 | 2)
    return lambda value, _: _spanned(tag, bytes.fromhex(value))


def _base64(field: int) -> Write:
    tag = number(field << 3 | 2)
    return lambda value, _: _spanned(tag, b64decode(value))


def _packed(field: int, layout: str, read: Callable[[Any], float]) -> Write:
    tag = number(field << 3 | 2)
    return lambda value, _: _spanned(tag, struct.pack(f"<{len(value)}{layout}", *(read(each) for each in value)))


def _fixed(field: int, layout: str, read: Callable[[Any], float]) -> Write:
    tag = number(field << 3 | (5 if layout == "I" else 1))
    return lambda value, _: tag + struct.pack(f"<{layout}", read(value))


def _varint(field: int, names: tuple[str, ...] = ()) -> Write:
    """A whole number, or the name of an enum's value at its place in `names`."""
    tag = number(field << 3)
    return lambda value, _: tag + number(names.index(value) if value in names else _whole(value))


def _varints(field: int) -> Write:
    tag = number(field << 3 | 2)
    return lambda value, _: _spanned(tag, b"".join(number(_whole(each)) for each in value))


def _zigzag(field: int) -> Write:
    tag = number(field << 3)
    return lambda value, _: tag + number(_whole(value) << 1 ^ _whole(value) >> 63)


def _flag(field: int) -> Write:
    tag = number(field << 3)

    def write(value: Any, _: str) -> bytes:  # noqa: ANN401
        if not isinstance(value, bool):
            raise TypeError("true or false is expected")
        return tag + bytes([value])

    return write


def _one(field: int, message: Message) -> Write:
    tag = number(field << 3 | 2)
    return lambda value, path: _spanned(tag, _written(value, message, path))


def _many(field: int, message: Message) -> Write:
    tag = number(field << 3 | 2)

    def write(values: Any, path: str) -> bytes:  # noqa: ANN401
        if not isinstance(values, list):
            raise TypeError("an array is expected")
        return b"".join(_spanned(tag, _written(each, message, f"{path}[{place}]")) for place, each in enumerate(values))

    return write


def _written(value: Any, message: Message, path: str) -> bytes:  # noqa: ANN401
    """The fields of a message.

    Raises:
        BadRecord: naming the first field that is not what it must be.
    """
    if not isinstance(value, dict):
        raise BadRecord("expected an object", field=path.lstrip("."))
    out = bytearray()
    for name, content in value.items():
        write = message.get(name)
        if write is None or content is None:
            continue
        try:
            out += write(content, f"{path}.{name}")
        except (TypeError, ValueError, AttributeError, OverflowError, struct.error) as error:
            raise BadRecord(f"not a value of this field: {error}", field=f"{path}.{name}".lstrip(".")) from error
    return bytes(out)


_ANY: Final[dict[str, Write]] = {}
_KEY_VALUE: Final = {"key": _string(1), "value": _one(2, _ANY)}
_ANY.update(
    {
        "stringValue": _string(1),
        "boolValue": _flag(2),
        "intValue": _varint(3),
        "doubleValue": _fixed(4, "d", _real),
        "arrayValue": _one(5, {"values": _many(1, _ANY)}),
        "kvlistValue": _one(6, {"values": _many(1, _KEY_VALUE)}),
        "bytesValue": _base64(7),
    }
)
_RESOURCE: Final = _one(1, {"attributes": _many(1, _KEY_VALUE)})
_POINT: Final = {"timeUnixNano": _fixed(3, "Q", _whole), "startTimeUnixNano": _fixed(2, "Q", _whole)}
_NUMBER: Final = _POINT | {
    "attributes": _many(7, _KEY_VALUE),
    "asDouble": _fixed(4, "d", _real),
    "asInt": _fixed(6, "q", _whole),
    "flags": _varint(8),
}
_COUNTED: Final = _POINT | {"count": _fixed(4, "Q", _whole), "sum": _fixed(5, "d", _real)}
_HISTOGRAM: Final = _COUNTED | {
    "attributes": _many(9, _KEY_VALUE),
    "bucketCounts": _packed(6, "Q", _whole),
    "explicitBounds": _packed(7, "d", _real),
    "flags": _varint(10),
}
_BUCKETS: Final = {"offset": _zigzag(1), "bucketCounts": _varints(2)}
_EXPONENTIAL: Final = _COUNTED | {
    "attributes": _many(1, _KEY_VALUE),
    "scale": _zigzag(6),
    "zeroCount": _fixed(7, "Q", _whole),
    "positive": _one(8, _BUCKETS),
    "negative": _one(9, _BUCKETS),
    "flags": _varint(10),
}
_QUANTILE: Final = {"quantile": _fixed(1, "d", _real), "value": _fixed(2, "d", _real)}
_SUMMARY: Final = _COUNTED | {"attributes": _many(7, _KEY_VALUE), "quantileValues": _many(6, _QUANTILE), "flags": _varint(8)}
_TEMPORALITY: Final = {
    "aggregationTemporality": _varint(
        2, tuple(f"AGGREGATION_TEMPORALITY_{name}" for name in ("UNSPECIFIED", "DELTA", "CUMULATIVE"))
    )
}
_METRIC: Final = {
    "name": _string(1),
    "unit": _string(3),
    "gauge": _one(5, {"dataPoints": _many(1, _NUMBER)}),
    "sum": _one(7, {"dataPoints": _many(1, _NUMBER), "isMonotonic": _flag(3)} | _TEMPORALITY),
    "histogram": _one(9, {"dataPoints": _many(1, _HISTOGRAM)} | _TEMPORALITY),
    "exponentialHistogram": _one(10, {"dataPoints": _many(1, _EXPONENTIAL)} | _TEMPORALITY),
    "summary": _one(11, {"dataPoints": _many(1, _SUMMARY)}),
}
_LEVELS: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
_SEVERITIES: Final = ("UNSPECIFIED", *(f"{level}{place}" for level in _LEVELS for place in ("", "2", "3", "4")))
_RECORD: Final = {
    "timeUnixNano": _fixed(1, "Q", _whole),
    "observedTimeUnixNano": _fixed(11, "Q", _whole),
    "severityNumber": _varint(2, tuple(f"SEVERITY_NUMBER_{name}" for name in _SEVERITIES)),
    "severityText": _string(3),
    "body": _one(5, _ANY),
    "attributes": _many(6, _KEY_VALUE),
    "flags": _fixed(8, "I", _whole),
    "traceId": _hexadecimal(9),
    "spanId": _hexadecimal(10),
    "eventName": _string(12),
}

METRICS: Final[Message] = {
    "resourceMetrics": _many(1, {"resource": _RESOURCE, "scopeMetrics": _many(2, {"metrics": _many(2, _METRIC)})})
}
LOGS: Final[Message] = {"resourceLogs": _many(1, {"resource": _RESOURCE, "scopeLogs": _many(2, {"logRecords": _many(2, _RECORD)})})}


def encoded(body: bytes, message: Message, depth: int) -> bytes:
    r"""The protobuf of a JSON body.

    Args:
        body: a JSON object.
        message: METRICS or LOGS.
        depth: how deep it may nest.

    Raises:
        BadRecord: 400 where it is no JSON, nests too deep, or a field is not what it must be; `field` is its path.

    >>> encoded(b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"severityNumber": "9"}]}]}]}', LOGS, 32)
    b'\n\x06\x12\x04\x12\x02\x10\t'
    """
    return _written(document(body, depth), message, "")
