"""Recursive least squares with forgetting: a linear predictor that is fitted a point at a time, in compiled code.

The textbook recursion (Haykin, *Adaptive Filter Theory*, chapter on RLS), its covariance bounded so that features which
never move do not wind it up.
"""

import math
from typing import Any, Final

import numpy as np
from numba import njit

Array = np.ndarray[Any, Any]

FEATURES: Final = 5
#: Weights, then the upper triangle of the covariance, row by row.
SIZE: Final = FEATURES + FEATURES * (FEATURES + 1) // 2
FORGET: Final = 0.999
WINDUP: Final = 100.0


@njit(cache=True, nogil=True, inline="always")
def begin(record: Array) -> None:
    """Weights of zero and a covariance of one."""
    record[:] = 0.0
    place = FEATURES
    for row in range(FEATURES):
        record[place] = 1.0
        place += FEATURES - row


@njit(cache=True, nogil=True, inline="always")
def predict(record: Array, features: Array) -> float:
    """The inner product of weights and features."""
    total = 0.0
    for i in range(FEATURES):
        total += record[i] * features[i]
    return total


@njit(cache=True, nogil=True, inline="always")
def learn(record: Array, features: Array, error: float, gain: Array) -> None:
    """Move the weights by an `error` made on `features`; `gain` is scratch of their length."""
    denominator = FORGET
    for i in range(FEATURES):
        gain[i] = 0.0
    place = FEATURES
    for i in range(FEATURES):
        for j in range(i, FEATURES):
            gain[i] += record[place] * features[j]
            if j > i:
                gain[j] += record[place] * features[i]
            place += 1
    for i in range(FEATURES):
        denominator += features[i] * gain[i]
    for i in range(FEATURES):
        record[i] += gain[i] / denominator * error
    _shrink(record, gain, denominator)


@njit(cache=True, nogil=True, inline="always")
def _shrink(record: Array, gain: Array, denominator: float) -> None:
    place = FEATURES
    for i in range(FEATURES):
        for j in range(i, FEATURES):
            record[place] = (record[place] - gain[i] * gain[j] / denominator) / FORGET
            place += 1
    place = FEATURES
    for i in range(FEATURES):
        gain[i] = math.sqrt(WINDUP / record[place]) if record[place] > WINDUP else 1.0
        place += FEATURES - i
    place = FEATURES
    for i in range(FEATURES):
        for j in range(i, FEATURES):
            record[place] *= gain[i] * gain[j]
            place += 1
