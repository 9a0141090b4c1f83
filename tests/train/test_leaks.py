"""Each leak is found where it is, and clean data is left in peace."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.core.errors import ConfigError
from vedette.train import leaks

START = datetime(2026, 1, 5, tzinfo=UTC)


def clean(rows=400, seed=0, classes=("false", "real")):
    """Examples whose label follows from two columns, neither of which tells it alone."""
    rng = np.random.default_rng(seed)
    load, errors = rng.normal(size=(2, rows))
    opened = [START + timedelta(minutes=int(each)) for each in np.cumsum(rng.integers(1, 90, rows))]
    return pl.DataFrame(
        {
            "load": load,
            "errors": errors,
            "service": rng.choice(["web", "orders", "db"], rows),
            "host": [f"host-{seed}-{each}" for each in rng.integers(0, 40, rows)],
            "opened": opened,
            "closed": [each + timedelta(hours=2) for each in opened],
            "label": np.array(classes)[(load + errors > 0).astype(int)],
        }
    )


def failed(found):
    return {(each.check, each.measured.partition(":")[0]) for each in found if not each.passed}


def checked(train, holdout, **named):
    named = {"labelled_at": "closed", "group": "host"} | named
    return leaks.of_tables(train, holdout, "label", **named)


def points(start, minutes):
    return pl.DataFrame({"series": 1, "at": [start + timedelta(minutes=each) for each in minutes], "value": 0.0})


def test_clean_tables_pass_every_check():
    found = checked(clean(seed=1), clean(seed=2))
    assert failed(found) == set()
    assert [each.check for each in found] == ["leaks.twins", "leaks.one_rule", "leaks.identifier", "leaks.later", "leaks.group"]


def test_rows_on_both_sides_are_twins():
    train, holdout = clean(seed=1), clean(seed=2)
    found = checked(train, pl.concat([holdout, train[:40]]), group=None)
    assert [check for check, _ in failed(found)] == ["leaks.twins"]
    assert "40 of 440" in next(each for each in found if not each.passed).measured


def test_nulls_do_not_hide_a_twin():
    train = clean(seed=1).with_columns(load=pl.lit(None, dtype=pl.Float64))
    assert ("leaks.twins", "load, errors, service, opened, label") in failed(checked(train, train[:50]))


@pytest.mark.parametrize(
    "told",
    [
        pl.when(pl.col("label") == "real").then(pl.lit("pagerduty")).otherwise(pl.lit("bot")),
        pl.when(pl.col("label") == "real").then(pl.col("load").abs() + 5.0).otherwise(pl.col("load").abs()),
        pl.when(pl.col("label") == "real").then(pl.lit(None)).otherwise(pl.lit(1.0)),
        pl.when(pl.col("label") == "real").then(pl.lit(1_767_571_200_000_001)).otherwise(pl.lit(1_767_571_200_000_000)),
        pl.col("label") == "real",
        pl.concat_list(pl.col("label")),
    ],
)
def test_a_column_that_knows_the_answer_is_named(told):
    train, holdout = (clean(seed=seed).with_columns(told=told) for seed in (1, 2))
    assert failed(checked(train, holdout)) == {("leaks.one_rule", "told")}


def test_a_band_in_the_middle_is_a_rule_too():
    train, holdout = (
        clean(seed=seed).with_columns(label=pl.when(pl.col("load").abs() < 0.5).then(pl.lit("real")).otherwise(pl.lit("false")))
        for seed in (1, 2)
    )
    assert ("leaks.one_rule", "load") in failed(checked(train, holdout))


def test_a_rare_class_does_not_make_every_column_look_good():
    rng = np.random.default_rng(3)
    train, holdout = (
        clean(2000, seed).with_columns(label=pl.Series(np.where(rng.random(2000) < 0.004, "real", "false"))) for seed in (1, 2)
    )
    assert failed(checked(train, holdout)) == set()


def test_columns_that_the_model_does_not_see_are_not_looked_at():
    train, holdout = (clean(seed=seed).with_columns(told=pl.col("label")) for seed in (1, 2))
    assert failed(checked(train, holdout, leave_out=["told"])) == set()


def test_identifiers_are_named_and_measurements_and_sentences_are_not():
    def numbered(seed, first):
        words = pl.int_range(first, first + 400, eager=True)
        return clean(seed=seed).with_columns(
            number=words,
            ticket=pl.format("INC{}", words),
            text=pl.format("the {} of service {} is slow", pl.lit(words), "service"),
        )

    found = checked(numbered(1, 0), numbered(2, 400))
    assert failed(found) == {("leaks.identifier", "number"), ("leaks.identifier", "ticket")}


def test_times_after_the_answer_are_named():
    train, holdout = (clean(seed=seed).with_columns(reviewed=pl.col("closed") + pl.duration(minutes=1)) for seed in (1, 2))
    assert failed(checked(train, holdout)) == {("leaks.later", "reviewed")}


def test_a_group_is_on_one_side():
    train, holdout = clean(seed=1), clean(seed=2)
    torn = holdout.with_columns(host=pl.when(pl.int_range(pl.len()) < 20).then(pl.lit("host-1-3")).otherwise("host"))
    assert failed(checked(train, torn)) == {("leaks.group", "host")}


def test_every_finding_that_fails_names_its_column_and_says_what_to_do():
    train = clean().with_columns(
        told=pl.col("label"), number=pl.int_range(pl.len()), reviewed=pl.col("closed") + pl.duration(days=1)
    )
    found = (*checked(train, train[:100]), *leaks.of_series(points(START, [0, 9]), points(START, [5]), 60))
    assert {each.check.removeprefix("leaks.") for each in found if not each.passed} >= {
        "twins",
        "one_rule",
        "later",
        "group",
        "overlap",
        "gap",
    }
    for each in found:
        assert each.passed == (not each.why)
        assert each.passed or each.why.startswith(f"Column {each.measured.partition(':')[0]}: ")


def test_what_is_missing_is_told():
    with pytest.raises(ConfigError, match="there is no 'verdict'"):
        leaks.of_tables(clean(), clean(), "verdict")
    with pytest.raises(ConfigError, match="expected the columns of training"):
        leaks.of_tables(clean(), clean().with_columns(more=1), "label")
    with pytest.raises(ConfigError, match="there is no 'at'"):
        leaks.of_series(clean(), clean())


def test_empty_sides_leak_nothing():
    assert failed(checked(clean()[:0], clean()[:0])) == set()
    assert failed(checked(clean(), clean(seed=1)[:0])) == set()
    assert failed(leaks.of_series(points(START, []), points(START, [1]), 60)) == set()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 50), st.integers(-30, 30), st.integers(0, 20))
def test_training_ends_before_the_holdout_by_the_gap(length, apart, gap):
    train = points(START, range(length))
    holdout = points(START, range(length - 1 + apart, length + 20 + apart))
    overlap, between = leaks.of_series(train, holdout, gap * 60.0)
    assert overlap.passed == (apart > 0)
    assert between.passed == (apart >= gap)


def test_other_series_at_the_same_time_are_a_leak_as_well():
    train, holdout = points(START, range(10)), points(START, range(5, 9)).with_columns(series=2)
    assert not leaks.of_series(train, holdout)[0].passed
