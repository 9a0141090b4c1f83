"""Attributes and values of OTLP, read one by one: for what the kernels have not seen before.

Source: opentelemetry/proto/common/v1/common.proto.
"""

import math
import struct
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence

import msgspec

from vedette.collect.wire import Bytes, fields

Decode = Callable[[bytes], str]


def utf8(raw: bytes) -> str:
    """Text of bytes that must be UTF-8 (ValueError where not)."""
    return raw.decode()


def any_value(buffer: Bytes, begin: int, stop: int, depth: int, decode: Decode = utf8) -> object:
    """An AnyValue as Python has it; None where none is set.

    Raises:
        BadRecord: the bytes are broken.
        ValueError: it nests deeper than `depth`, or `decode` refuses a text.
    """
    if depth < 1:
        raise ValueError("a value nests too deep")
    found: object = None
    for tag, number, first, last in fields(buffer, begin, stop):
        if tag == 10:
            found = decode(buffer[first:last].tobytes())
        elif tag == 16:
            found = number != 0
        elif tag == 24:
            found = number
        elif tag == 33:
            found = struct.unpack("<d", buffer[first:last].tobytes())[0]
        elif tag == 42:
            items = [each for each in fields(buffer, first, last) if each[0] == 10]
            found = [any_value(buffer, a, b, depth - 1, decode) for _, _, a, b in items]
        elif tag == 50:
            spans = [(a, b) for key, _, a, b in fields(buffer, first, last) if key == 10]
            found = dict(pairs(buffer, spans, depth - 1, decode))
        elif tag == 58:
            found = buffer[first:last].tobytes()
    return found


def pairs(buffer: Bytes, spans: Iterable[tuple[int, int]], depth: int, decode: Decode = utf8) -> list[tuple[str, object]]:
    """Keys and values of KeyValue messages; raises as `any_value` does."""
    found = []
    for begin, stop in spans:
        key, value = "", None
        for tag, _, first, last in fields(buffer, begin, stop):
            if tag == 10:
                key = decode(buffer[first:last].tobytes())
            elif tag == 18:
                value = any_value(buffer, first, last, depth, decode)
        found.append((key, value))
    return found


def as_text(value: object) -> str:
    """A value as text: what is no text as compact JSON, bytes in base64, nothing as nothing.

    >>> [as_text(each) for each in ("a", True, 3, 0.5, b"ab", None, [1, {"b": "c"}], float("nan"))]
    ['a', 'true', '3', '0.5', 'YWI=', '', '[1,{"b":"c"}]', 'NaN']
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return "" if value is None else msgspec.json.encode(value).decode()


def labels(buffer: Bytes, spans: Sequence[tuple[int, int]], depth: int) -> list[tuple[str, str]]:
    """Attributes as names and values of labels; raises as `any_value` does."""
    return [(key, as_text(value)) for key, value in pairs(buffer, spans, depth)]
