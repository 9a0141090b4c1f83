"""What OTLP senders are answered, byte by byte. Source: opentelemetry.io/docs/specs/otlp."""

import math
from typing import Final

_RETRY_INFO: Final = b"type.googleapis.com/google.rpc.RetryInfo"
_UNAVAILABLE: Final = 14


def export_response(rejected: int, reason: str) -> bytes:
    r"""An ExportMetricsServiceResponse or ExportLogsServiceResponse, which are the same on the wire.

    Field 1 is partial_success; in it field 1 counts the rejected, and field 2 says why. Empty where all were taken.

    >>> export_response(0, ""), export_response(3, "no")
    (b'', b'\n\x06\x08\x03\x12\x02no')
    """
    if not rejected:
        return b""
    return _part(1, b"\x08" + _varint(rejected) + _part(2, reason.encode()))


def retry_status(reason: str, seconds: float) -> bytes:
    r"""A google.rpc.Status that says UNAVAILABLE, with the RetryInfo that makes an OTLP sender wait and come back.

    >>> retry_status("", 2)[-4:]
    b'\n\x02\x08\x02'
    """
    duration = b"\x08" + _varint(max(1, math.ceil(seconds)))
    detail = _part(1, _RETRY_INFO) + _part(2, _part(1, duration))
    return b"\x08" + _varint(_UNAVAILABLE) + _part(2, reason.encode()) + _part(3, detail)


def _part(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
