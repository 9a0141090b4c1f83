"""Remote write to columns: cut anywhere (R31), staleness, native histograms (R36)."""

import struct
from collections.abc import Iterable
from contextlib import suppress

import cramjam
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.collect.limits import Limits
from vedette.collect.remote_write import RemoteWrite
from vedette.collect.series import SeriesTable
from vedette.core.errors import BadRecord
from vedette.core.identity import series_id

NOW = 1_760_000_000_000_000
MS = NOW // 1000
STALE = struct.unpack("<d", (0x7FF0000000000002).to_bytes(8, "little"))[0]

Labels = dict[str, str]
Series = tuple[Labels, list[tuple[float, int]]]


def number(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def part(field: int, content: bytes | str) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    return number(field << 3 | 2) + number(len(raw)) + raw


def sample(value: float, time: int) -> bytes:
    return b"\x09" + struct.pack("<d", value) + b"\x10" + number(time)


def body1(series: Iterable[Series], extra: bytes = b"") -> bytes:
    out = b""
    for labels, samples in series:
        pairs = b"".join(part(1, part(1, key) + part(2, value)) for key, value in labels.items())
        out += part(1, pairs + b"".join(part(2, sample(*each)) for each in samples))
    return out + extra


def body2(series: Iterable[Series], more: bytes = b"") -> bytes:
    symbols = [""]
    out = b""
    for labels, samples in series:
        words = [word for pair in labels.items() for word in pair]
        symbols += [word for word in dict.fromkeys(words) if word not in symbols]
        references = b"".join(number(symbols.index(word)) for word in words)
        out += part(5, part(1, references) + b"".join(part(2, sample(*each)) for each in samples) + more)
    return b"".join(part(4, word) for word in symbols) + out


def snap(body: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(body))


def codec(**limits: int) -> RemoteWrite:
    bounds = Limits(**limits)
    return RemoteWrite(SeriesTable(bounds.series_per_source), bounds)


UP: Series = ({"__name__": "up", "job": "node", "instance": "a:9100"}, [(1.0, MS), (0.0, MS + 1)])


@pytest.mark.parametrize(("version", "encode"), [(1, body1), (2, body2)])
def test_samples_become_columns_and_their_series_is_defined(version, encode):
    got = codec().decode(snap(encode([UP])), now=NOW, version=version)
    identity = series_id("up", {"job": "node", "instance": "a:9100"})
    assert got.frames["metrics"]["series"].to_list() == [identity, identity]
    assert got.frames["metrics"]["at"].cast(pl.Int64).to_list() == [NOW, NOW + 1000]
    assert got.frames["metrics"]["value"].to_list() == [1.0, 0.0]
    assert got.frames["series"].rows() == [(identity, "up", {"job": "node", "instance": "a:9100"}, "unknown", "")]


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
bodies = st.lists(
    st.tuples(
        st.dictionaries(words, words, max_size=4).map(lambda labels: {**labels, "__name__": "m"}),
        st.lists(st.tuples(st.floats(), st.integers(MS - 10_000, MS + 10_000)), max_size=4),
    ),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(bodies, st.sampled_from([(1, body1), (2, body2)]))
def test_what_is_encoded_is_decoded_twice_alike(series, dialect):
    version, encode = dialect
    door = codec()
    body = snap(encode(series))
    expected = [
        (series_id("m", {k: v for k, v in labels.items() if k != "__name__"}), time * 1000, struct.pack("<d", value))
        for labels, samples in series
        for value, time in samples
    ]
    for _ in range(2):
        frame = door.decode(body, now=NOW, version=version).frames["metrics"]
        columns = (frame["series"], frame["at"].cast(pl.Int64), frame["value"])
        assert [(a, b, struct.pack("<d", c)) for a, b, c in zip(*columns, strict=True)] == expected


def test_the_stale_marker_keeps_its_bits():
    got = codec().decode(snap(body1([({"__name__": "up"}, [(STALE, MS)])])), now=NOW, version=1)
    assert got.frames["metrics"]["value"].to_numpy().view(np.uint64).tolist() == [0x7FF0000000000002]


@pytest.mark.parametrize(("version", "encode"), [(1, body1), (2, body2)])
def test_a_body_cut_anywhere_is_refused_or_a_shorter_message(version, encode):
    raw = encode([UP, ({"__name__": "down"}, [(2.0, MS)])])
    whole = codec().decode(snap(raw), now=NOW, version=version).records
    broken = []
    for cut in range(len(raw)):
        try:
            assert codec().decode(snap(raw[:cut]), now=NOW, version=version).records < whole
        except BadRecord as refused:
            broken.append(refused)
    assert {refused.status for refused in broken} == {400}
    assert all("byte" in refused.reason for refused in broken)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_garbled_bytes_never_raise_anything_else(data):
    version, encode = data.draw(st.sampled_from([(1, body1), (2, body2)]))
    raw = bytearray(encode([UP]))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with suppress(BadRecord):
        codec().decode(snap(bytes(raw)), now=NOW, version=version)


def test_times_outside_the_window_are_refused_one_by_one():
    got = codec().decode(snap(body1([({"__name__": "up"}, [(1.0, 5), (2.0, MS), (3.0, MS * 2)])])), now=NOW, version=1)
    assert got.frames["metrics"]["value"].to_list() == [2.0]
    assert got.rejected == 2
    assert [(fault.position, fault.field) for fault in got.faults] == [(0, "timestamp"), (2, "timestamp")]


@pytest.mark.parametrize(
    "labels",
    [
        {"job": "x"},
        {"__name__": ""},
        {"__name__": "m", "": "x"},
        {"__name__": "m", "a": "b" * 5000},
        {str(i): "x" for i in range(99)},
    ],
)
def test_bad_labels_refuse_each_sample_of_the_series_only(labels):
    got = codec().decode(snap(body1([(labels, [(1.0, MS), (2.0, 3)]), UP])), now=NOW, version=1)
    assert (got.rejected, got.records) == (2, 2)
    assert [fault.position for fault in got.faults] == [0, 1]


def test_a_name_twice_and_a_name_not_utf8_are_refused():
    twice = part(1, part(1, part(1, "__name__") + part(2, "m")) * 2 + part(2, sample(1.0, MS)))
    garbled = part(1, part(1, part(1, "__name__") + part(2, b"\xff")) + part(2, sample(1.0, MS)))
    got = codec().decode(snap(twice + garbled), now=NOW, version=1)
    assert (got.rejected, got.records) == (2, 0)
    assert [fault.reason for fault in got.faults] == ["a name comes twice", "not UTF-8"]


def test_metadata_gives_kind_and_unit():
    told = part(3, b"\x08\x01" + part(2, "jobs") + part(5, "1"))
    got = codec().decode(snap(body1([({"__name__": "jobs"}, [(1.0, MS)])], told)), now=NOW, version=1)
    assert got.frames["series"].select("kind", "unit").rows() == [("counter", "1")]


def test_metadata_of_2_0_gives_kind():
    got = codec().decode(snap(body2([({"__name__": "jobs"}, [(1.0, MS)])], part(5, b"\x08\x02"))), now=NOW, version=2)
    assert got.frames["series"]["kind"].to_list() == ["gauge"]


def native(count: int, time: int) -> bytes:
    # schema 1: buckets 1, 2, 3 hold 1, 1, 2; one observation is zero
    spans = part(11, b"\x08" + number(2) + b"\x10\x03")
    deltas = part(12, number(2) + number(0) + number(2))
    total = b"\x19" + struct.pack("<d", 9.0)
    return b"\x08" + number(count) + total + b"\x20\x02\x30\x01" + spans + deltas + b"\x78" + number(time)


@pytest.mark.parametrize(("version", "encode", "place"), [(1, body1, 4), (2, body2, 3)])
def test_native_histograms_become_buckets_at_powers_of_two(version, encode, place):
    if version == 1:
        raw = part(1, part(1, part(1, "__name__") + part(2, "lat")) + part(place, native(5, MS)) + part(place, native(5, 7)))
    else:
        raw = encode([({"__name__": "lat"}, [])], part(place, native(5, MS)) + part(place, native(5, 7)))
    got = codec().decode(snap(raw), now=NOW, version=version)
    rows = got.frames["metrics"].join(got.frames["series"], on="series", how="left", maintain_order="left")
    found = [(row["name"], row["labels"].get("le"), row["value"]) for row in rows.iter_rows(named=True)]
    assert found == [
        ("lat_count", None, 5.0),
        ("lat_sum", None, 9.0),
        ("lat_bucket", "0", 1.0),
        ("lat_bucket", "2", 3.0),
        ("lat_bucket", "4", 5.0),
        ("lat_bucket", "+Inf", 5.0),
    ]
    assert got.rejected == 1


def test_a_native_histogram_that_has_ended_ends_its_series_and_is_no_reset():
    ended = b"\x19" + (0x7FF0000000000002).to_bytes(8, "little") + b"\x78" + number(MS)
    raw = part(1, part(1, part(1, "__name__") + part(2, "lat")) + part(4, ended))
    got = codec().decode(snap(raw), now=NOW, version=1)
    assert got.records >= 3
    assert set(got.frames["metrics"]["value"].to_numpy().view(np.uint64).tolist()) == {0x7FF0000000000002}


@pytest.mark.parametrize("odd", [b"\x20\x20", b"\x20\x02" + part(11, b"\x08\x02\x10\x09"), b"\x20\x02" + part(12, b"\x80")])
def test_a_native_histogram_that_cannot_be_read_is_refused_with_words_and_counted(odd):
    raw = part(1, part(1, part(1, "__name__") + part(2, "lat")) + part(4, odd + b"\x78" + number(MS))) + body1([UP])
    got = codec().decode(snap(raw), now=NOW, version=1)
    assert (got.rejected, got.records, got.written) == (1, 2, (2, 0, 0))
    assert (got.faults[0].position, got.faults[0].field) == (0, "histograms")
    assert got.faults[0].reason


def test_samples_beyond_the_limit_of_series_are_counted_each():
    counted: list[tuple[str, int]] = []
    table = SeriesTable(1, limited=lambda source, samples: counted.append((source, samples)))
    door = RemoteWrite(table, Limits())
    body = snap(body1([UP, ({"__name__": "b"}, [(1.0, MS)] * 3), ({"__name__": "c"}, [(1.0, MS)])]))
    for _ in range(2):
        assert door.decode(body, now=NOW, version=1).records == 6
    assert counted == [("remote_write", 4), ("remote_write", 4)]


def test_definitions_stop_once_confirmed_and_retries_share_a_key():
    table = SeriesTable()
    door = RemoteWrite(table, Limits())
    first = door.decode(snap(body1([UP])), now=NOW, version=1)
    table.confirm(first.frames["series"]["series"])
    again = door.decode(snap(body1([UP])), now=NOW, version=1)
    assert again.key == first.key
    assert again.frames["series"].is_empty()


@pytest.mark.parametrize(("version", "encode"), [(1, body1), (2, body2)])
def test_a_snappy_block_cut_anywhere_is_refused(version, encode):
    block = snap(encode([UP]))
    for cut in range(len(block)):
        with pytest.raises(BadRecord) as refused:
            codec().decode(block[:cut], now=NOW, version=version)
        assert refused.value.status == 400


def test_what_was_written_is_counted_by_sort():
    raw = body2([UP], part(3, native(5, MS)) + part(3, native(5, 7))) + part(5, part(1, b"\x63\x63") + part(2, sample(1.0, MS)))
    got = codec().decode(snap(raw), now=NOW, version=2)
    assert (got.written, got.rejected, got.records) == ((2, 1, 0), 2, 8)


def test_far_buckets_of_a_native_histogram_cost_nothing():
    spans = part(11, b"\x08" + number(0) + b"\x10\x01") + part(11, b"\x08" + number(1 << 31) + b"\x10\x01")
    histogram = b"\x08\x02" + spans + part(12, number(2) + number(0)) + b"\x78" + number(MS)
    raw = part(1, part(1, part(1, "__name__") + part(2, "lat")) + part(4, histogram))
    got = codec().decode(snap(raw), now=NOW, version=1)
    assert got.frames["metrics"]["value"].to_list()[-1] == 2.0
    assert got.records < 1100


def test_a_body_of_more_samples_than_there_was_room_for_and_then_a_small_one():
    door = codec()
    many = [({"__name__": "m", "i": str(each)}, [(float(each), MS)]) for each in range(6000)]
    for series in (many, many[:2], many):
        frame = door.decode(snap(body1(series)), now=NOW, version=1).frames["metrics"]
        assert frame["value"].to_list() == [float(each) for each in range(len(series))]


def test_a_frame_keeps_its_numbers_when_the_next_body_comes():
    door = codec()
    first = door.decode(snap(body1([UP])), now=NOW, version=1).frames["metrics"]
    door.decode(snap(body1([({"__name__": "up"}, [(9.0, MS), (9.0, MS)])])), now=NOW, version=1)
    assert first["value"].to_list() == [1.0, 0.0]


def test_a_reference_to_nothing_is_refused_though_the_rest_was_taken_before():
    sound = body2([({"__name__": "m"}, [(1.0, MS)])])
    odd = part(5, part(1, number(1) + number(2) + number(77)) + part(2, sample(2.0, MS)))
    got = codec().decode(snap(sound + odd), now=NOW, version=2)
    assert (got.frames["metrics"]["value"].to_list(), got.rejected) == ([1.0], 1)
    assert got.faults[0].field == "labels"


@pytest.mark.parametrize(("version", "encode"), [(1, body1), (2, body2)])
def test_a_new_series_may_come_many_times_in_one_body(version, encode):
    got = codec().decode(snap(encode([UP, UP, UP])), now=NOW, version=version)
    assert got.frames["metrics"]["value"].to_list() == [1.0, 0.0] * 3
    assert got.frames["metrics"]["series"].n_unique() == 1
