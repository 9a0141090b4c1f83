"""One column of two tables: how far apart, how sure, and where."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numba import njit

from vedette.monitor.statistics import chi_squared, kolmogorov_p, stability

Array = np.ndarray[Any, Any]

#: Bars of a histogram, parts of a PSI, rows of text that are read, places that words are hashed to.
BARS: Final = 24
PARTS: Final = 10
LINES: Final = 20_000
WORDS: Final = 256
#: Categories shown; text with more different values than either bound is no category.
SHOWN: Final = 12
DIFFERENT: Final = 50
REPEATED: Final = 0.2

_NOTHING: Final = np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A column of one table: `numbers` sorted without missing ones and a `sample` of rows, or `values` as they are."""

    name: str
    kind: Literal["number", "category", "text", "time"]
    dtype: pl.DataType
    rows: int
    missing: int
    numbers: Array = field(default_factory=lambda: _NOTHING)
    sample: Array = field(default_factory=lambda: _NOTHING)
    values: pl.Series = field(default_factory=pl.Series)


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison found; no statistic where there was nothing to compare. `shares` of `bins` are one row a table."""

    kind: Literal["number", "category", "text", "time"] | None = None
    name: str = ""
    statistic: float | None = None
    p: float = 1.0
    effect: float = 0.0
    psi: float = 0.0
    outside: float = 0.0
    why: tuple[str, ...] = ()
    bins: list[str] = field(default_factory=list)
    shares: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))


def compare(left: Column, right: Column) -> Compared:
    """Two columns of one kind, by what suits it; nothing where either has no values."""
    if left.missing >= left.rows or right.missing >= right.rows:
        return Compared(why=("no values to compare",))
    if left.kind == "number":
        return numbers(left.numbers, right.numbers)
    one, other = left.values.drop_nulls(), right.values.drop_nulls()
    if left.kind == "time":
        return times(one, other)
    one, other = one.cast(pl.String), other.cast(pl.String)
    if left.kind == "text" and _unlike(one) and _unlike(other):
        return text(one, other)
    return categories(one, other)


def numbers(one: Array, other: Array) -> Compared:
    """Kolmogorov and Smirnov's distance of two sorted arrays, which is its own effect size.

    >>> told = numbers(np.arange(100.0), np.arange(50.0, 150.0))
    >>> told.statistic, told.outside, told.p < 1e-9
    (0.5, 0.5, True)
    """
    distance = float(largest_gap(one, other))
    least, most = one[0], one[-1]
    below, above = np.searchsorted(other, least, "left"), len(other) - np.searchsorted(other, most, "right")
    outside = float(below + above) / len(other)
    edges = np.unique(one[(np.arange(1, PARTS) * len(one)) // PARTS])
    parts = [np.diff(np.searchsorted(each, edges, "right"), prepend=0, append=len(each)) for each in (one, other)]
    bins, shares = _bars(one, other)
    why = (f"{outside:.1%} outside of {least:.6g} to {most:.6g}",) if outside >= 0.01 else ()
    p = kolmogorov_p(distance, len(one), len(other))
    return Compared("number", "Kolmogorov-Smirnov", distance, p, distance, stability(*parts), outside, why, bins, shares)


def categories(one: pl.Series, other: pl.Series) -> Compared:
    """Chi-squared over the values of two string columns, with Cramér's V.

    >>> categories(pl.Series(["a", "b"] * 50), pl.Series(["a", "c"] * 50)).why
    ("50.0% in categories never seen before: 'c'",)
    """
    names, counts = _counts(one, other)
    new = np.flatnonzero((counts[0] == 0) & (counts[1] > 0))
    outside = float(counts[1, new].sum()) / len(other)
    told = ", ".join(f"'{names[i][:40]}'" for i in new[:3]) + (f" and {len(new) - 3} more" if len(new) > 3 else "")
    why = (f"{outside:.1%} in categories never seen before: {told}",) if len(new) else ()
    return _chi("category", "chi-squared", names, counts, outside, why)


def times(one: pl.Series, other: pl.Series) -> Compared:
    """Chi-squared of the hour of the day, of dates that of the weekday: that time passes is no drift."""
    hourly = one.dtype == pl.Datetime
    keys = [each.dt.hour() if hourly else each.dt.weekday() for each in (one, other)]
    names, counts = _counts(*(key.cast(pl.String).str.zfill(2) for key in keys))
    order = np.argsort(names)
    return _chi(
        "time", f"chi-squared of the {'hour' if hourly else 'weekday'}", [names[i] for i in order], counts[:, order], 0.0, ()
    )


def text(one: pl.Series, other: pl.Series) -> Compared:
    """Chi-squared of words, hashed to 256 places, of at most 20,000 lines of each spread over the column.

    Words of a line are not independent; the bound on the effect is what keeps that from being called drift.
    """
    counts, known = np.zeros((2, WORDS)), []
    for row, lines in enumerate((one, other)):
        words = lines.gather_every(-(-len(lines) // LINES)).str.to_lowercase().str.extract_all(r"\w+").explode().drop_nulls()
        counts[row] = np.bincount((words.hash(0) % WORDS).to_numpy(), minlength=WORDS)
        known.append(words)
    if min(len(words) for words in known) == 0:
        return categories(one, other)
    outside = float((~known[1].is_in(known[0].unique().implode())).to_numpy().mean())
    why = (f"{outside:.0%} of words are new",) if outside >= 0.1 else ()
    told = _chi("text", "chi-squared of words", [], counts, outside, why)
    bins, shares = _bars(*(np.sort(each.str.len_chars().to_numpy().astype(np.float64)) for each in (one, other)))
    return Compared("text", told.name, told.statistic, told.p, told.effect, told.psi, outside, why, bins, shares)


@njit(cache=True, nogil=True)
def largest_gap(one: Array, other: Array) -> float:
    """The largest distance of two distribution functions, in one walk over both sorted arrays."""
    i, j, largest = 0, 0, 0.0
    while i < len(one) and j < len(other):
        x = min(one[i], other[j])
        while i < len(one) and one[i] == x:
            i += 1
        while j < len(other) and other[j] == x:
            j += 1
        largest = max(largest, abs(i / len(one) - j / len(other)))
    return largest


def _unlike(values: pl.Series) -> bool:
    return values.n_unique() > max(DIFFERENT, REPEATED * len(values))


def _counts(one: pl.Series, other: pl.Series) -> tuple[list[str], Array]:
    """Distinct values, most frequent first, and how often each is in one and in the other (2, values)."""
    left, right = (each.rename("key").value_counts(name=name) for each, name in ((one, "one"), (other, "other")))
    both = left.join(right, on="key", how="full", coalesce=True).fill_null(0)
    ordered = both.sort(pl.col("one") + pl.col("other"), "key", descending=[True, False])
    return ordered["key"].to_list(), ordered.select("one", "other").to_numpy().T.astype(np.float64)


def _chi(
    kind: Literal["category", "time", "text"], name: str, names: list[str], counts: Array, outside: float, why: tuple[str, ...]
) -> Compared:
    chi, p, effect = chi_squared(counts)
    shown = counts[:, :SHOWN] if kind == "category" else counts
    rest = counts[:, shown.shape[1] :].sum(axis=1, keepdims=True)
    bins = names[: shown.shape[1]]
    if rest.any():
        shown, bins = np.hstack([shown, rest]), [*bins, "all others"]
    one, other = (shown / counts.sum(axis=1, keepdims=True)).tolist()
    return Compared(kind, name, chi, p, effect, stability(counts[0], counts[1]), outside, why, bins, (one, other))


def _bars(one: Array, other: Array) -> tuple[list[str], tuple[list[float], list[float]]]:
    """A histogram over where all but one in a hundred of both are; what is beyond is in its outer bars."""
    ends = [each[[len(each) // 200, len(each) - 1 - len(each) // 200]] for each in (one, other)]
    low, high = min(each[0] for each in ends), max(each[1] for each in ends)
    if not (np.isfinite(low) and np.isfinite(high)) or low == high:
        return [f"{low:.4g}"], ([1.0], [1.0])
    edges = np.linspace(low, high, BARS + 1)
    counts = [np.diff(np.searchsorted(each, edges[1:-1], "left"), prepend=0, append=len(each)) / len(each) for each in (one, other)]
    return [f"{edge:.4g}" for edge in edges[:-1]], (counts[0].tolist(), counts[1].tolist())
