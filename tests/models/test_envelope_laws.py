"""What holds for every series, whatever it looks like: the laws of the detector."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.core.frames import POINTS
from vedette.models import Envelope

SECOND = 1_000_000
START = 1_699_999_200_000_000

shapes = st.sampled_from(["normal", "heavy", "walk", "constant", "sparse", "counter", "bounded", "steps", "huge", "tiny"])
steps = st.sampled_from([1, 5, 60, 300, 3600, 86_400])
seeds = st.integers(0, 2**32 - 1)


def values(shape, count, rng):
    noise = rng.normal(size=count)
    made = {
        "normal": noise,
        "heavy": rng.standard_t(1.2, count),
        "walk": np.cumsum(noise),
        "constant": np.full(count, 7.5),
        "sparse": (rng.random(count) < 0.02) * rng.gamma(1, 5, count),
        "counter": np.cumsum(rng.poisson(5, count)) % 900.0,
        "bounded": np.clip(97 + 4 * noise, 0, 100),
        "steps": np.round(np.cumsum(rng.random(count) < 0.01) * 10 + 0.4 * noise),
        "huge": 1e36 * noise,
        "tiny": 1e-300 * noise,
    }
    return made[shape].astype(float)


def times(step, count, rng):
    """An even pace with holes, bursts and points at the same time."""
    gaps = np.full(count, step * SECOND)
    gaps[rng.random(count) < 0.02] *= 200
    gaps[rng.random(count) < 0.05] //= 50
    gaps[rng.random(count) < 0.02] = 0
    return START + np.cumsum(gaps)


def frame(shape, step, seed, count=400, series=1):
    rng = np.random.default_rng(seed)
    return pl.DataFrame({"series": [series] * count, "at": times(step, count, rng), "value": values(shape, count, rng)}).cast(
        POINTS
    )


@settings(max_examples=60, deadline=None)
@given(shapes, steps, seeds)
def test_after_the_warm_up_every_answer_is_a_number_and_what_is_odd_is_out_of_bounds(shape, step, seed):
    told = Envelope().score(frame(shape, step, seed), 0)[30:]
    answers = told.select("yhat", "yhat_lower", "yhat_upper", "anomaly_score").to_numpy()
    assert np.isfinite(answers).all()
    yhat, lower, upper, score = answers.T
    assert (score >= 0).all()
    assert ((lower <= yhat) & (yhat <= upper)).all()
    value, slack = told["value"].to_numpy(), 1e-6 * np.maximum(np.abs(yhat), np.abs(upper - lower))
    outside = (value > upper - slack) | (value < lower + slack)
    assert outside[score > 1].all()
    inside = (value < upper - slack) & (value > lower + slack)
    assert (score[inside] <= 1 + 1e-6).all()


@settings(max_examples=20, deadline=None)
@given(shapes, st.sampled_from([np.nan, np.inf, -np.inf, 1e38, -1.7e308]), seeds)
def test_what_is_no_measurement_gets_null_and_poisons_nothing(shape, bad, seed):
    whole = frame(shape, 60, seed)
    holed = pl.concat([whole[:200], whole[200:201].with_columns(value=pl.lit(bad)), whole[200:]])
    told = Envelope().score(holed, 0)
    assert told["anomaly_score"][200] is None
    assert pl.concat([told[:200], told[201:]]).equals(Envelope().score(whole, 0))


@settings(max_examples=30, deadline=None)
@given(shapes, steps, seeds, st.integers(1, 399))
def test_a_score_depends_on_what_came_before_alone(shape, step, seed, cut):
    whole = frame(shape, step, seed)
    assert Envelope().score(whole[:cut], 0).equals(Envelope().score(whole, 0)[:cut])


@settings(max_examples=30, deadline=None)
@given(shapes, steps, seeds, st.integers(1, 399))
def test_a_restart_changes_no_bit(shape, step, seed, cut):
    whole = frame(shape, step, seed)
    first, second = Envelope(), Envelope()
    begun = first.score(whole[:cut], 0)
    second.load({name: array.copy() for name, array in first.state().items()})
    assert pl.concat([begun, second.score(whole[cut:], 0)]).equals(Envelope().score(whole, 0))
    first.score(whole[cut:], 0)
    assert all(array.tobytes() == second.state()[name].tobytes() for name, array in first.state().items())


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(shapes, steps), min_size=2, max_size=6), seeds, st.randoms(use_true_random=False))
def test_neighbours_change_no_score(kinds, seed, chance):
    frames = [frame(shape, step, seed + i, 200, series=i) for i, (shape, step) in enumerate(kinds)]
    alone = pl.concat([Envelope().score(each, 0) for each in frames])
    chance.shuffle(frames)
    assert Envelope().score(pl.concat(frames), 0).sort("series", maintain_order=True).equals(alone)
