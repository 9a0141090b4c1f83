import numpy as np
import polars as pl

from vedette.core.frames import POINTS
from vedette.validate import checks
from vedette.validate.counting import Events
from vedette.validate.vocabulary import CHECKS

MINUTE = 60_000_000


def points(count=300, series=3, seed=0):
    value = np.random.default_rng(seed).normal(10, 1, count)
    at = np.tile(np.arange(count // series) * MINUTE, series)
    return pl.DataFrame({"series": np.repeat(np.arange(series), count // series), "at": at, "value": value}).cast(POINTS)


def running(frame):
    """A score that knows only what came before."""
    past = (pl.col("value").cum_sum().over("series") - pl.col("value")) / (pl.int_range(pl.len()).over("series"))
    return frame.with_columns(anomaly_score=(pl.col("value") - past).abs().fill_nan(None))


def ahead(frame):
    return frame.with_columns(anomaly_score=(pl.col("value") - pl.col("value").mean().over("series")).abs())


def first_is_special(frame):
    return frame.with_columns(anomaly_score=pl.col("value") + pl.int_range(pl.len()) * 1e-6)


def scored(*scores):
    return pl.DataFrame({"anomaly_score": scores}, schema={"anomaly_score": pl.Float64})


def test_only_numbers_and_nulls_are_scores():
    assert checks.scores_finite(scored(0.0, None, 3.0)).passed
    assert not checks.scores_finite(scored(0.0, float("inf"))).passed
    assert not checks.scores_finite(scored(float("nan"), 1.0)).passed


def test_a_score_must_vary():
    assert checks.scores_vary(scored(0.0, 1.0)).passed
    assert not checks.scores_vary(scored(None, None)).passed
    assert not checks.scores_vary(scored(1.0, 1.0)).passed


def test_one_answer_a_point():
    frame = points()
    assert checks.arity(frame, running(frame)).passed
    assert not checks.arity(frame, running(frame)[:-1]).passed
    assert not checks.arity(frame, running(frame)[::-1]).passed


def test_who_looks_ahead_is_found_out():
    assert checks.causal(running, points()).passed
    finding = checks.causal(ahead, points())
    assert not finding.passed
    assert "look ahead" in finding.why
    assert not checks.causal(lambda frame: running(frame).head(5), points()).passed


def test_order_must_not_matter():
    rng = np.random.default_rng(1)
    assert checks.order_of_series(running, points(), rng).passed
    assert not checks.order_of_series(first_is_special, points(), rng).passed
    wide = pl.DataFrame({"a": [1.0, 2.0], "b": [3.0, 5.0], "c": [0.0, 9.0]})
    assert checks.order_of_columns(lambda each: each.with_columns(anomaly_score=pl.col("a") - pl.col("b")), wide, rng).passed
    by_place = [
        checks.order_of_columns(lambda each: each.with_columns(anomaly_score=each.columns[0] == "a"), wide, rng) for _ in "1234"
    ]
    assert not all(each.passed for each in by_place)


def test_a_slow_model_is_refused():
    assert checks.latency(9.0, 2.0).passed
    assert not checks.latency(20.0, 2.0).passed
    assert checks.latency(20.0, None).passed


def outages(**caught):
    rows = [(kind, 1 if number < hit else None) for kind, (hit, of) in caught.items() for number in range(of)]
    return pl.DataFrame(rows, schema={"kind": pl.String, "delay": pl.Int64}, orient="row")


def test_the_class_of_outage_that_is_missed_is_named():
    finding = checks.must_catch(outages(plateau=(0, 1), spike=(9, 9)))
    assert not finding.passed
    assert "plateau (0 of 1 caught)" in finding.why
    assert "spike" not in finding.why
    assert checks.must_catch(outages(plateau=(1, 2), spike=(9, 9))).passed
    assert not checks.must_catch(outages(plateau=(1, 3))).passed
    assert not checks.must_catch(outages()).passed


def event(found, missed):
    return Events(found=found, missed=missed, prompt=found, false_alarms=0, weeks=1.0, delay=0.0)


def test_the_worst_group_is_held_against_the_whole():
    whole = event(80, 20)
    assert checks.fairness(whole, {"a": event(40, 10), "b": event(30, 20)}).passed
    finding = checks.fairness(whole, {"a": event(40, 10), "b": event(1, 29)})
    assert not finding.passed
    assert "'b'" in finding.why
    assert checks.fairness(whole, {"a": event(40, 10), "tiny": event(0, 3)}).passed
    assert checks.fairness(whole, {}).passed


def test_without_groups_the_worst_is_the_whole():
    assert checks.worst_group(event(8, 2), {"tiny": event(0, 3)}) == ("all", 0.8)
    assert checks.worst_group(event(8, 2), {"a": event(3, 2), "b": event(5, 0)}) == ("a", 0.6)


def test_every_check_has_a_title():
    names = {"arity", "causal", "fairness", "latency", "must_catch", "scores_finite", "scores_vary", "source_share"}
    assert names | {"golden_drift", "order_of_columns", "order_of_series"} == set(CHECKS)


def test_no_source_decides_alone():
    many = {f"source{number}": 10 for number in range(99)}
    assert checks.source_share(many).passed
    assert not checks.source_share(many | {"flood": 4000}).passed
    assert checks.source_share({"only": 10}).passed
    assert not checks.source_share({"a": 80, "b": 20}).passed
    assert not checks.source_share({}).passed


def test_a_boiling_frog_is_stopped():
    golden = checks.baseline(points())
    for day in range(1, 61):
        grown = points(seed=day).with_columns(pl.col("value") * 1.02**day)
        if not checks.within_baseline(checks.baseline(grown), golden).passed:
            break
    assert 1.02**day < 1.6
    assert checks.within_baseline(checks.baseline(points(seed=9)), golden, cap=1.5).passed


def test_a_level_that_turns_its_sign_or_a_line_that_falls_flat_has_drifted():
    golden = checks.baseline(points())
    assert not checks.within_baseline(checks.baseline(points().with_columns(-pl.col("value"))), golden).passed
    assert not checks.within_baseline(checks.baseline(points().with_columns(value=pl.lit(10.0))), golden).passed
    near_zero = points().with_columns(pl.col("value") - 10)
    again = points(seed=4).with_columns(pl.col("value") - 10)
    assert checks.within_baseline(checks.baseline(again), checks.baseline(near_zero)).passed


def test_of_many_series_a_few_may_drift():
    many = points(count=40_000, series=200)
    golden = checks.baseline(many)
    one = many.with_columns(pl.when(pl.col("series") == 7).then(pl.col("value") * 3).otherwise("value").alias("value"))
    assert checks.within_baseline(checks.baseline(one), golden).passed
    finding = checks.within_baseline(checks.baseline(one), golden, tolerated=0.0)
    assert not finding.passed
    assert "series 7" in finding.measured
