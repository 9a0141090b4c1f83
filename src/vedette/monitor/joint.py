"""Whether columns depend on each other otherwise, though perhaps no single one of them moved."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

Array = np.ndarray[Any, Any]

#: Rows of each table that are compared, and how often they are dealt anew.
ROWS: Final = 2_000
DEALS: Final = 199
_FEW: Final = 20
#: So many deals as far apart settle that it was chance (Besag and Clifford, *Biometrika* 1991).
_ENOUGH: Final = 10


@dataclass(frozen=True, slots=True)
class Dependence:
    """The largest change of any pair in standard errors, its p by permutation, its size as a correlation, and which it was."""

    statistic: float
    p: float
    effect: float
    why: str


def draw(rows: int, seed: int) -> Array:
    """The rows of a table that are compared: all of a small one, else 2,000 drawn without return, in their order."""
    if rows <= ROWS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, ROWS, replace=False))


def compare(samples: Mapping[str, tuple[Array, Array]], seed: int) -> Dependence:
    """Compare how columns go together in two samples of rows, each column ranked within its own sample.

    So a column that moved or was scaled alone changes nothing. What is compared are the mean products of all pairs of columns,
    as normal scores and as their squares: the first see a correlation, the others a dependence without one, such as a parabola
    or a common volatility. Dependence of three columns of which no two are dependent is not seen. The p is that of the largest
    change over all pairs under random exchange of rows between both samples (Westfall and Young, *Resampling-Based Multiple
    Testing*, 1993).

    Args:
        samples: column -> its sampled rows in both tables; NaN is missing. At least two columns.
        seed: of the exchanges.

    >>> rng = np.random.default_rng(0)
    >>> x, y, z = rng.normal(size=(3, 500))
    >>> told = compare({"x": (x, x), "y": (x + y, z)}, 0)
    >>> told.p < 0.01, told.why
    (True, 'x and y: correlation 0.02, was 0.74')
    """
    names = list(samples)
    if min(len(side) for side in samples[names[0]]) < _FEW:
        return Dependence(0.0, 1.0, 0.0, "too few rows to compare")
    one, other = (_scores(np.column_stack([pair[side] for pair in samples.values()])) for side in (0, 1))
    rows, width = np.vstack([one, other]).astype(np.float32), len(names)
    total, squares = rows.T @ rows, (rows * rows).T @ (rows * rows)
    variance = np.maximum(squares / len(rows) - (total / len(rows)) ** 2, 1e-3)
    error = np.sqrt(variance * (1.0 / len(one) + 1.0 / len(other)))
    pairs = _pairs(width)

    def change(product: Array) -> Array:
        return np.asarray((product / len(one) - (total - product) / len(other))[pairs])

    seen = change(rows[: len(one)].T @ rows[: len(one)])
    largest = np.abs(seen) / error[pairs]
    rng = np.random.default_rng(seed)
    beyond = deals = 0
    while deals < DEALS and beyond < _ENOUGH:
        dealt = rows[rng.permutation(len(rows))[: len(one)]]
        beyond += bool((np.abs(change(dealt.T @ dealt)) / error[pairs]).max() >= largest.max())
        deals += 1
    p = beyond / deals if beyond == _ENOUGH else (1 + beyond) / (1 + DEALS)
    worst = int(largest.argmax())
    i, j = pairs[0][worst], pairs[1][worst]
    was, now = (float((side[:, i] * side[:, j]).mean()) for side in (one, other))
    measure = "correlation" if max(i, j) < width else "dependence of their squares"
    words = f"{names[i % width]} and {names[j % width]}: {measure} {now:.2f}, was {was:.2f}"
    return Dependence(float(largest[worst]), p, min(abs(now - was), 1.0), words)


def _pairs(width: int) -> tuple[Array, Array]:
    """Pairs of two different columns among scores and squares."""
    i, j = np.triu_indices(2 * width, 1)
    different = i % width != j % width
    return i[different], j[different]


def _scores(columns: Array) -> Array:
    """Normal scores by rank, then their squares, each of mean 0 and variance 1; what is missing or constant is 0."""
    known = np.isfinite(columns)
    ranks = rankdata(np.where(known, columns, np.inf), axis=0)
    normal = np.where(known, ndtri(np.minimum((ranks - 0.5) / np.maximum(known.sum(axis=0), 1), 1.0 - 1e-9)), 0.0)
    both = np.hstack([normal, np.where(known, normal**2, 0.0)])
    told = np.hstack([known, known])
    count = np.maximum(told.sum(axis=0), 1)
    off = np.where(told, both - both.sum(axis=0) / count, 0.0)
    deviation = np.sqrt((off * off).mean(axis=0))
    return np.asarray(off / np.where(deviation > 1e-9, deviation, 1.0))
