"""Content codings within bounds: bombs (R30) and bodies cut at any byte (R31)."""

import gzip
import zlib

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.collect.compression import decompress
from vedette.core.errors import BadRecord

CODE = {
    "identity": bytes,
    "gzip": gzip.compress,
    "zstd": lambda body: bytes(cramjam.zstd.compress(body)),
    "snappy": lambda body: bytes(cramjam.snappy.compress_raw(body)),
}


@settings(deadline=None)
@given(st.binary(max_size=2000), st.sampled_from(sorted(CODE)))
def test_what_is_compressed_comes_back(body, coding):
    assert decompress(CODE[coding](body), coding, 4000) == body


@pytest.mark.parametrize("coding", sorted(CODE))
def test_more_than_the_limit_is_413(coding):
    with pytest.raises(BadRecord, match="at most 1000") as refused:
        decompress(CODE[coding](b"a" * 1_000_000), coding, 1000)
    assert refused.value.status == 413


@pytest.mark.parametrize("coding", ["gzip", "zstd", "snappy"])
def test_cut_at_any_byte_is_400(coding):
    whole = CODE[coding](bytes(range(256)) * 3)
    for cut in range(len(whole)):
        with pytest.raises(BadRecord) as refused:
            decompress(whole[:cut], coding, 1 << 32)
        assert refused.value.status in {400, 413}


def test_several_gzip_members_are_413():
    with pytest.raises(BadRecord) as refused:
        decompress(gzip.compress(b"a") + gzip.compress(b"b"), "gzip", 1000)
    assert refused.value.status == 413


def test_a_gzip_trailer_that_lies_costs_no_memory():
    bomb = gzip.compress(b"a" * 1_000_000)[:-4] + (10).to_bytes(4, "little")
    with pytest.raises(BadRecord) as refused:
        decompress(bomb, "gzip", 1000)
    assert refused.value.status == 413


def test_a_snappy_length_of_four_gigabytes_is_413():
    with pytest.raises(BadRecord) as refused:
        decompress(b"\xff\xff\xff\xff\x0f" + b"\x00" * 10, "snappy", 1 << 20)
    assert refused.value.status == 413


def test_another_coding_is_415_and_garbage_400():
    with pytest.raises(BadRecord) as refused:
        decompress(b"x", "br", 10)
    assert refused.value.status == 415
    with pytest.raises(BadRecord) as refused:
        decompress(zlib.compress(b"x" * 30), "gzip", 100)
    assert refused.value.status == 400
