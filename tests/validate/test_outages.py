"""What must be caught, laid where every version can be asked for it."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.core.frames import POINTS, VERDICTS, from_rows
from vedette.validate.outages import DAY, WINDOWS, Outage, caught, made_up, must_catch, past

MINUTE = 60_000_000


def points(start, count, series=(1, 2), value=0.0, step=10 * MINUTE):
    at = start + step * np.arange(count)
    return pl.concat([pl.DataFrame({"series": each, "at": at, "value": value + each / 10}) for each in series]).cast(POINTS)


#: Two weeks, with an outage of an hour on the third day in which both series are at 99.
BAD = (2 * DAY + 36_000_000_000, 2 * DAY + 39_600_000_000)
ROWS = points(0, 14 * 144).with_columns(
    value=pl.when(pl.col("at").to_physical().is_between(*BAD, closed="left")).then(99.0).otherwise("value")
)
LATER = points(10 * DAY, 4 * 144)
DOWN = Outage("database down", *BAD, (1, 2))


def test_a_past_outage_is_laid_at_the_same_time_of_a_later_day_and_nowhere_else():
    laid, windows = past(ROWS, LATER, [DOWN], [])
    moved = 8 * DAY
    assert windows.rows() == [("database down", each, BAD[0] + moved, BAD[1] + moved) for each in (1, 2)]
    inside = pl.col("at").to_physical().is_between(BAD[0] + moved, BAD[1] + moved, closed="left")
    assert laid.filter(inside)["value"].to_list() == [99.0] * 12
    assert laid.filter(~inside).equals(LATER.filter(~inside))
    assert laid.select("series", "at").equals(LATER.select("series", "at"))


def test_it_is_laid_where_nothing_else_is_and_left_out_where_there_is_no_room():
    taken = [(10 * DAY + BAD[0] % DAY, 10 * DAY + BAD[0] % DAY + 1)]
    _, windows = past(ROWS, LATER, [DOWN, DOWN], taken)
    assert windows["start"].unique().sort().to_list() == [each * DAY + BAD[0] % DAY for each in (11, 12)]
    _, windows = past(ROWS, LATER, [DOWN] * 9, [])
    assert windows["start"].n_unique() == 4
    for into, outages in ((LATER, [Outage("unseen", *BAD, (7,))]), (LATER, []), (LATER.clear(), [DOWN])):
        laid, windows = past(ROWS, into, outages, [])
        assert laid.equals(into)
        assert dict(windows.schema) == WINDOWS
        assert windows.is_empty()


def groups(names):
    return pl.DataFrame({"series": list(names), "group": list(names.values())}, schema={"series": pl.Int64, "group": pl.String})


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 14))
def test_made_up_outages_move_a_whole_group_far_and_leave_everything_else(seed, count):
    rng = np.random.default_rng(seed)
    calm = points(0, 1000, (1, 2, 3)).with_columns(value=pl.Series(rng.normal(size=3000)))
    taken = [(3 * DAY, 4 * DAY)]
    laid, windows = made_up(calm, groups({1: "web", 2: "web", 3: "db"}), rng, taken, count)
    assert windows["start"].n_unique() <= count
    off = laid["value"] - calm["value"]
    hit = np.zeros(laid.height, bool)
    for name, series, start, end in windows.iter_rows():
        assert name == ("level of db" if series == 3 else "level of web")
        assert end <= taken[0][0] or start >= taken[0][1]
        mine = ((laid["series"] == series) & laid["at"].to_physical().is_between(start, end, closed="left")).to_numpy()
        assert mine.sum() >= 3
        assert not (hit & mine).any()
        hit |= mine
    assert (off.to_numpy()[~hit] == 0).all()
    assert (np.abs(off.to_numpy()[hit]) > 8).all()
    again = made_up(calm, groups({1: "web", 2: "web", 3: "db"}), np.random.default_rng(seed), taken, count)
    assert dict(again[1].schema) == WINDOWS


def test_what_cannot_be_moved_is_left_alone():
    flat = points(0, 1000)
    rng = np.random.default_rng(0)
    for into, named in (
        (flat, groups({1: "a", 2: "a"})),
        (flat, groups({})),
        (flat.clear(), groups({1: "a"})),
        (flat[:20], groups({1: "a"})),
    ):
        laid, windows = made_up(into, named, rng, [])
        assert laid.equals(into)
        assert windows.is_empty()


def verdicts(*odd):
    """Odd verdicts at (series, time), and a calm and a null one beside each."""
    rows = [(at, series, "m", "1", 9.0, 1.0, 0.0, 2.0, score) for series, at in odd for score in (8.0, 0.5, None)]
    return from_rows(rows, VERDICTS)


WHERE = pl.DataFrame([("db", 1, 10, 20), ("db", 2, 10, 20), ("db", 3, 10, 20), ("web", 1, 50, 60)], schema=WINDOWS, orient="row")


def test_two_odd_series_are_enough_or_the_only_one():
    def told(*odd):
        return caught(verdicts(*odd), WHERE)["caught"].to_list()

    assert told() == [False, False]
    assert told((1, 10), (1, 19)) == [False, False]
    assert told((1, 10), (3, 19)) == [True, False]
    assert told((1, 9), (1, 20), (2, 9), (1, 50)) == [False, True]
    assert told((4, 15), (2, 55)) == [False, False]
    assert caught(verdicts((1, 1)), WHERE.clear()).schema == caught(verdicts((1, 1)), WHERE).schema


def test_a_candidate_must_catch_what_the_champion_catches_and_the_gate_names_what_it_missed():
    champion = caught(verdicts((1, 10), (3, 19), (1, 50)), WHERE)
    found = must_catch(caught(verdicts((1, 10), (3, 19)), WHERE), champion)
    assert (found.check, found.passed, found.measured) == ("past_outages", False, "1 of 2 caught")
    assert "'web'" in found.why
    assert must_catch(champion, champion).passed
    assert must_catch(caught(verdicts((1, 10), (3, 19)), WHERE), caught(verdicts((1, 10), (3, 19)), WHERE)).passed
    assert must_catch(caught(verdicts(), WHERE.clear()), None).passed


def test_without_a_champion_half_of_them_is_enough():
    assert must_catch(caught(verdicts((1, 10), (3, 19)), WHERE), None).passed
    assert not must_catch(caught(verdicts(), WHERE), None).passed
    many = WHERE.clear().vstack(pl.DataFrame([(f"outage {n}", 1, n, n + 1) for n in range(9)], schema=WINDOWS, orient="row"))
    assert "and 6 more" in must_catch(caught(verdicts(), many), None).why
