"""`/push`: any chunks, any text (R32), giant lines (R26), odd numbers and times by name (R27, R28)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette.collect.jsonlines import restore
from vedette.collect.limits import Limits
from vedette.collect.pieces import PIECE_BYTES, PIECE_RECORDS, Elements, Lines, Piece, cutter
from vedette.collect.push import Push, PushSettings
from vedette.collect.series import SeriesTable
from vedette.core.errors import BadRecord

NOW = 1_767_225_600_000_000


def push(kind, *records, **settings):
    source = Push("p", PushSettings(records=kind, **settings), SeriesTable(), Limits())
    return source.json(Piece(b"".join(raw + b"\n" for raw in records)), NOW)


def cut(maker, body, step):
    """The pieces of `body` when it comes in chunks of `step` bytes."""
    made = maker()
    return [piece for at in range(0, len(body), step) for piece in made.feed(body[at : at + step])] + list(made.finish())


BODIES = st.lists(st.sampled_from([b"a", b"\n", b"\r\n", b"\xff", b"bcd", b"e" * 40]), max_size=40).map(b"".join)


@given(BODIES, st.integers(1, 9), st.integers(1, 30), st.integers(1, 6))
def test_pieces_of_lines_do_not_depend_on_how_the_body_is_chunked(body, step, size, records):
    def maker():
        return Lines(20, size, records)

    pieces = cut(maker, body, step)
    lines = [(line[:20], len(line)) for line in body.removesuffix(b"\n").split(b"\n")] if body else []
    found = [
        (line[:20], piece.cut.get(index, len(line)))
        for piece in pieces
        for index, line in enumerate(piece.raw.removesuffix(b"\n").split(b"\n"))
    ]
    assert found == lines
    assert pieces == cut(maker, body, 10_000)


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=8), st.integers(1, 9), st.integers(1, 30), st.sampled_from([None, 2]))
def test_pieces_of_an_array_do_not_depend_on_how_the_body_is_chunked(values, step, size, indent):
    def maker():
        return Elements(100_000, 100, size=size, records=3)

    body = json.dumps(values, indent=indent).encode()
    pieces = cut(maker, body, step)
    assert pieces == cut(maker, body, 100_000)
    assert [json.loads(raw) for piece in pieces for raw in piece.records()[0]] == values


SMALL = st.recursive(
    st.none() | st.sampled_from(['{"', "}\n{", "]", "\\", "é"]), lambda inner: st.lists(inner, max_size=2), max_leaves=4
)
OBJECTS = st.lists(st.dictionaries(st.sampled_from(["a", "{", '"', ""]), SMALL, min_size=1, max_size=3), min_size=1, max_size=4)


@given(OBJECTS, st.integers(1, 9), st.sampled_from([2, "\t"]))
def test_objects_over_several_lines_are_taken_one_by_one(values, step, indent):
    body = b"\n".join(json.dumps(value, indent=indent).encode() for value in values)

    def maker():
        return cutter(body, as_json=True, limit=100_000, depth=100)

    assert [json.loads(raw) for piece in cut(maker, body, step) for raw in piece.records()[0]] == values


@pytest.mark.parametrize(
    "body", [b"[1] 2", b"[1", b"]", b"[[1]", b'{\n"a": 1} 2 {}', b'{\n"a": 1', b'{\n"a": 1}, {}', b'{\n"a": 1}}']
)
def test_a_document_that_is_not_whole_is_refused_however_it_is_chunked(body):
    for step in range(1, len(body) + 1):
        with pytest.raises(BadRecord):
            cut(lambda: cutter(body, as_json=True, limit=100, depth=8) if body[:1] != b"]" else Elements(100, 8), body, step)


@given(st.binary().filter(lambda raw: b"\n" not in raw and raw.removesuffix(b"\r")))
def test_text_of_any_bytes_can_be_restored(raw):
    frame = Push("p", PushSettings(), SeriesTable(), Limits()).text(Piece(raw + b"\n"), NOW).frames["logs"]
    body, attributes = frame["body"][0], frame["attributes"].to_list()[0]
    assert (restore(body) if "vedette.encoding" in attributes else body.encode()) == raw.removesuffix(b"\r")


def test_text_lines_say_when_and_how_grave_and_how_long_they_were():
    text = b"2026-01-01T00:00:00Z ERROR disk full\r\n\n" + "é".encode() * 30 + b"\nplain\n"
    (piece,) = cut(lambda: Lines(41), text, 7)
    rows = Push("p", PushSettings(), SeriesTable(), Limits()).text(piece, NOW).frames["logs"].to_dicts()
    assert [row["body"] for row in rows] == ["2026-01-01T00:00:00Z ERROR disk full", "é" * 20, "plain"]
    assert [row["severity"] for row in rows] == [17, 0, 0]
    assert [row["attributes"] for row in rows] == [{}, {"vedette.truncated": "60"}, {}]


SAMPLES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["up", "", 7, "\ud800"]),
        "value": st.integers() | st.floats() | st.booleans() | st.text(max_size=2) | st.just(10**400),
        "timestamp": st.sampled_from([NOW // 1000, NOW / 1000, "2026-01-01T00:00:00Z", "x", None, 1, 2**70, [1]]),
        "labels": st.sampled_from([{}, {"job": "a"}, {"job": 1}, None, [], {"a": {"b": [[]]}}]),
        "more": st.sampled_from([1, [[[[]]]]]),
    },
)


@given(st.lists(SAMPLES, max_size=6))
def test_samples_like_those_before_are_read_as_if_they_were_the_first(samples):
    lines = [json.dumps(sample).encode() for sample in samples]
    limits = Limits(depth=4)
    settings = PushSettings(records="metrics", time_unit="ms")

    def read(push, raws, first):
        return push.json(Piece(b"".join(raw + b"\n" for raw in raws)), NOW, first=first)

    again = Push("p", settings, SeriesTable(), limits)
    read(again, lines, 1)
    whole = read(again, lines, 1)
    alone = [read(Push("p", settings, SeriesTable(), limits), [line], at) for at, line in enumerate(lines, 1)]
    rows = [row for each in alone if "metrics" in each.frames for row in each.frames["metrics"].rows()]
    assert (whole.frames["metrics"].rows() if "metrics" in whole.frames else []) == rows
    assert whole.faults == tuple(fault for each in alone for fault in each.faults)


@pytest.mark.parametrize("value", ["1e400", "-1e400", "NaN", '"1"', "null", "true", "1" + "0" * 400])
def test_a_value_that_is_no_finite_number_is_set_aside_by_name(value):
    delivery = push("metrics", b'{"name": "m", "timestamp": "2026-01-01T00:00:00Z", "value": %s}' % value.encode())
    assert delivery.faults[0].field == "value"
    assert "expected a finite number, got" in delivery.frames["dead_letters"]["reason"][0]


@pytest.mark.parametrize(
    "time", ["-1", "0", str(2**64 - 1), '"2026-01-01T00:00:00"', '"9999-01-01T00:00:00Z"', '"2026-01-01T00:00:60Z"', "null"]
)
def test_a_time_that_cannot_be_believed_is_set_aside_by_name(time):
    delivery = push("metrics", b'{"name": "m", "value": 1, "timestamp": %s}' % time.encode(), time_unit="ms")
    assert [fault.field for fault in delivery.faults] == ["timestamp"]


def test_a_log_object_keeps_what_it_says():
    line = b'{"time": "2026-01-01T00:00:00Z", "level": "warn", "msg": "hot", "core": 3, "bad": "\\ud800"}'
    row = push("logs", line).frames["logs"].to_dicts()[0]
    assert (row["severity"], row["body"], row["attributes"]["core"]) == (13, "hot", "3")
    assert row["attributes"]["vedette.encoding"] == "backslashreplace"


def test_nothing_but_garbage_is_refused():
    with pytest.raises(BadRecord, match="record 0"):
        push("logs", b"}{", b"nope")


def test_no_more_than_a_piece_is_held_of_a_large_body():
    chunk = b"2026-01-01T00:00:00Z ERROR the disk is full\n" * 1400 + b"x" * 4000
    held = Lines(1000)
    sizes = [(len(piece.raw), piece.raw.count(b"\n")) for _ in range(64 << 4) for piece in held.feed(chunk)]
    assert sum(size for size, _ in sizes) > 50 << 20
    assert max(size for size, _ in sizes) <= PIECE_BYTES + 1001
    assert max(lines for _, lines in sizes) <= PIECE_RECORDS
