"""Which of the methods may speak for a series, and how wide its bounds are: learnt from rolling origins in its own past.

A method's weight falls with the square of its error there; one that is a quarter worse than the best is not asked. The bounds are
conformal: of the errors that the combination would have made at each origin, with weights learnt from the others, what share was
smaller (Vovk et al. 2005; the share is corrected for their number).
"""

import math
from typing import Any, Final

import numpy as np
from numba import njit

from vedette.models.forecasts.methods import METHODS, forecast

Array = np.ndarray[Any, Any]

#: A method whose error is that many times the least is not asked.
WORSE: Final = 1.25
ORIGINS: Final = 8
#: What an origin counts against the one after it.
RECENT: Final = 0.8
#: Neighbouring steps whose errors are looked at together, on either side.
NEAR: Final = 3


@njit(cache=True, nogil=True)
def _weights(errors: Array, skip: int, out: Array) -> None:
    """Weights from mean errors (origins, METHODS), without the origin `skip`."""
    means = np.zeros(METHODS)
    total = 0.0
    for origin in range(len(errors)):
        if origin != skip:
            # The first origin is the latest one.
            share = RECENT**origin
            means += share * errors[origin]
            total += share
    if total == 0.0:
        out[:] = 1.0 / METHODS
        return
    means /= total
    least = means.min()
    total = 0.0
    for method in range(METHODS):
        out[method] = 0.0 if means[method] > WORSE * least + 1e-300 else 1.0 / max(means[method], 1e-12 + 1e-6 * least) ** 2
        total += out[method]
    out /= total


@njit(cache=True, nogil=True)
def learn(y: Array, day: int, week: int, horizon: int, weights: Array, residuals: Array) -> int:
    """Weights of the methods, and the combination's errors at rolling origins.

    Args:
        y: float64 of shape (n,), no NaN.
        day: see `methods.forecast`.
        week: see `methods.forecast`.
        horizon: steps ahead that are judged.
        weights: float64 of shape (METHODS,), filled.
        residuals: float64 of shape (ORIGINS, horizon), filled with seen minus expected; NaN beyond the origins there was room for.

    Returns:
        The origins used; 0 where the series is too short to judge the methods, which then all weigh the same.
    """
    n = len(y)
    residuals[:] = np.nan
    weights[:] = 1.0 / METHODS
    least = max(8, 2 * day + 1 if day > 1 and n >= 3 * day else 8)
    stride = max(1, min(horizon, (n - least - horizon) // max(ORIGINS, 1)))
    origins = min(ORIGINS, (n - least - horizon) // stride + 1) if n - least >= horizon else 0
    if origins <= 0:
        return 0
    said = np.empty((origins, METHODS, horizon))
    errors = np.zeros((origins, METHODS))
    for origin in range(origins):
        end = n - horizon - origin * stride
        forecast(y[:end], day, week, said[origin])
        for method in range(METHODS):
            for step in range(horizon):
                errors[origin, method] += abs(y[end + step] - said[origin, method, step]) / horizon
    mixed = np.empty(METHODS)
    for origin in range(origins):
        end = n - horizon - origin * stride
        _weights(errors, origin if origins > 1 else -1, mixed)
        for step in range(horizon):
            residuals[origin, step] = y[end + step] - np.dot(mixed, np.ascontiguousarray(said[origin, :, step]))
    _weights(errors, -1, weights)
    return origins


@njit(cache=True, nogil=True)
def _never_falls(width: Array) -> None:
    means = np.empty(len(width))
    lengths = np.empty(len(width), np.int64)
    count = 0
    for each in width:
        means[count], lengths[count] = each, 1
        while count > 0 and means[count - 1] > means[count]:
            both = lengths[count - 1] + lengths[count]
            means[count - 1] += (means[count] - means[count - 1]) * lengths[count] / both
            lengths[count - 1] = both
            count -= 1
        count += 1
    end = 0
    for block in range(count):
        width[end : end + lengths[block]] = means[block]
        end += lengths[block]


@njit(cache=True, nogil=True)
def widths(residuals: Array, origins: int, levels: Array, out: Array) -> None:
    """Half widths of the bounds: float64 of shape (levels, horizon), from the errors at `origins` rolling origins.

    A step borrows the errors of its neighbours, and a width never falls with the step: those that would are put together to their
    mean (pool adjacent violators, Ayer et al. 1955), since the widest so far would be too wide for all that follow.
    """
    horizon = residuals.shape[1]
    for level in range(len(levels)):
        for step in range(horizon):
            low, high = max(0, step - NEAR), min(horizon, step + NEAR + 1)
            near = np.abs(residuals[:origins, low:high].copy().reshape(-1))
            count = len(near)
            if count == 0:
                out[level, step] = np.nan
                continue
            near.sort()
            place = (count + 1) * levels[level] - 1.0
            floor = math.floor(place)
            if floor >= count - 1:
                # Beyond the largest error seen: as far again as normal errors would reach.
                width = near[count - 1] * (1.0 + 0.3 * (place - (count - 1)))
            else:
                width = near[floor] + (place - floor) * (near[floor + 1] - near[floor])
            out[level, step] = width * (1.0 + 2.0 / (origins + 1.0)) if origins < 4 else width * (1.0 + 0.5 / origins)
        if origins > 0:
            _never_falls(out[level])


@njit(cache=True, nogil=True)
def answer(y: Array, day: int, week: int, weights: Array, out: Array) -> None:
    """The combination's continuation of `y`, into `out` of shape (horizon,)."""
    said = np.empty((METHODS, len(out)))
    forecast(y, day, week, said)
    for step in range(len(out)):
        out[step] = np.dot(weights, np.ascontiguousarray(said[:, step]))
