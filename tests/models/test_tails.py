import numpy as np

from vedette.models import tails


def learnt(values, block=120):
    side = np.zeros(tails.SIDE)
    for number, part in enumerate(np.abs(values).reshape(-1, block), 1):
        side[tails.LARGEST] = part.max()
        tails.close(side, float(number))
    return tails.reach(side, len(values) / block)


def test_a_normal_tail_is_hardly_ever_reached():
    values = np.random.default_rng(1).normal(size=120 * 200)
    assert 3.5 < learnt(values) < 5.0


def test_a_heavy_tail_earns_a_wider_limit():
    rng = np.random.default_rng(2)
    heavy = rng.standard_t(2.5, 120 * 200)
    assert learnt(heavy / heavy.std()) > 1.5 * learnt(rng.normal(size=120 * 200))


def test_before_any_block_a_light_tail_is_believed():
    assert 4.0 < tails.reach(np.zeros(tails.SIDE), 0.0) < 6.0
