import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.models import rls


def fit(weights, noise, count, seed):
    rng = np.random.default_rng(seed)
    record, gain = np.zeros(rls.SIZE, np.float32), np.zeros(rls.FEATURES)
    rls.begin(record)
    for features in rng.normal(size=(count, rls.FEATURES)):
        error = features @ weights + noise * rng.normal() - rls.predict(record, features)
        rls.learn(record, features, error, gain)
    return record


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=rls.FEATURES, max_size=rls.FEATURES), st.integers(0, 2**32 - 1))
def test_it_finds_the_weights_that_made_the_data(weights, seed):
    record = fit(np.array(weights), 0.0, 400, seed)
    assert np.allclose(record[: rls.FEATURES], weights, atol=0.05)


def test_a_feature_that_never_moves_does_not_wind_it_up():
    record, gain = np.zeros(rls.SIZE, np.float32), np.zeros(rls.FEATURES)
    rls.begin(record)
    rng = np.random.default_rng(1)
    for _ in range(20_000):
        features = np.zeros(rls.FEATURES)
        features[0] = rng.normal()
        rls.learn(record, features, 2.0 * features[0] - rls.predict(record, features), gain)
    assert np.isfinite(record).all()
    assert record.max() <= rls.WINDUP * 1.01
    assert abs(record[0] - 2.0) < 0.01
