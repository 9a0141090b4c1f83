"""Content encodings, undone within bounds: what a body claims to become is checked before anything is inflated."""

import zlib
from typing import Any, cast

import cramjam
import numpy as np

from vedette.collect.wire import Bytes
from vedette.core.errors import BadRecord

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """`body` without its one coding: `identity` (or empty), `gzip`, `zstd`, or `snappy` (the block format).

    Raises:
        BadRecord: status 413 where the content is, or claims to be, more than `limit` bytes or has several gzip members;
            400 where it is broken or falls short of its claim; 415 for any other coding.

    >>> import gzip
    >>> decompress(gzip.compress(b"up 1"), "gzip", limit=100)
    b'up 1'
    """
    coding = encoding.strip().lower()
    if coding in ("", "identity"):
        return _within(body, limit)
    if coding in ("gzip", "x-gzip"):
        return _gzip(body, limit)
    if coding == "zstd":
        return _zstd(body, limit)
    if coding == "snappy":
        return unsnap(body, limit).tobytes()
    raise BadRecord(f"one of gzip, zstd, snappy or identity is expected, got {encoding!r}", field="content-encoding", status=415)


def _within(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise _too_large(len(body), limit)
    return body


def _too_large(size: int, limit: int) -> BadRecord:
    return BadRecord(f"decompressed it is {size} bytes or more, at most {limit} are taken; send smaller bodies", status=413)


def _broken(coding: str, why: object) -> BadRecord:
    return BadRecord(f"the {coding} content is broken: {why}")


def _gzip(body: bytes, limit: int) -> bytes:
    if len(body) < 18 or not body.startswith(_GZIP):
        raise _broken("gzip", f"no gzip member in {len(body)} bytes")
    # The trailer claims the size of the member. Inflating stops one byte beyond it, so that a lie costs no memory.
    claimed = int.from_bytes(body[-4:], "little")
    if claimed > limit:
        raise _too_large(claimed, limit)
    inflate = zlib.decompressobj(wbits=31)
    try:
        content = inflate.decompress(body, claimed + 1)
    except zlib.error as error:
        raise _broken("gzip", error) from error
    if inflate.unused_data.startswith(_GZIP):
        raise BadRecord("more than one gzip member; send one", status=413)
    if len(content) > claimed:
        raise BadRecord(f"gzip content is larger than the {claimed} bytes its trailer claims", status=413)
    if not inflate.eof or inflate.unused_data:
        raise _broken("gzip", f"it ends early or late at byte {len(body) - len(inflate.unused_data)}")
    return content


def _zstd_claims(body: bytes) -> tuple[int | None, int]:
    """Content size (None where not told) and window of the first frame: RFC 8878, section 3.1.1.1."""
    descriptor = body[4]
    single = bool(descriptor & 0x20)
    at = 5 + (not single) + (0, 1, 2, 4)[descriptor & 3]
    width = (int(single), 2, 4, 8)[descriptor >> 6]
    size = int.from_bytes(body[at : at + width], "little") + (256 if width == 2 else 0) if width else None
    if single:
        return size, size or 0
    base = 1 << (10 + (body[5] >> 3))
    return size, base + (base >> 3) * (body[5] & 7)


def _zstd(body: bytes, limit: int) -> bytes:
    if len(body) < 9 or not body.startswith(_ZSTD):
        raise _broken("zstd", f"no zstd frame in {len(body)} bytes")
    size, window = _zstd_claims(body)
    if max(size or 0, window) > max(limit, 8 << 20) or (size or 0) > limit:
        raise _too_large(max(size or 0, window), limit)
    room: Any = np.empty((limit if size is None else size) + 1, np.uint8)
    try:
        written = cramjam.zstd.decompress_into(body, room)
    except cramjam.DecompressionError as error:
        if "whole buffer" in str(error):
            raise _too_large(room.size, limit) from error
        raise _broken("zstd", error) from error
    if size is not None and written != size:
        raise BadRecord(f"zstd content differs from the {size} bytes its header claims", status=413 if written > size else 400)
    if written > limit:
        raise _too_large(written, limit)
    return bytes(room[:written])


def unsnap(body: bytes, limit: int) -> Bytes:
    """A snappy block decompressed, as bytes in an array.

    Raises:
        BadRecord: 413 where it claims to be more than `limit` bytes, 400 where it is broken or falls short of its claim.
    """
    claimed = shift = 0
    for byte in body[:5]:
        claimed |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    else:
        raise _broken("snappy", "no length at its start")
    if claimed > limit:
        raise _too_large(claimed, limit)
    room: Any = np.empty(claimed, np.uint8)
    try:
        written = cramjam.snappy.decompress_raw_into(body, room)
    except cramjam.DecompressionError as error:
        raise _broken("snappy", error) from error
    if written != claimed:
        raise _broken("snappy", f"{written} bytes instead of the {claimed} that it claims")
    return cast("Bytes", room)
