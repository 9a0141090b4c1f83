"""How far is too far for one series: limits that it earns by its own block maxima.

The largest value of every block of points says more of a tail than any variance. Their logarithms are close to a Gumbel
distribution for light tails and heavy ones alike (Coles, *An Introduction to Statistical Modeling of Extreme Values*, 2001,
chapter 3), so a mean and a standard deviation of them are enough to say what a block should hardly ever reach.
"""

import math
from typing import Any, Final

import numpy as np
from numba import njit

Array = np.ndarray[Any, Any]

#: One side of a tail: the largest value of the block so far, mean and variance of the logarithms of past maxima.
LARGEST, LOG_MEAN, LOG_VAR = 0, 1, 2
SIDE: Final = 3

MEMORY: Final = 60.0
DEVIATIONS: Final = 2.5
LEAST: Final = 0.3
#: What is believed before any block is full, and how many blocks that belief is worth.
PRIOR: Final = 5.0
PRIOR_MEAN: Final = 1.1
PRIOR_DEVIATION: Final = 0.2


@njit(cache=True, nogil=True, inline="always")
def reach(side: Array, blocks: float) -> float:
    """What hardly any block of this side reaches: exp(mean + 2.5 standard deviations of the logarithms of its maxima)."""
    doubt = PRIOR / (PRIOR + blocks)
    mean = doubt * PRIOR_MEAN + (1.0 - doubt) * side[LOG_MEAN]
    deviation = doubt * PRIOR_DEVIATION + (1.0 - doubt) * math.sqrt(side[LOG_VAR])
    return math.exp(mean + DEVIATIONS * deviation)


@njit(cache=True, nogil=True, inline="always")
def close(side: Array, blocks: float) -> None:
    """End a block, the `blocks`-th one: its largest value becomes part of what is known."""
    weight = 1.0 / min(blocks, MEMORY)
    off = math.log(max(side[LARGEST], LEAST)) - side[LOG_MEAN]
    side[LOG_MEAN] += weight * off
    side[LOG_VAR] = 0.0 if blocks <= 1.0 else (1.0 - weight) * (side[LOG_VAR] + weight * off * off)
    side[LARGEST] = 0.0
