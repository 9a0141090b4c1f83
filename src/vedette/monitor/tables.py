"""Drift between two tables, a column at a time: the workbench's `drift`."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from polars.selectors import by_name

from vedette.core.frames import Schema
from vedette.monitor import joint
from vedette.monitor.columns import Column, Compared, compare
from vedette.monitor.statistics import adjusted, shares_p

Array = np.ndarray[Any, Any]
Table = pl.DataFrame | pl.LazyFrame
Kind = Literal["number", "category", "text", "time"]

#: A row of the answer; `*joint*` and columns that are gone or new have no statistic.
DRIFT: Final[Schema] = {
    "column": pl.String,
    "kind": pl.String,
    "statistic": pl.Float64,
    "name_of_statistic": pl.String,
    "p_value": pl.Float64,
    "effect": pl.Float64,
    "adjusted_p": pl.Float64,
    "drifted": pl.Boolean,
    "reference_missing": pl.Float64,
    "current_missing": pl.Float64,
    "psi": pl.Float64,
    "outside": pl.Float64,
    "why": pl.String,
    "bins": pl.List(pl.String),
    "reference_bins": pl.List(pl.Float64),
    "current_bins": pl.List(pl.Float64),
}
JOINT: Final = "*joint*"
ALPHA: Final = 0.01
#: Effects below it are no drift, however significant: with many rows everything is.
EFFECT: Final = 0.1
#: As much more or less missing is drift of its own.
MISSING: Final = 0.05
#: Columns that look this alike may be one under two names.
_ALIKE: Final = 0.05
#: Cells that are sorted at once: what bounds the memory beside the tables themselves.
_CELLS: Final = 8_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """One column of the answer while it is made."""

    name: str
    kind: Kind
    compared: Compared
    missing: tuple[float | None, float | None]
    why: tuple[str, ...] = ()
    lost: bool = False


def drift(reference: Table, current: Table, *, seed: int = 0) -> pl.DataFrame:
    """Which columns of `current` are distributed otherwise than in `reference`, and by how much.

    Numbers are compared by the distance of Kolmogorov and Smirnov, categories and hours of times by chi-squared with Cramér's V,
    text by its words. A column drifted where the difference is both sure (Benjamini-Hochberg over the columns, 0.01) and large
    (an effect of 0.1 on a scale from 0 to 1), where far more or less is missing, or where it is gone, new or of another kind.
    Rows are taken to be independent; PSI is beside it for those who use it.

    Args:
        reference: a table, or a scan of one, which is read a few columns at a time.
        current: another.
        seed: of the rows that are drawn to compare columns together.

    Returns:
        A row a column with the columns of `DRIFT`, in the order of `reference`, then columns that are new, then `*joint*`:
        whether the number columns depend on each other otherwise (see `vedette.monitor.joint`). `outside` is the share of
        current values beyond the range, or none of the categories, of the reference; `bins` and the two columns after it are
        shares for a histogram.

    >>> same = pl.DataFrame({"x": range(200), "y": ["a", "b"] * 100})
    >>> drift(same, same.with_columns(pl.col("x") + 100)).select("column", "statistic", "drifted", "outside").rows()
    [('x', 0.5, True, 0.5), ('y', 0.0, False, 0.0), ('*joint*', None, False, None)]
    """
    one, other = reference.lazy(), current.lazy()
    rows = one.select(pl.len()).collect().item(), other.select(pl.len()).collect().item()
    draws = joint.draw(rows[0], seed), joint.draw(rows[1], seed + 1)
    had, has = one.collect_schema(), other.collect_schema()
    found = _gone_and_new(one, other, draws)
    samples: dict[str, tuple[Array, Array]] = {}
    for group in _groups([name for name in had if name in has], sum(rows)):
        for left, right in zip(_read(one, group, draws[0]), _read(other, group, draws[1]), strict=True):
            found[left.name] = _row(left, right)
            if left.kind == right.kind == "number":
                samples[left.name] = left.sample, right.sample
    order = [*had, *(name for name in has if name not in had)]
    return _frame([found[name] for name in order], rows, samples, seed)


def _gone_and_new(one: pl.LazyFrame, other: pl.LazyFrame, draws: tuple[Array, Array]) -> dict[str, Row]:
    had, has = one.collect_schema(), other.collect_schema()
    gone, new = [name for name in had if name not in has], [name for name in has if name not in had]
    pairs = _renamed(one, other, gone, new, draws)
    words = {name: f"the column is gone; '{to}' is new and looks the same: renamed?" for name, to in pairs.items()}
    rows = [(name, had[name], words.get(name, "the column is gone")) for name in gone]
    rows += [(name, has[name], "the column is new") for name in new]
    return {name: Row(name, _kind(dtype), Compared(), (None, None), (why,), lost=True) for name, dtype, why in rows}


def _groups(names: list[str], rows: int) -> Iterator[list[str]]:
    size = max(1, _CELLS // max(rows, 1))
    for start in range(0, len(names), size):
        yield names[start : start + size]


def _read(table: pl.LazyFrame, names: list[str], draw: Array) -> list[Column]:
    """A few columns, numbers sorted by all cores at once."""
    # By selector: a name that reads like a pattern is a name all the same.
    schema = {name: dtype for name, dtype in table.collect_schema().items() if name in names}
    numbers = [name for name in names if _kind(schema[name]) == "number"]
    others = [name for name in names if name not in numbers]
    frame = table.select(by_name(*numbers).cast(pl.Float64).fill_nan(None), by_name(*others)).collect()
    ordered = frame.select(by_name(*numbers).sort(nulls_last=True))
    return [_column(frame[name], ordered[name] if name in numbers else None, schema[name], draw) for name in names]


def _column(values: pl.Series, ordered: pl.Series | None, dtype: pl.DataType, draw: Array) -> Column:
    missing = values.null_count()
    if ordered is None:
        return Column(values.name, _kind(dtype), dtype, len(values), missing, values=values)
    numbers = ordered.head(len(ordered) - missing).to_numpy()
    return Column(
        values.name,
        "number",
        dtype,
        len(values),
        missing,
        numbers=numbers,
        sample=values.gather(draw).to_numpy().astype(np.float64),
    )


def _kind(dtype: pl.DataType) -> Kind:
    """What a column is compared as; text that repeats itself becomes a category once its values are seen."""
    if dtype.is_numeric() or dtype in (pl.Duration, pl.Time, pl.Null):
        return "number"
    if dtype.is_temporal():
        return "time"
    return "category" if dtype in (pl.Boolean, pl.Categorical, pl.Enum) else "text"


def _row(left: Column, right: Column) -> Row:
    missing = left.missing / max(left.rows, 1), right.missing / max(right.rows, 1)
    if left.kind != right.kind:
        words = f"was {left.dtype}, is {right.dtype}: not comparable"
        return Row(left.name, left.kind, Compared(), missing, (words,), lost=True)
    if left.dtype.is_nested() or left.dtype in (pl.Binary, pl.Object):
        return Row(left.name, left.kind, Compared(), missing, (f"columns of {left.dtype} are not compared",))
    compared = compare(left, right)
    retyped = (f"was {left.dtype}, is {right.dtype}",) if left.dtype != right.dtype else ()
    return Row(left.name, compared.kind or left.kind, compared, missing, retyped)


def _renamed(one: pl.LazyFrame, other: pl.LazyFrame, gone: list[str], new: list[str], draws: tuple[Array, Array]) -> dict[str, str]:
    """For columns that are gone, the new one of the same type that looks the same, if there is one."""
    pairs: dict[str, str] = {}
    for name in gone[:10]:
        left = _read(one, [name], draws[0])[0]
        for candidate in new[:10]:
            right = _read(other, [candidate], draws[1])[0]
            if left.dtype == right.dtype and not left.dtype.is_nested() and candidate not in pairs.values():
                compared = _row(left, replace(right, name=name)).compared
                if compared.statistic is not None and compared.effect < _ALIKE and compared.outside < _ALIKE:
                    pairs[name] = candidate
                    break
    return pairs


def _frame(found: list[Row], rows: tuple[int, int], samples: dict[str, tuple[Array, Array]], seed: int) -> pl.DataFrame:
    p = np.array([np.nan if each.compared.statistic is None else each.compared.p for each in found])
    fdr = adjusted(p)
    answers = [_told(row, fdr[i], rows, len(found)) for i, row in enumerate(found)]
    answers.append(_joint(samples, seed))
    return pl.DataFrame(answers, schema=DRIFT, orient="row")


def _told(row: Row, fdr: float, rows: tuple[int, int], family: int) -> tuple[object, ...]:
    it, (had, has) = row.compared, row.missing
    known = it.statistic is not None
    moved = known and fdr < ALPHA and it.effect >= EFFECT
    holes = had is not None and has is not None and _holes(had, has, rows, family)
    why = [*row.why, *it.why]
    if moved:
        why.insert(0, f"effect {it.effect:.2f} (at least {EFFECT:g}) at a false discovery rate of {fdr:.1e}")
    elif known and fdr < ALPHA:
        why.append(f"a sure difference, but a small one: effect {it.effect:.3f}")
    if holes:
        why.append(f"missing {has:.1%}, was {had:.1%}")
    numbers = (it.statistic, it.name, it.p, it.effect, fdr) if known else (None, None, None, None, None)
    return (
        *(row.name, row.kind, *numbers, bool(moved or holes or row.lost), had, has),
        *((it.psi, it.outside) if known else (None, None)),
        *("; ".join(why) or "no difference that matters", it.bins, it.shares[0], it.shares[1]),
    )


def _holes(had: float, has: float, rows: tuple[int, int], family: int) -> bool:
    return abs(has - had) >= MISSING and shares_p(had * rows[0], rows[0], has * rows[1], rows[1]) * family < ALPHA


def _joint(samples: dict[str, tuple[Array, Array]], seed: int) -> tuple[object, ...]:
    name = "largest change of dependence"
    if len(samples) < 2:
        return (
            JOINT,
            "number",
            *[None] * 5,
            False,
            *[None] * 4,
            "fewer than two number columns: nothing depends on another",
            *[[]] * 3,
        )
    told = joint.compare(samples, seed)
    moved = told.p < ALPHA and told.effect >= EFFECT
    words = told.why if moved else "the number columns depend on each other as before"
    return JOINT, "number", told.statistic, name, told.p, told.effect, told.p, moved, *[None] * 4, words, *[[]] * 3
