"""The few tests that all monitors share, over whole arrays at once.

SciPy is imported where it is needed: a process that has no model to judge yet does without its 13 MiB.
"""

from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]
Z95: Final = 1.959963984540054


def adjusted(p: Array) -> Array:
    """Benjamini and Hochberg (1995): the false discovery rate at which each would be called found; NaN takes no part.

    >>> adjusted(np.array([0.01, 0.04, np.nan, 0.03])).tolist()
    [0.03, 0.04, nan, 0.04]
    """
    answer = np.full(len(p), np.nan)
    valid = np.flatnonzero(~np.isnan(p))
    order = valid[np.argsort(p[valid], kind="stable")]
    steps = p[order] * len(order) / np.arange(1, len(order) + 1)
    answer[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0)
    return answer


def two_sided(t: Array, freedom: Array) -> Array:
    """The chance of a Student's t at least so far from zero."""
    from scipy.special import stdtr

    return np.asarray(2.0 * stdtr(freedom, -np.abs(t)))


def kolmogorov_p(distance: float, one: int, other: int) -> float:
    """Asymptotic p of a two-sample Kolmogorov-Smirnov distance, with the correction of Stephens (1970) for small samples.

    >>> round(kolmogorov_p(0.2, 100, 100), 3)
    0.031
    """
    from scipy.special import kolmogorov

    size = np.sqrt(one * other / (one + other))
    return float(kolmogorov((size + 0.12 + 0.11 / size) * distance))


def shares_p(hits_one: float, one: float, hits_other: float, other: float) -> float:
    """Two-sided p of equal shares, by the normal approximation of the pooled share.

    >>> round(shares_p(50, 100, 50, 100), 3), shares_p(0, 0, 1, 2)
    (1.0, 1.0)
    """
    from scipy.special import ndtr

    if one == 0 or other == 0:
        return 1.0
    share = (hits_one + hits_other) / (one + other)
    deviation = np.sqrt(share * (1.0 - share) * (1.0 / one + 1.0 / other))
    return 1.0 if deviation == 0.0 else float(2.0 * ndtr(-abs(hits_one / one - hits_other / other) / deviation))


def chi_squared(counts: Array, least: float = 5.0) -> tuple[float, float, float]:
    """Chi-squared, its p and the bias-corrected Cramér's V (Bergsma 2013) of two rows of counts.

    Categories of which fewer than `least` are expected in either row are pooled into one.

    >>> chi, p, effect = chi_squared(np.array([[50, 50], [90, 10]]))
    >>> round(chi, 1), p < 1e-8, round(effect, 2)
    (38.1, True, 0.43)
    """
    from scipy.special import chdtrc

    totals = counts.sum(axis=1)
    if totals.min() == 0:
        return 0.0, 1.0, 0.0
    small = counts.sum(axis=0) * totals.min() / totals.sum() < least
    pooled = np.column_stack([counts[:, ~small], counts[:, small].sum(axis=1)]) if small.any() else counts
    pooled = pooled[:, pooled.sum(axis=0) > 0]
    freedom = pooled.shape[1] - 1
    if freedom == 0:
        return 0.0, 1.0, 0.0
    expected = np.outer(totals, pooled.sum(axis=0)) / totals.sum()
    chi = float(((pooled - expected) ** 2 / expected).sum())
    excess = max(0.0, chi / totals.sum() - freedom / (totals.sum() - 1))
    return chi, float(chdtrc(freedom, chi)), float(np.sqrt(min(excess, 1.0)))


def stability(one: Array, other: Array) -> float:
    """Population stability index of two rows of counts over the same bins; half a count is added to each.

    >>> round(stability(np.array([50, 50]), np.array([90, 10])), 2)
    0.85
    """
    p = (one + 0.5) / (one.sum() + 0.5 * len(one))
    q = (other + 0.5) / (other.sum() + 0.5 * len(other))
    return float(((p - q) * np.log(p / q)).sum())


def wilson(hits: float, total: float, z: float = Z95) -> tuple[float, float]:
    """Wilson's (1927) interval of a share.

    >>> [round(each, 3) for each in wilson(8, 10)]
    [0.49, 0.943]
    """
    if total <= 0:
        return 0.0, 1.0
    share, slack = hits / total, z * z / total
    middle = (share + slack / 2) / (1 + slack)
    half = np.sqrt(share * (1 - share) * slack + slack * slack / 4) / (1 + slack)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def poisson(count: int) -> tuple[float, float]:
    """Garwood's (1936) exact 95 % interval of an expected count.

    >>> [round(each, 2) for each in poisson(3)]
    [0.62, 8.77]
    """
    from scipy.special import chdtri

    low = float(chdtri(2 * count, 0.975)) / 2 if count else 0.0
    return low, float(chdtri(2 * count + 2, 0.025)) / 2


def echo(values: Array) -> Array:
    """Autocorrelation of neighbours along the last axis, 0 to 0.9; NaN breaks a pair; corrected for its bias by Kendall (1954).

    >>> echo(np.array([1.0, -1.0] * 20)).item(), round(echo(np.repeat([1.0, -1.0], 20)).item(), 1)
    (0.0, 0.9)
    """
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=-1, keepdims=True), 1)
    off = np.where(known, values - np.nansum(values, axis=-1, keepdims=True) / count, 0.0)
    power = (off * off).sum(axis=-1) / count[..., 0]
    pairs = np.maximum((known[..., 1:] & known[..., :-1]).sum(axis=-1), 1)
    raw = (off[..., 1:] * off[..., :-1]).sum(axis=-1) / pairs / np.where(power > 0, power, 1.0)
    return np.asarray(np.where(power > 0, np.clip(raw + (1.0 + 3.0 * raw) / pairs, 0.0, 0.9), 0.0))
