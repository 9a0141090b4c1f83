"""What lasts: a fast series is judged by its mean over two minutes too. What bursts may reach, nothing may hold.

The mean is that of the distance from the usual level of this time of day. It is odd beyond a number of its own RMS, and beyond
what past episodes held: a job that runs every night is news for some nights only.
"""

import math
from typing import Any, Final

import numpy as np
from numba import njit

from vedette.models.record import CAUTION, COUNT, FLOOR, HELD, HOLDING, INTERVAL, RUN, SLOW, USUAL, VAR_SLOW

Array = np.ndarray[Any, Any]

#: A series that is slower than this lasts by itself.
FAST_US: Final = 30_000_000.0
SLOW_US: Final = 120_000_000.0
#: How many means over that time a doubled limit is worth at the beginning.
DOUBT: Final = 5.0
#: What past episodes held has to be passed by a fifth.
BEYOND_HELD: Final = 1.2


@njit(cache=True, nogil=True, inline="always")
def excess(head: Array, x: float, sigmas: float, memory_us: float, now: Array) -> float:
    """How many limits off a fast series is, and has been for some minutes; 0 for a slow one."""
    if head[INTERVAL] <= 0.0 or head[INTERVAL] >= FAST_US:
        return 0.0
    off = x - now[USUAL]
    slow = head[SLOW] + head[INTERVAL] / SLOW_US * (off - head[SLOW])
    windows = head[COUNT] * head[INTERVAL] / SLOW_US
    scale = sigmas * (1.0 + head[CAUTION]) * (1.0 + DOUBT / windows) * max(math.sqrt(head[VAR_SLOW]), now[FLOOR])
    held, limit = min(abs(slow), abs(off)) if slow * off > 0.0 else 0.0, max(scale, BEYOND_HELD * head[HELD], 1e-300)
    # What an episode held is learnt when it is over, and forgotten in weeks.
    head[HELD] *= 1.0 - head[INTERVAL] / memory_us
    head[HOLDING] = max(head[HOLDING], min(held, 1.5 * limit))
    if held < 0.5 * head[HOLDING]:
        head[HELD], head[HOLDING] = max(head[HELD], head[HOLDING]), held
    score: float = held / limit
    return score


@njit(cache=True, nogil=True, inline="always")
def learn(head: Array, x: float, memory: float, fresh: float, now: Array) -> None:
    """Take the point into the mean; what is odd for long does not widen what is tolerated."""
    if head[INTERVAL] < FAST_US:
        head[SLOW] += head[INTERVAL] / SLOW_US * (x - now[USUAL] - head[SLOW])
        head[VAR_SLOW] += (head[SLOW] ** 2 - head[VAR_SLOW]) / min(head[COUNT], memory) if head[RUN] <= fresh else 0.0
