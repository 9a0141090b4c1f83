"""Nothing later is learnt before."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vedette.core.errors import Rejected
from vedette.core.frames import AT
from vedette.train import TrainSettings, by_time, folds, group_folds

shares = st.floats(0.01, 0.98)


@given(st.integers(-(10**15), 10**15), st.integers(0, 10**13), shares, shares, st.integers(0, 10**12))
def test_the_parts_follow_each_other_with_the_gap_between_them_or_are_refused(start, length, validation, holdout, gap):
    try:
        cuts = by_time(start, start + length, validation, holdout, gap)
    except Rejected:
        room = length - 2 * gap
        smallest = min(validation, holdout, 1 - validation - holdout)
        assert room <= 0 or room * smallest < 1.01
        return
    assert cuts.train[0] == start
    assert cuts.holdout[1] == start + length
    assert cuts.validation[0] - cuts.train[1] == cuts.holdout[0] - cuts.validation[1] == gap
    assert all(before < after for before, after in (cuts.train, cuts.validation, cuts.holdout))


def test_each_row_is_in_one_part_or_in_a_gap():
    cuts = by_time(0, 120, 0.2, 0.2, 10)
    rows = pl.DataFrame({"at": range(120)}).cast(AT)
    parts = {name: cuts.part(rows, name)["at"].to_physical().to_list() for name in ("train", "validation", "holdout", "seen")}
    assert parts["train"] == list(range(60))
    assert parts["validation"] == list(range(70, 90))
    assert parts["holdout"] == list(range(100, 120))
    assert parts["seen"] == list(range(90))


def test_a_window_without_room_is_refused_in_hours():
    with pytest.raises(Rejected, match=r"the window of 2\.0 h is too short to be split with gaps of 1\.0 h"):
        by_time(0, 7_200_000_000, 0.2, 0.2, 3_600_000_000)


def test_shares_that_leave_nothing_are_refused_where_they_are_declared():
    with pytest.raises(ValidationError, match=r"validation 0\.6 and holdout 0\.4 leave nothing"):
        TrainSettings(family="anomalies", validation=0.6, holdout=0.4)


@given(st.integers(0, 10**6), st.integers(10, 10**6), st.integers(1, 9), st.integers(0, 1000), st.booleans())
def test_every_fold_is_tested_on_what_comes_after_what_it_learnt(start, length, count, gap, rolling):
    try:
        found = list(folds(start, start + length, count, gap, rolling=rolling))
    except Rejected:
        assert length // (count + 1) <= gap
        return
    assert len(found) == count
    for train, test in found:
        assert start <= train[0] < train[1] == test[0] - gap
        assert test[1] <= start + length
    assert all(one[1][1] == other[1][0] for one, other in pairwise(found))
    lengths = {train[1] - train[0] for train, _ in found}
    assert len(lengths) == (1 if rolling else count)
    assert rolling or all(train[0] == start for train, _ in found)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 40)), max_size=60), st.integers(1, 6))
def test_a_fold_by_groups_shares_no_group_and_never_learns_from_later(rows, count):
    groups = np.array([group for group, _ in rows], np.int64)
    at = np.array([when for _, when in rows], np.int64)
    found = list(group_folds(groups, at, count))
    assert len(found) <= count
    tested = [row for _, test in found for row in test.tolist()]
    assert len(tested) == len(set(tested))
    for train, test in found:
        assert len(train)
        assert len(test)
        assert not set(groups[train]) & set(groups[test])
        assert at[train].max() < at[test].min()
