import math
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vedette.validate import auc_pr, block_bootstrap, events, from_labels, from_windows, sweep, vus_pr

MINUTE = 60_000_000
DATA = Path(os.environ.get("VEDETTE_DATA", Path(__file__).parents[3] / "shared" / "data"))


def laid(count, series=1):
    return np.tile(np.arange(count // series) * MINUTE, series), np.repeat(np.arange(series), count // series)


def counted(score, label, **more):
    at, series = laid(len(label))
    return events(at, series, np.asarray(score, float), np.asarray(label), **more)


def marks(count, *rows):
    score = np.zeros(count)
    score[list(rows)] = 2.0
    return score


LABELS = arrays.arrays(np.int8, st.integers(20, 300), elements=st.sampled_from([0, 0, 0, 0, 1]))


@given(LABELS.filter(lambda label: label.any()))
def test_a_perfect_score_has_f1_of_one(label):
    found = counted(label * 2.0, label)
    assert found.f1 == found.prompt_f1 == found.recall == found.precision == 1.0
    assert found.false_alarms == found.delay == 0


@given(LABELS, st.integers(0, 2**32 - 1))
def test_order_of_series_does_not_matter(label, seed):
    rng = np.random.default_rng(seed)
    size = len(label) // 4 * 4
    label, score = label[:size].reshape(4, -1), rng.exponential(size=(4, size // 4))
    at, series = laid(size, 4)
    other = rng.permutation(4)
    one = events(at, series, score.ravel(), label.ravel())
    assert one == events(at, series, score[other].ravel(), label[other].ravel())
    assert auc_pr(at, series, score.ravel(), label.ravel()) == pytest.approx(
        auc_pr(at, series, score[other].ravel(), label[other].ravel()), nan_ok=True
    )


@given(LABELS, st.integers(0, 2**32 - 1))
def test_events_agree_with_counting_one_by_one(label, seed):
    score = np.random.default_rng(seed).choice([0.0, 2.0, np.nan], len(label), p=[0.9, 0.05, 0.05])
    near = np.convolve(label, np.ones(11), "same") > 0
    runs, last, first, begins = 0, -100, 0, []
    for row in range(len(label)):
        if label[row] and (row == 0 or not label[row - 1]):
            begins.append(row)
        if score[row] > 1 and not near[row]:
            if row - last > 5:
                runs, first = runs + 1, row
            elif (row - first + 1) % 60 < (last - first + 1) % 60:
                runs += 1
            last = row
    hits = 0
    for begin in begins:
        row = begin
        while row < len(label) and label[row] and not score[row] > 1:
            row += 1
        hits += row < len(label) and bool(label[row])
    found = counted(score, label)
    assert (found.false_alarms, found.found, found.missed) == (runs, hits, len(begins) - hits)


def test_runs_within_five_points_are_one_false_alarm():
    assert counted(marks(100, 10, 15, 20), np.zeros(100)).false_alarms == 1
    assert counted(marks(100, 10, 16), np.zeros(100)).false_alarms == 2


def test_a_false_alarm_counts_again_for_every_sixty_points():
    assert counted(marks(200, *range(59)), np.zeros(200)).false_alarms == 1
    assert counted(marks(200, *range(60)), np.zeros(200)).false_alarms == 2
    assert counted(marks(200, *range(130)), np.zeros(200)).false_alarms == 3


def test_points_within_five_of_an_event_are_neither_good_nor_bad():
    label = np.zeros(100)
    label[50:60] = 1
    assert counted(marks(100, 45, 64), label).false_alarms == 0
    assert counted(marks(100, 44), label).false_alarms == counted(marks(100, 65), label).false_alarms == 1
    assert counted(marks(100, 45, 64), label).found == 0


def test_the_surroundings_of_an_event_end_with_its_series():
    label = np.zeros(40)
    label[17:20] = 1
    at, series = laid(40, 2)
    assert events(at, series, marks(40, 21), label).false_alarms == 1


def test_false_alarms_do_not_merge_across_series():
    at, series = laid(40, 2)
    assert events(at, series, marks(40, 19, 20), np.zeros(40)).false_alarms == 2


def test_prompt_is_within_the_first_eight_points():
    label = np.r_[np.zeros(20), np.ones(20)]
    assert counted(marks(40, 27), label).prompt == 1
    late = counted(marks(40, 28), label)
    assert (late.prompt, late.found, late.delay) == (0, 1, 8.0)


def test_two_events_side_by_side_in_different_series_are_two():
    at, series = laid(20, 2)
    assert events(at, series, np.zeros(20), np.r_[np.zeros(9), 1, 1, np.zeros(9)]).missed == 2


def test_scores_that_say_nothing_miss():
    label = np.r_[np.zeros(20), np.ones(20)]
    found = counted(np.full(40, np.nan), label)
    assert (found.missed, found.f1, found.recall) == (1, 0.0, 0.0)
    assert math.isnan(found.precision)
    assert from_labels(*laid(40), np.full(40, np.nan), label).series["nulls"].to_list() == [40]


def test_without_events_there_is_nothing_to_weigh():
    found = counted(np.zeros(50), np.zeros(50))
    assert math.isnan(found.f1)
    assert math.isnan(found.prompt_f1)
    assert found.false_alarms_per_series_week == 0.0


def test_no_points_are_no_outcomes():
    none = np.zeros(0)
    outcomes = from_labels(none.astype(np.int64), none.astype(np.int64), none, none)
    assert outcomes.total.found == outcomes.total.false_alarms == 0
    assert outcomes.blocks().shape == (0, 4)


def test_costs_move_f1_between_precision_and_recall():
    label = np.r_[np.zeros(20), np.ones(20), np.zeros(20), np.ones(20)]
    found = counted(marks(80, 22, 3), label)
    assert found.precision == found.recall == 0.5
    many = counted(marks(80, 22), label)
    assert many.weighted(cost_of_miss=10) < many.f1 < many.weighted(cost_of_false_alarm=10)


def test_unsorted_points_are_refused():
    with pytest.raises(ValueError, match="sorted"):
        events(np.array([2, 1]), np.array([0, 0]), np.zeros(2), np.zeros(2))
    with pytest.raises(ValueError, match="length"):
        events(np.array([1, 2]), np.array([0, 0]), np.zeros(3), np.zeros(2))


def test_windows_count_as_labels_do():
    rng = np.random.default_rng(0)
    label = np.zeros(900)
    label[[*range(100, 130), *range(400, 420), *range(800, 801)]] = 1
    at, series = laid(900, 3)
    score = rng.exponential(0.4, 900)
    labelled = from_labels(at, series, score, label)
    windowed = from_windows(at, series, score, labelled.events.select("series", "start", "end"))
    assert windowed.total == labelled.total


def test_a_window_without_a_point_is_missed():
    at, series = laid(50)
    windows = pl.DataFrame({"series": [0, 9], "start": [90, 0], "end": [100, MINUTE]})
    assert from_windows(at, series, np.full(50, 2.0), windows).total.missed == 2


def test_overlapping_windows_are_each_judged():
    at, series = laid(50)
    windows = pl.DataFrame({"series": 0, "start": [10 * MINUTE, 15 * MINUTE], "end": [20 * MINUTE, 25 * MINUTE]})
    outcomes = from_windows(at, series, marks(50, 12), windows)
    assert outcomes.events["delay"].to_list() == [2, None]


def test_outcomes_by_group_add_up():
    rng = np.random.default_rng(1)
    at, series = laid(4000, 4)
    outcomes = from_labels(at, series, rng.exponential(0.3, 4000), rng.random(4000) < 0.01)
    groups = outcomes.by(pl.DataFrame({"series": [0, 1, 2, 3], "group": ["b", "a", "b", "a"]}))
    assert list(groups) == ["a", "b"]
    assert sum(each.false_alarms for each in groups.values()) == outcomes.total.false_alarms
    assert sum(each.found for each in groups.values()) == outcomes.total.found


def test_blocks_of_time_add_up_and_can_be_drawn_from():
    rng = np.random.default_rng(2)
    at, series = laid(8000, 4)
    outcomes = from_labels(at, series, rng.exponential(0.3, 8000), rng.random(8000) < 0.01)
    blocks, total = outcomes.blocks(3_600_000_000), outcomes.total
    assert blocks.sum(axis=0)[:3].tolist() == [total.found, total.missed, total.false_alarms]
    assert blocks[:, 3].sum() == pytest.approx(total.weeks)
    interval = block_bootstrap(blocks, lambda rows: rows[:, 2].sum() / rows[:, 3].sum(), rng, draws=200)
    assert interval.lower < total.false_alarms_per_series_week < interval.upper


def test_average_precision_by_hand():
    label, score = np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.8, np.nan])
    assert auc_pr(*laid(4), score, label) == pytest.approx(0.5 * 1.0 + 0.5 * 2 / 3)


def volume(score, label, buffer, thresholds):
    """Read off the paper's definition, one threshold and one buffer at a time."""
    begins, ends = (np.flatnonzero(np.diff(np.r_[0, label, 0]) == sign) for sign in (1, -1))
    cuts = np.sort(score)[::-1][np.linspace(0, len(score) - 1, thresholds).astype(int)]
    areas = []
    for width in range(buffer + 1):
        soft = label.astype(float)
        for begin, end in zip(begins, ends, strict=True):
            for row in range(len(label)):
                off = max(begin - row, row - end + 1)
                if 0 < off <= width // 2 and not label[row]:
                    soft[row] = min(1.0, soft[row] + math.sqrt(1 - off / width))
        around = np.zeros(len(label), int)
        for begin, end in zip(begins, ends, strict=True):
            around[max(begin - width // 2, 0) : end + width // 2] = 1
        cuts_of = np.flatnonzero(np.diff(np.r_[0, around, 0]))
        stretches = list(zip(cuts_of[::2], cuts_of[1::2], strict=True))
        area = before = 0.0
        for cut in cuts:
            told = score >= cut
            hit = soft[told].sum()
            positives = (label.sum() + label.sum() + soft[told & (label == 0)].sum()) / 2
            recall = min(hit / positives, 1.0) * np.mean([told[low:high].any() for low, high in stretches])
            area, before = area + (recall - before) * hit / told.sum(), recall
        areas.append(area)
    return np.mean(areas)


@given(st.integers(0, 2**32 - 1))
def test_volume_agrees_with_its_definition(seed):
    rng = np.random.default_rng(seed)
    label = np.zeros(120, int)
    for begin in (10, 50, 90):
        label[begin : begin + rng.integers(1, 8)] = 1
    score = label * rng.random(120) + rng.random(120)
    assert vus_pr(*laid(120), score, label, buffer=9, thresholds=30) == pytest.approx(volume(score, label, 9, 30))


def test_volume_forgives_what_is_a_little_late():
    label = np.repeat([0, 1, 0], [100, 10, 190])
    at, series = laid(300)
    late, wrong = np.roll(label, 12).astype(float), np.roll(label, 150).astype(float)
    assert vus_pr(at, series, late, label) > 3 * vus_pr(at, series, wrong, label)
    assert vus_pr(at, series, np.full(300, np.nan), label) == 0.0
    assert math.isnan(vus_pr(at, series, late, np.zeros(300)))


def test_a_sweep_shows_what_other_thresholds_cost():
    rng = np.random.default_rng(3)
    at, series = laid(2000)
    label = np.zeros(2000)
    label[500:520] = label[1500:1520] = 1
    table = sweep(at, series, rng.exponential(1.0, 2000) + 5 * label, label, np.array([1.0, 4.0, 100.0]))
    assert table["false_alarms_per_series_week"].is_sorted(descending=True)
    assert table["event_recall"].to_list()[-1] == 0.0


@pytest.mark.skipif(not (DATA / "aiops2018_kpi.parquet").exists(), reason="the shared data is absent: set VEDETTE_DATA")
def test_real_kpis_reproduce_the_published_z_score():
    frame = pl.read_parquet(DATA / "aiops2018_kpi.parquet").sort("kpi", "timestamp")
    series = frame["kpi"].cast(pl.String).rank("dense").cast(pl.Int64)
    frame = frame.with_columns(series=series).sort("series", "timestamp", maintain_order=True)
    count = pl.int_range(1, pl.len() + 1).over("series")
    mean = (pl.col("value").cum_sum() / count).over("series")
    square = ((pl.col("value") - pl.col("value").first()) ** 2).cum_sum().over("series")
    spread = ((square - count * (mean - pl.col("value").first().over("series")) ** 2).clip(0) / (count - 1).clip(1)).sqrt()
    score = ((pl.col("value") - mean.shift(1).over("series")).abs() / spread.shift(1).over("series")).alias("score")
    scored = frame.select("series", "label", pl.col("timestamp").to_physical(), score)
    at, ids, label = (scored[name].to_numpy() for name in ("timestamp", "series", "label"))
    points = np.where(np.isfinite(scored["score"].to_numpy()), scored["score"].to_numpy(), 0.0)
    assert sweep(at, ids, points, label, np.linspace(4.0, 6.0, 5))["event_f1"].max() == pytest.approx(0.511, abs=0.02)
    assert vus_pr(at, ids, points, label) == pytest.approx(0.343, abs=0.01)
