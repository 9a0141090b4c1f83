import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.core.frames import POINTS
from vedette.validate import KINDS, WINDOWS, inject

MINUTE = 60_000_000
START = 1_700_000_000_000_000


def clean(count=4000, series=2, noise=0.3, base=10.0, step=5, seed=0):
    rng, turn = np.random.default_rng(seed), 2 * np.pi * np.arange(count) * step / 1440
    parts = [base + 3 * np.sin(turn + each) + rng.normal(0, noise, count) for each in range(series)]
    ids = np.repeat(np.arange(series), count)
    at = np.tile(START + step * MINUTE * np.arange(count), series)
    return pl.DataFrame({"series": ids, "at": at, "value": np.concatenate(parts)}).cast(POINTS)


def changes(kind, seed=0):
    points = clean(base=100.0)
    laid, windows = inject(points, np.random.default_rng(seed), [kind], per_series=1)
    both = points.join(laid, on=["series", "at"], how="left", suffix="_laid", maintain_order="left")
    off = both.select("series", pl.col("at").to_physical(), pl.col("value_laid") - pl.col("value"), was="value", now="value_laid")
    for window in windows.iter_rows(named=True):
        inside = (pl.col("series") == window["series"]) & pl.col("at").is_between(window["start"], window["end"])
        yield off.filter(inside)


def offs(kind):
    return [each["value_laid"].to_numpy() for each in changes(kind)]


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_windows_never_overlap_and_leave_room(seed, per_series):
    points, windows = inject(clean(), np.random.default_rng(seed), per_series=per_series)
    assert dict(points.schema) == POINTS
    assert dict(windows.schema) == WINDOWS
    room = windows.with_columns(gap=pl.col("start") - pl.col("end").shift(1).over("series"))["gap"].drop_nulls()
    assert (room > 20 * 5 * MINUTE).all()
    assert (windows["end"] >= windows["start"]).all()


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_outside_the_windows_nothing_is_changed(seed):
    points = clean()
    laid, windows = inject(points, np.random.default_rng(seed))
    both = points.join(laid, on=["series", "at"], how="left", suffix="_laid").with_columns(pl.col("at").to_physical())
    inside = pl.lit(value=False)
    for series, start, end, _ in windows.iter_rows():
        inside |= (pl.col("series") == series) & pl.col("at").is_between(start, end)
    outside = both.filter(~inside)
    assert outside["value"].equals(outside["value_laid"].rename("value"))
    assert (windows["start"] >= START + int(0.3 * 4000) * 5 * MINUTE).all()


def test_the_same_seed_lays_the_same_anomalies_and_input_is_left_alone():
    points = clean()
    before = points.clone()
    one, other = (inject(points, np.random.default_rng(5)) for _ in range(2))
    assert one[0].equals(other[0])
    assert one[1].equals(other[1])
    assert points.equals(before)


def test_all_kinds_take_turns():
    _, windows = inject(clean(series=18), np.random.default_rng(1), per_series=4)
    counts = windows.group_by("kind").len()
    assert set(counts["kind"]) == set(KINDS)
    assert counts["len"].max() - counts["len"].min() <= 1


@pytest.mark.parametrize(("kind", "sign"), [("spike", 1), ("dip", -1)])
def test_spikes_go_up_and_dips_down(kind, sign):
    for off in offs(kind):
        assert len(off) <= 5
        assert (sign * off > 4).all()


def test_a_level_shift_is_one_step():
    for off in offs("level_shift"):
        assert len(off) > 20
        assert np.ptp(off) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("kind", ["slow_leak", "trend_change"])
def test_what_creeps_never_jumps(kind):
    for off in offs(kind):
        steps = np.diff(np.r_[0.0, off])
        assert (steps > 0).all() or (steps < 0).all()
        assert np.abs(steps).max() < 0.1 * np.abs(off).max()
    if kind == "slow_leak":
        assert all((off > 0).all() for off in offs(kind))


def test_variance_changes_about_the_same_level():
    for off in offs("variance_change"):
        assert off.std() > 2.0
        assert abs(off.mean()) < off.std() / 2


def test_a_flat_line_is_flat():
    for each in changes("flat_line"):
        assert each["now"].n_unique() == 1


def test_missing_points_are_gone_and_the_window_ends_when_one_can_tell():
    for each in changes("missing"):
        gone = each["now"].is_null().to_numpy()
        assert gone[:-3].all()
        assert not gone[-3:].any()


def test_a_season_breaks_only_where_there_is_one():
    broken = list(changes("season_break"))
    assert broken
    assert all(each["value_laid"].abs().mean() > 2.0 for each in broken)
    rng = np.random.default_rng(2)
    flat = clean().with_columns(value=pl.Series(rng.normal(size=8000)))
    assert inject(flat, rng, ["season_break"])[1].is_empty()


def test_what_would_not_show_is_not_claimed():
    constant = clean().with_columns(value=pl.lit(0.0))
    assert inject(constant, np.random.default_rng(0), ["flat_line", "dip"])[1].is_empty()


def test_a_series_that_cannot_be_negative_stays_so():
    points, _ = inject(clean(base=3.2, noise=0.0), np.random.default_rng(3), per_series=5)
    assert points["value"].min() >= 0.0


def test_short_series_get_fewer_and_gaps_are_kept():
    short = clean(count=100)
    assert inject(short, np.random.default_rng(0), per_series=5)[1].height <= 2
    holes = clean().with_columns(value=pl.when(pl.col("value") > 8).then("value"))
    points, windows = inject(holes, np.random.default_rng(0), ["spike"])
    assert windows.height > 0
    assert points["value"].is_nan().sum() == 0
    assert points["value"].null_count() == holes["value"].null_count()
    assert inject(clean().clear(), np.random.default_rng(0))[1].is_empty()
