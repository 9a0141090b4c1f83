import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.core.catalogue import SeriesInfo
from vedette.core.frames import AT, POINTS, SERIES, conform
from vedette.core.identity import series_id
from vedette.prepare.log_counts import LogCounts, LogCountSettings

MINUTE = 60_000_000
LOGS = {"at": AT, "series": pl.Int64, "severity": pl.Int32, "template": pl.Int64, "source": pl.String}


def describe(series):
    return {each: SeriesInfo(each, "log", {"service": f"s{each}"}, "stream", "") for each in series}


def logs(rows):
    table = pl.DataFrame(rows, schema={**LOGS, "at": pl.Int64}, orient="row")
    return table.with_columns(pl.col("at").cast(AT)).select(list(LOGS))


def template_series(stream, template):
    return series_id("log_template_lines", {"service": f"s{stream}", "template": f"{template:016x}"})


def errors_of(stream):
    return series_id("log_severity_lines", {"service": f"s{stream}", "severity": "error"})


def values(counted, series):
    rows = counted.points.filter(pl.col("series") == series).select(pl.col("at").cast(pl.Int64), "value").rows()
    return [(at // MINUTE, value) for at, value in rows]


def test_a_slot_is_counted_once_it_is_old_enough():
    counts = LogCounts(describe)
    counts.observe(logs([]), 10 * MINUTE)
    early = counts.observe(logs([(10 * MINUTE, 1, 9, 7, "a"), (10 * MINUTE + 5, 1, 17, 7, "a")]), 11 * MINUTE)
    assert early.points.is_empty()
    assert sorted(early.series["name"].to_list()) == ["log_severity_lines", "log_severity_lines", "log_template_lines"]
    done = counts.observe(logs([]), 12 * MINUTE)
    conform(done.points, POINTS)
    conform(early.series, SERIES)
    assert values(done, template_series(1, 7)) == [(11, 2.0)]
    assert values(done, errors_of(1)) == [(11, 1.0)]


def test_errors_are_counted_from_the_first_line_of_a_stream_on_as_long_as_it_is_alive():
    counts = LogCounts(describe, LogCountSettings(idle=60, gone=180))
    counts.observe(logs([(10 * MINUTE, 1, 9, 7, "a")]), 10 * MINUTE)
    done = counts.observe(logs([]), 40 * MINUTE)
    assert values(done, errors_of(1)) == [(11, 0.0), (12, 0.0), (13, 0.0), (14, 0.0)]
    assert values(done, template_series(1, 7)) == [(11, 1.0), (12, 0.0)]


def test_a_silent_template_gives_zeros_while_its_stream_is_alive():
    counts = LogCounts(describe, LogCountSettings(idle=300, gone=120))
    counts.observe(logs([]), 10 * MINUTE)
    counts.observe(logs([(10 * MINUTE, 1, 9, 7, "a"), (13 * MINUTE, 1, 9, 8, "a")]), 11 * MINUTE)
    done = counts.observe(logs([]), 40 * MINUTE)
    assert values(done, template_series(1, 7)) == [(11, 1.0), (12, 0.0), (13, 0.0), (14, 0.0), (15, 0.0), (16, 0.0)]
    assert values(done, template_series(1, 8)) == [(14, 1.0), (15, 0.0), (16, 0.0)]


def test_late_lines_are_counted_by_source():
    counts = LogCounts(describe)
    counts.observe(logs([(10 * MINUTE, 1, 9, 7, "a")]), 10 * MINUTE)
    counts.observe(logs([]), 12 * MINUTE)
    late = counts.observe(logs([(2 * MINUTE, 1, 9, 7, "a"), (10 * MINUTE, 1, 9, 7, "b"), (11 * MINUTE, 1, 9, 7, "b")]), 12 * MINUTE)
    assert late.late.rows() == [("a", 1), ("b", 1)]


def test_definitions_come_once_and_beyond_the_limit_there_is_one_other():
    counts = LogCounts(describe, LogCountSettings(limit=3))
    counts.observe(logs([]), 10 * MINUTE)
    first = counts.observe(logs([(10 * MINUTE, 1, 9, template, "a") for template in range(1, 30)]), 10 * MINUTE)
    again = counts.observe(logs([(10 * MINUTE, 1, 9, template, "a") for template in range(1, 30)]), 10 * MINUTE)
    assert first.series.height == 4
    assert again.series.is_empty()
    assert first.limited.rows() == [("a", 28)]
    done = counts.observe(logs([]), 12 * MINUTE)
    assert values(done, series_id("log_template_lines", {"service": "s1", "template": "__other__"})) == [(11, 56.0)]


ROWS = st.lists(
    st.tuples(st.integers(0, 9 * 60), st.integers(1, 3), st.sampled_from([0, 9, 17]), st.integers(1, 4), st.sampled_from("ab")),
    max_size=60,
)


def arrivals(rows, delays):
    """Each line reaches us up to 60 seconds after it was logged."""
    base = 100 * MINUTE
    timed = [(base + row[0] * 1_000_000, *row[1:]) for row in rows]
    return sorted(zip(timed, delays, strict=False), key=lambda pair: pair[0][0] + pair[1] * 1_000_000)


def oracle(rows, until, idle=360, gone=60):
    """(series, minute of the end, lines), zeros included, of every slot below `until`: counted one line at a time."""
    keys = {}
    for at, stream, severity, template, _ in rows:
        word = {0: "unspecified", 9: "info", 17: "error"}[severity]
        for name, label, code in (("template", "template", f"{template:016x}"), ("severity", "severity", word)):
            series = series_id(f"log_{name}_lines", {"service": f"s{stream}", label: code})
            keys.setdefault((stream, series), []).append(at // MINUTE)
    errors = {errors_of(stream) for stream, _ in keys}
    keys |= {(stream, errors_of(stream)): keys.get((stream, errors_of(stream)), []) for stream, _ in keys}
    points = []
    for (stream, series), slots in keys.items():
        spoken = [slot for (other, _), each in keys.items() if other == stream for slot in each]
        for slot in range(min(spoken if series in errors else slots), until):
            known = series in errors or any(slot - idle <= each <= slot for each in slots)
            if known and any(slot - gone <= each <= slot for each in spoken):
                points.append((series, slot + 1, float(slots.count(slot))))
    return sorted(points)


def minutes(frames):
    table = pl.concat(frames).select("series", pl.col("at").to_physical() // MINUTE, "value")
    return sorted(table.rows())


@settings(max_examples=25, deadline=None)
@given(ROWS, st.lists(st.integers(0, 59), min_size=60, max_size=60), st.integers(20, 90))
def test_shuffled_within_the_bound_it_equals_a_count_by_hand_zeros_included(rows, delays, beat):
    counts, parts, late = LogCounts(describe, LogCountSettings(gone=180, idle=240)), [], 0
    pending = arrivals(rows, delays)
    for now in range(0, 20 * 60, beat):
        at = 100 * MINUTE + now * 1_000_000
        come = [row for row, delay in pending if row[0] + delay * 1_000_000 <= at]
        pending = pending[len(come) :]
        counted = counts.observe(logs(come), at)
        parts.append(counted.points)
        late += counted.late["lines"].sum()
    timed = [(100 * MINUTE + row[0] * 1_000_000, *row[1:]) for row in rows]
    assert late == 0
    assert minutes(parts) == oracle(timed, (at - MINUTE) // MINUTE, idle=4, gone=3)


@settings(max_examples=25, deadline=None)
@given(ROWS, st.integers(1, 60), st.integers(1, 1000))
def test_history_gives_the_counts_it_would_have_given_then(rows, chunk, burst):
    """Years later, in order of time and in any chunks, with any room for points: the same counts; nothing is late."""
    timed = sorted((100 * MINUTE + row[0] * 1_000_000, *row[1:]) for row in rows)
    counts, parts, late, today = LogCounts(describe, LogCountSettings(gone=180, idle=240, burst=burst)), [], 0, 10**15
    for start in range(0, len(timed), chunk):
        counted = counts.observe(logs(timed[start : start + chunk]), today)
        parts.append(counted.points)
        late += counted.late["lines"].sum()
    parts += [counts.observe(logs([]), today + 60 * MINUTE).points for _ in range(300)]
    assert late == 0
    assert minutes(parts) == oracle(timed, 200, idle=4, gone=3)


def test_a_stream_of_history_and_one_of_today_have_their_own_clocks():
    counts = LogCounts(describe)
    counts.observe(logs([(10 * MINUTE, 1, 9, 7, "old"), (1000 * MINUTE, 2, 9, 7, "new")]), 1000 * MINUTE)
    done = counts.observe(logs([(13 * MINUTE, 1, 9, 7, "old")]), 1000 * MINUTE)
    assert done.late.rows() == []
    assert values(done, template_series(1, 7)) == [(11, 1.0), (12, 0.0)]
    done = counts.observe(logs([(10 * MINUTE, 1, 9, 7, "old"), (900 * MINUTE, 2, 9, 7, "new")]), 1000 * MINUTE)
    assert done.late.rows() == [("old", 1), ("new", 1)]


def test_a_line_from_the_future_waits_and_makes_no_other_late():
    counts = LogCounts(describe)
    counts.observe(logs([(10 * MINUTE, 1, 9, 7, "a"), (10**15, 1, 9, 7, "a")]), 10 * MINUTE)
    done = counts.observe(logs([(10 * MINUTE + 1, 1, 9, 7, "a")]), 12 * MINUTE)
    assert done.late.rows() == []
    assert values(done, template_series(1, 7)) == [(11, 2.0)]


def test_nothing_is_done_for_a_beat_in_which_nothing_comes_and_nothing_closes():
    counts = LogCounts(describe)
    counts.observe(logs([(10 * MINUTE, 1, 9, 7, "a")]), 10 * MINUTE)
    assert counts.observe(logs([]), 10 * MINUTE + 1) is counts.observe(logs([]), 10 * MINUTE + 2)


@settings(max_examples=15, deadline=None)
@given(ROWS, st.integers(0, 60))
def test_resumed_anywhere_it_gives_the_same_points(rows, cut):
    timed = [(100 * MINUTE + row[0] * 1_000_000, *row[1:]) for row in rows]
    whole, resumed = LogCounts(describe), LogCounts(describe)
    beats = [([], 100), (timed[:cut], 103), (timed[cut:], 106), ([], 130)]
    for part, at in beats:
        expected = whole.observe(logs(part), at * MINUTE)
        restarted = LogCounts(describe)
        restarted.load(resumed.state())
        found = restarted.observe(logs(part), at * MINUTE)
        resumed = restarted
        assert [frame.rows() for frame in found] == [frame.rows() for frame in expected]
