"""Ten ways to go on, each of a few lines and compiled: what is known to be hard to beat on series of running systems.

The last value; the last day and the last week; means of the last days, the nearer the heavier; a profile of day and week on the
present level; simple smoothing, the theta method (Assimakopoulos & Nikolopoulos 2000), a damped trend (Gardner & McKenzie 1985)
and a straight line, each on the series without its season; and a ridge regression on the last values and those of a day and a
week ago.
"""

import math
from typing import Any, Final

import numpy as np
from numba import njit

Array = np.ndarray[Any, Any]

NAMES: Final = ("last", "day", "week", "days", "profile", "smooth", "theta", "damped", "line", "ridge")
METHODS: Final = len(NAMES)
_LAST, _DAY, _WEEK, _DAYS, _PROFILE, _SMOOTH, _THETA, _DAMPED, _LINE, _RIDGE = range(METHODS)
_LAGS: Final = 8
_DECAY: Final = 0.7


@njit(cache=True, nogil=True)
def _season(y: Array, period: int) -> Array:
    """What each slot of the period differs by from the moving mean over one period; zeros where fewer than two are known."""
    slots = np.zeros(max(period, 1))
    n = len(y)
    if period < 2 or n < 2 * period + 1:
        return slots
    total = np.zeros(period)
    weight = np.zeros(period)
    window = y[:period].sum()
    half = period // 2
    for end in range(period, n):
        middle = end - period + half
        share = _DECAY ** ((n - 1 - middle) / (7.0 * period))
        total[middle % period] += share * (y[middle] - window / period)
        weight[middle % period] += share
        window += y[end] - y[end - period]
    for slot in range(period):
        slots[slot] = total[slot] / weight[slot] if weight[slot] > 0 else 0.0
    centred: Array = slots - slots.mean()
    return centred


@njit(cache=True, nogil=True)
def _smooth(z: Array, alpha: float) -> tuple[float, float]:
    """The level by simple exponential smoothing, and the mean squared error of a step."""
    level, error = z[0], 0.0
    for value in z[1:]:
        off = value - level
        error += off * off
        level += alpha * off
    return level, error / max(len(z) - 1, 1)


@njit(cache=True, nogil=True)
def _best_level(z: Array) -> tuple[float, float]:
    best, level, chosen = np.inf, z[-1], 1.0
    for alpha in (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9):
        end, error = _smooth(z, alpha)
        if error < best:
            best, level, chosen = error, end, alpha
    return level, chosen


@njit(cache=True, nogil=True)
def _damped(z: Array, out: Array) -> None:
    best = np.inf
    level, slope, phi = z[-1], 0.0, 0.9
    for alpha in (0.1, 0.3, 0.6):
        for beta in (0.02, 0.1):
            for damp in (0.9, 0.98):
                here, rise, error = z[0], 0.0, 0.0
                for value in z[1:]:
                    expected = here + damp * rise
                    off = value - expected
                    error += off * off
                    rise = damp * rise + alpha * beta * off
                    here = expected + alpha * off
                if error < best:
                    best, level, slope, phi = error, here, rise, damp
    reach = 0.0
    for step in range(len(out)):
        reach += phi ** (step + 1)
        out[step] = level + reach * slope


@njit(cache=True, nogil=True)
def _slope(z: Array) -> tuple[float, float]:
    """Least squares: the value at the end, and the rise a step."""
    n = len(z)
    middle = (n - 1) / 2.0
    mean = z.mean()
    top = bottom = 0.0
    for i in range(n):
        top += (i - middle) * (z[i] - mean)
        bottom += (i - middle) ** 2
    rise = top / bottom if bottom > 0 else 0.0
    return mean + rise * middle, rise


@njit(cache=True, nogil=True)
def _features(history: Array, at: int, day: int, week: int, row: Array) -> None:
    row[0] = 1.0
    row[1] = history[at - 1]
    row[2] = history[at - 2]
    row[3] = history[at - 3]
    row[4] = history[at - day] if day > 1 else 0.0
    row[5] = history[at - day - 1] if day > 1 else 0.0
    row[6] = history[at - week] if week > 1 else 0.0
    row[7] = history[at - 2 * day] if day > 1 else 0.0


@njit(cache=True, nogil=True)
def _ridge(y: Array, day: int, week: int, out: Array) -> None:
    n, horizon = len(y), len(out)
    longest = max(3, 2 * day if day > 1 else 3, week if week > 1 else 3) + 1
    first = max(longest, n - 4000)
    if n - first < 3 * _LAGS:
        out[:] = y[-1]
        return
    centre = y[first:].mean()
    scale = max(y[first:].std(), 1e-12)
    history = np.empty(n + horizon)
    for i in range(n):
        history[i] = (y[i] - centre) / scale
    gram = np.zeros((_LAGS, _LAGS))
    target = np.zeros(_LAGS)
    row = np.zeros(_LAGS)
    for at in range(first, n):
        _features(history, at, day, week, row)
        for i in range(_LAGS):
            target[i] += row[i] * history[at]
            for j in range(i + 1):
                gram[i, j] += row[i] * row[j]
    for i in range(_LAGS):
        for j in range(i):
            gram[j, i] = gram[i, j]
        gram[i, i] += 1.0 + 0.001 * (n - first)
    weights = np.linalg.solve(gram, target)
    lowest, highest = history[first:n].min() - 1.0, history[first:n].max() + 1.0
    for step in range(horizon):
        _features(history, n + step, day, week, row)
        value = 0.0
        for i in range(_LAGS):
            value += weights[i] * row[i]
        history[n + step] = min(max(value, lowest), highest)
        out[step] = centre + scale * history[n + step]


@njit(cache=True, nogil=True)
def _profile(y: Array, day: int, week: int, out: Array) -> None:
    """What the slot of the week, or of the day, was against its own day's mean, on the level of the last day."""
    n = len(y)
    period = week if week > 1 and n >= 2 * week else day
    level = y[n - day :].mean()
    for step in range(len(out)):
        total = weight = 0.0
        share, at = 1.0, n + step - period
        while at >= n:
            at -= period
        while at - day >= 0 and share > 0.05:
            start = max(at - day // 2, 0)
            base = y[start : start + day].mean() if start + day <= n else level
            total += share * (y[at] - base)
            weight += share
            at -= period
            share *= _DECAY
        # Half of the level of the same time before it, half of now.
        out[step] = level + (total / weight if weight > 0 else 0.0)


@njit(cache=True, nogil=True)
def forecast(y: Array, day: int, week: int, out: Array) -> None:
    """Every method's continuation of `y`.

    Args:
        y: float64 of shape (n,), n >= 4, no NaN.
        day: steps in a day, or in any season; 1 where there is none.
        week: steps in seven of them; 1 where too little is known.
        out: float64 of shape (METHODS, horizon), filled.
    """
    n, horizon = len(y), out.shape[1]
    if day < 2 or n < 2 * day:
        day = 1
    if week < 2 or n < week + day + 1:
        week = 1
    season = _season(y, day)
    z = np.empty(n)
    for i in range(n):
        z[i] = y[i] - season[i % day]
    recent = z[max(0, n - max(3 * day, 500)) :]
    level, alpha = _best_level(recent)
    _, long_rise = _slope(z[max(0, n - max(7 * day, 200)) :])
    short = z[max(0, n - max(2 * day, 16)) :]
    line_end, line_rise = _slope(short)
    _damped(recent, out[_DAMPED])
    _ridge(y, day, week, out[_RIDGE])
    if day > 1:
        _profile(y, day, week, out[_PROFILE])
    for step in range(horizon):
        seasonal = season[(n + step) % day]
        out[_LAST, step] = y[n - 1]
        out[_DAY, step] = y[n - day + step % day] if day > 1 else y[n - 1]
        out[_WEEK, step] = y[n - week + step % week] if week > 1 else out[_DAY, step]
        total = weight = 0.0
        share, at = 1.0, n - day + step % day
        while day > 1 and at >= 0 and share > 0.02:
            total += share * y[at]
            weight += share
            share *= _DECAY
            at -= day
        out[_DAYS, step] = total / weight if weight > 0 else recent.mean()
        if day < 2:
            out[_PROFILE, step] = np.median(recent)
        out[_SMOOTH, step] = level + seasonal
        drift = 0.5 * long_rise * (step + 1.0 / max(alpha, 0.05))
        out[_THETA, step] = level + drift + seasonal
        out[_DAMPED, step] += seasonal
        out[_LINE, step] = line_end + line_rise * (step + 1) + seasonal
    for method in range(METHODS):
        for step in range(horizon):
            if not math.isfinite(out[method, step]):
                out[method, step] = y[n - 1]
