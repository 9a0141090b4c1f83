import math

import numpy as np
import pytest

from vedette.validate import block_bootstrap, poisson, wilson


def test_wilson_holds_its_share():
    rng = np.random.default_rng(0)
    for truth in (0.02, 0.3, 0.9):
        hits = rng.binomial(60, truth, 2000)
        held = np.mean([lower <= truth <= upper for lower, upper in (wilson(int(each), 60) for each in hits)])
        assert held == pytest.approx(0.95, abs=0.035)


def test_wilson_without_trials_knows_nothing():
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 10).lower == 0.0
    assert wilson(10, 10).upper == pytest.approx(1.0)


def test_poisson_holds_at_least_its_share():
    rng = np.random.default_rng(1)
    for truth in (0.3, 2.0, 20.0):
        counts = rng.poisson(truth * 2.0, 2000)
        held = np.mean([lower <= truth <= upper for lower, upper in (poisson(int(each), 2.0) for each in counts)])
        assert 0.94 <= held <= 1.0


def test_poisson_by_the_table():
    assert poisson(10, 1.0) == pytest.approx((4.795, 18.39), abs=0.01)
    assert poisson(3, 0.0) == (0.0, math.inf)


def test_blocks_hold_their_share_where_neighbours_resemble_each_other():
    rng = np.random.default_rng(2)
    held = single = 0
    for _ in range(150):
        noise = rng.normal(size=260)
        values = np.convolve(noise, np.ones(8) / 8, "valid")[:240, None]
        found = block_bootstrap(values, lambda rows: float(rows.mean()), rng, length=20, draws=200)
        alone = block_bootstrap(values, lambda rows: float(rows.mean()), rng, length=1, draws=200)
        held += found.lower <= 0 <= found.upper
        single += alone.lower <= 0 <= alone.upper
    assert held / 150 > 0.83
    assert single / 150 < 0.7


def test_a_bootstrap_is_repeatable_and_survives_what_is_undefined():
    blocks = np.arange(30.0).reshape(-1, 1)
    draws = [block_bootstrap(blocks, lambda rows: float(rows.mean()), np.random.default_rng(7)) for _ in range(2)]
    assert draws[0] == draws[1]
    assert all(map(math.isnan, block_bootstrap(blocks, lambda _: math.nan, np.random.default_rng(7), draws=5)))
    assert all(map(math.isnan, block_bootstrap(blocks[:0], lambda _: 1.0, np.random.default_rng(7))))
