"""Versions come and go, and no point, no memory of a series and no score is lost over it."""

from functools import partial
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.core.frames import POINTS
from vedette.models import Envelope
from vedette.serve.fleet import Fleet, Plan, Seat, speaks

MINUTE = 60_000_000
START = 1_750_000_000_000_000
IDS = np.sort(np.random.default_rng(5).integers(-(2**63), 2**63, 40))
STAMPS = range(36)


def points(index, ids=IDS):
    rng = np.random.default_rng(index)
    value = 10.0 + rng.normal(size=len(ids)) + 30.0 * (rng.random(len(ids)) < 0.05)
    return pl.DataFrame({"series": ids, "at": [START + index * MINUTE] * len(ids), "value": value}).cast(POINTS)


def build(parameters):
    return Envelope(**parameters)


def lane_of(series):
    """Half of the series are of a model."""
    return ["web" if each % 2 else "" for each in series]


def nothing(_model, _seat):
    return None


ONE, TWO = Seat(1, {"sigmas": 5.0}), Seat(2, {"sigmas": 3.0})
SHADOW = Plan("web", ONE, TWO, 0.0, "shadow")
CANARY = Plan("web", ONE, TWO, 0.3, "canary")


def fleet(*plans, learnt=nothing, owner=lane_of, timer=lambda: 0.0):
    made = Fleet(build, owner, timer)
    made.plan(plans, learnt)
    return made


def run(detector, indices=STAMPS, ids=IDS):
    return pl.concat([detector.score(points(index, ids), START + index * MINUTE) for index in indices])


def scores(verdicts):
    return verdicts.select("series", "at", "value", "yhat", "yhat_lower", "yhat_upper", "anomaly_score")


def copied(state):
    return {name: array.copy() for name, array in state.items()}


def test_with_one_lane_it_is_the_bare_detector():
    assert run(Fleet(build, lane_of, lambda: 0.0)).equals(run(Envelope()))
    assert fleet(CANARY).score(points(0)[:0], 0).equals(Envelope().score(points(0)[:0], 0))


def test_a_lane_says_who_speaks_and_scores_as_the_bare_detector_would():
    verdicts = run(fleet(Plan("web", ONE)))
    assert scores(verdicts).equals(scores(run(Envelope())))
    said = verdicts.select("model", "version", own=pl.col("series") % 2 != 0).unique().sort("own")
    assert said.rows() == [("envelope", "1", False), ("web", "1", True)]


@settings(max_examples=15)
@given(st.integers(1, 35), st.sampled_from([SHADOW, CANARY, Plan("web", TWO, ONE, 0.0, "probation")]))
def test_saved_and_loaded_between_any_two_beats_it_says_the_same(cut, plan):
    whole, first, second = fleet(plan), fleet(plan), Fleet(build, lane_of, lambda: 0.0)
    begun = run(first, STAMPS[:cut])
    second.load(copied(first.state()))
    second.plan([plan], nothing)
    assert pl.concat([begun, run(second, STAMPS[cut:])]).equals(run(whole))
    assert all(array.tobytes() == second.state()[name].tobytes() for name, array in whole.state().items())


def test_however_the_rows_of_a_beat_are_mixed_each_has_its_own_answer():
    frames = [pl.concat([points(i) for i in range(first, first + 10)]).sort("series", "at") for first in range(0, 40, 10)]
    verdicts = pl.concat(list(map(partial(fleet(CANARY).score, at=0), frames)))
    assert verdicts.select("series", "at", "value").equals(pl.concat(frames))


def test_the_memory_of_a_release_without_lanes_is_that_of_the_first():
    old = Envelope()
    run(old, STAMPS[:32])
    made = fleet()
    made.load(copied(old.state()))
    assert run(made, STAMPS[32:]).equals(run(old, STAMPS[32:]))


@pytest.mark.parametrize("then", [Plan("web", TWO, ONE, 0.0, "probation"), Plan("web", Seat(3, {"sigmas": 4.0})), None])
@pytest.mark.parametrize("now", [None, Plan("web", ONE), SHADOW, CANARY])
def test_a_swap_loses_no_point_and_no_series_is_new_again(now, then):
    made = fleet(*([now] if now else []))
    before = run(made, STAMPS[:31])
    assert before["anomaly_score"].null_count() == 30 * len(IDS)
    made.plan([then] if then else [], nothing)
    after = run(made, STAMPS[31:])
    assert after["series"].to_list() == list(IDS) * 5
    assert after["anomaly_score"].null_count() == 0


def test_a_version_knows_what_it_learnt_for_series_that_nobody_here_has_seen():
    trained = Envelope(**TWO.parameters)
    run(trained)
    live, unseen = IDS[:20], IDS[20:]
    made = fleet(Plan("web", ONE), owner=lambda series: ["web"] * len(series))
    run(made, STAMPS, live)
    made.plan([Plan("web", TWO)], lambda _model, _seat: trained.state())
    after = run(made, range(36, 38))
    assert after["anomaly_score"].null_count() == 0
    of_unseen = pl.col("series").is_in(unseen.tolist())
    assert scores(after.filter(of_unseen)).equals(scores(run(trained, range(36, 38)).filter(of_unseen)))


def test_who_goes_back_has_seen_every_point_in_between():
    made, steady = fleet(SHADOW), fleet(Plan("web", ONE))
    run(made, STAMPS[:31])
    made.plan([Plan("web", TWO, ONE, 0.0, "probation")], nothing)
    run(made, STAMPS[31:34])
    made.plan([Plan("web", ONE)], nothing)
    run(steady, STAMPS[:34])
    assert run(made, STAMPS[34:]).equals(run(steady, STAMPS[34:]))


def test_a_new_lane_has_a_memory_of_its_own():
    made = fleet()
    run(made, STAMPS[:10])
    made.plan([Plan("web", Seat(0, {}), ONE, 0.0, "shadow")], nothing)
    assert made.lanes["web"].champion is not made.lanes[""].champion
    assert run(made, STAMPS[10:])["anomaly_score"].null_count() == 20 * len(IDS)


def test_series_are_asked_for_once_until_it_is_told_to_forget():
    asked = []

    def owner(series):
        asked.extend(series)
        return lane_of(series)

    made = fleet(Plan("web", ONE), owner=owner)
    run(made, range(3))
    assert sorted(asked) == IDS.tolist()
    made.forget()
    run(made, range(3, 4))
    assert len(asked) == 2 * len(IDS)


def test_a_series_of_a_model_that_has_no_lane_is_in_the_first():
    verdicts = run(fleet(Plan("web", ONE), owner=lambda series: ["shop"] * len(series)), range(2))
    assert verdicts["model"].unique().to_list() == ["envelope"]


def test_a_shadow_never_changes_what_is_served():
    assert run(fleet(SHADOW)).equals(run(fleet(Plan("web", ONE))))


def test_a_canary_speaks_for_its_share_as_itself_and_for_no_other():
    own = IDS[IDS % 2 != 0]
    verdicts = run(fleet(CANARY))
    scored = verdicts.filter(pl.col("anomaly_score").is_not_null() & (pl.col("model") == "web"))
    by_canary = scored.filter(pl.col("version") == "2")
    assert by_canary["series"].unique().sort().to_list() == own[speaks(own, 0.3)].tolist()
    alone = scores(run(Envelope(**TWO.parameters))).filter(pl.col("series").is_in(by_canary["series"].unique().implode()))
    assert scores(by_canary).equals(alone.filter(pl.col("anomaly_score").is_not_null()))


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=5), st.integers(0, 2**32 - 1), st.sampled_from([1, 1000, 2**40]))
def test_a_larger_share_takes_in_all_of_a_smaller_one_and_is_as_large_as_it_says(shares, seed, stride):
    ids = np.random.default_rng(seed).integers(-(2**62), 2**62) + stride * np.arange(4000)
    chosen = [speaks(ids, share) for share in sorted(shares)]
    assert all(larger[smaller].all() for smaller, larger in pairwise(chosen))
    assert all(abs(each.mean() - share) < 0.05 for each, share in zip(chosen, sorted(shares), strict=True))


def test_the_sums_begin_anew_with_a_stage_and_outlive_a_restart():
    ticks = iter(range(10**6))
    made = fleet(SHADOW, timer=lambda: float(next(ticks)))
    run(made)
    own, count = made.lanes["web"].own.sums, int((IDS % 2 != 0).sum()) * len(STAMPS)
    assert (own[0], own[1], own[8]) == (count, count * 30 / 36, len(STAMPS))
    again = Fleet(build, lane_of, lambda: 0.0)
    again.load(copied(made.state()))
    again.plan([SHADOW], nothing)
    assert np.array_equal(again.lanes["web"].own.sums, own)
    assert np.array_equal(again.lanes["web"].own.odd, made.lanes["web"].own.odd)
    again.plan([CANARY], nothing)
    assert not again.lanes["web"].own.sums.any()
