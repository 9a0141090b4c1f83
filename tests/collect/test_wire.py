from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.collect.wire import UNKNOWN, Spans, digest, fields, find, varint
from vedette.core.errors import BadRecord


def encoded(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


@settings(deadline=None)
@given(st.integers(-(2**63), 2**63 - 1))
def test_a_varint_comes_back_and_breaks_when_cut(value):
    raw = np.frombuffer(encoded(value), np.uint8)
    assert varint(raw, 0, raw.size) == (value, raw.size)
    assert varint(raw, 0, raw.size - 1)[1] < 0


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_fields_or_a_bad_record(raw):
    with suppress(BadRecord):
        found = fields(np.frombuffer(raw, np.uint8), 0, len(raw))
        assert all(begin <= stop <= len(raw) for _, _, begin, stop in found)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), unique=True, max_size=40))
def test_different_spans_have_different_hashes(spans):
    seed = (np.uint64(1), np.uint64(2))
    assert len({digest(*seed, np.frombuffer(each, np.uint8), 0, len(each)) for each in spans}) == len(spans)


def test_spans_grow_and_start_again_at_their_bound():
    spans = Spans(most=3000)
    for each in range(3000):
        spans.add(each, -each, each * 7)
    assert [int(find(*spans.arrays, np.uint64(each), np.uint64(-each & (2**64 - 1)))) for each in (0, 1, 2999)] == [0, 7, 2999 * 7]
    assert find(*spans.arrays, np.uint64(1), np.uint64(1)) == UNKNOWN
    spans.add(1, 1, 1)
    assert len(spans) == 1


@pytest.mark.parametrize("raw", [b"\x00", b"\x07\x00", b"\x0a\x05ab", b"\x09\x00", b"\x80" * 11])
def test_what_is_no_field_is_a_bad_record(raw):
    with pytest.raises(BadRecord):
        fields(np.frombuffer(raw, np.uint8), 0, len(raw))
