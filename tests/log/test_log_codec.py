"""Law: what the log's codec is given comes back bit for bit, whatever the times are like."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from vedette.core.errors import BadRecord
from vedette.core.frames import AT, METRICS
from vedette.log.codec import decode, decode_all, encode

ANY = st.integers(-(2**63), 2**63 - 1)
NEAR = st.integers(1_760_000_000_000_000, 1_760_000_000_000_000 + 60_000_000)
FRAMES = st.sampled_from([ANY, NEAR, st.just(7)]).flatmap(
    lambda at: st.lists(st.tuples(ANY, at | st.none(), st.floats() | st.none()), max_size=20)
)


def frame(rows: list[tuple[int, int | None, float | None]]) -> pl.DataFrame:
    series, at, value = ([row[place] for row in rows] for place in range(3))
    columns = [pl.Series("series", series, pl.Int64), pl.Series("at", at, pl.Int64).cast(AT), pl.Series("value", value, pl.Float64)]
    return pl.DataFrame(columns)


@given(st.lists(FRAMES, min_size=1, max_size=4))
def test_points_come_back_bit_for_bit_alone_and_together(many):
    frames = [frame(rows) for rows in many]
    payloads = [encode("metrics", each) for each in frames]
    for each, payload in zip(frames, payloads, strict=True):
        assert_frame_equal(decode("metrics", payload), each, check_exact=True)
    assert_frame_equal(decode_all("metrics", payloads), pl.concat(frames), check_exact=True)


@pytest.mark.parametrize(("times", "size"), [([5] * 100, 16), (range(100), 20), ([0, 1 << 40] * 50, 24)])
def test_a_point_takes_no_more_bytes_than_its_time_needs(times, size):
    hundred = pl.DataFrame({"series": range(100), "at": list(times), "value": [0.5] * 100}, schema=METRICS)
    assert len(encode("metrics", hundred)) == 16 + 100 * size


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x01\x03" + bytes(14), b"\x01\x00\x00\x00\x05" + bytes(11), b"\x09later"])
def test_bytes_that_are_none_of_ours_are_refused(payload):
    with pytest.raises(BadRecord):
        decode("metrics", payload)
