"""Columns beside the text: what each is, how it becomes features, and a refusal where it is not what was learnt."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
import polars as pl

from vedette.core.errors import BadRecord

Array = np.ndarray[Any, Any]
Kind = Literal["words", "number", "time"]

BINS: Final = 16


def kind_of(column: pl.Series) -> Kind | None:
    """What a column is; None where it holds nothing at all.

    Raises:
        BadRecord: it is of a type that is no feature, such as a list.
    """
    if column.null_count() == len(column):
        return None
    dtype = column.dtype
    if dtype.is_numeric():
        return "number"
    if isinstance(dtype, pl.Date | pl.Datetime):
        return "time"
    if isinstance(dtype, pl.String | pl.Boolean | pl.Categorical | pl.Enum):
        return "words"
    raise BadRecord(f"a column of type {dtype} cannot be a feature; leave it out", field=column.name)


def kinds_of(features: pl.DataFrame) -> dict[str, Kind]:
    """The kinds of the columns that hold something, by name in order of names, so that the order of columns does not matter.

    >>> kinds_of(pl.DataFrame({"load": [1.0], "host": ["a"], "none": [None]}))
    {'host': 'words', 'load': 'number'}
    """
    found = {name: kind_of(features[name]) for name in sorted(features.columns)}
    return {name: kind for name, kind in found.items() if kind is not None}


def require(features: pl.DataFrame | None, kinds: Mapping[str, Kind]) -> None:
    """Refuse a frame that is not what was learnt; further columns do no harm.

    Raises:
        BadRecord: naming the first column that is missing or of another kind.
    """
    had: Sequence[str] = [] if features is None else features.columns
    for name, kind in kinds.items():
        if features is None or name not in had:
            raise BadRecord(
                f"the model learnt from this column and it is missing; there are: {', '.join(had) or 'none'}", field=name
            )
        found = kind_of(features[name])
        if found not in {kind, None}:
            raise BadRecord(f"the model learnt it as {kind}, and here it is {found} ({features[name].dtype})", field=name)


def as_words(column: pl.Series) -> pl.Series:
    """A column as text: what it says, or of a time its weekday and hour.

    >>> from datetime import datetime
    >>> as_words(pl.Series([datetime(2026, 1, 5, 13, 30)])).item()
    'Mon 13h'
    """
    return column.dt.strftime("%a %Hh") if column.dtype.is_temporal() else column.cast(pl.String)


def edges_of(column: pl.Series) -> Array:
    """Where the bins of a number end: quantiles, and even steps between the outer ones, float64 of shape (n,), rising."""
    values = _numbers(column)
    values = values[np.isfinite(values)]
    if not len(values):
        return np.zeros(1)
    low, high = np.quantile(values, (0.001, 0.999))
    even = np.linspace(low, high, BINS + 1)
    return np.unique(np.concatenate([np.quantile(values, np.linspace(0, 1, BINS + 1)), even]))


def filled_bins(column: pl.Series, edges: Array) -> Array:
    """Numbers as bins filled from below, each between 0 and 1, and a last one that says that there is none.

    Piecewise linear encoding (Gorishniy et al. 2022, *On Embeddings for Numerical Features in Tabular Deep Learning*). Rows are at
    most about as long as the row of a text.

    >>> filled_bins(pl.Series([0.0, 15.0, None]), np.array([0.0, 10.0, 20.0])).tolist()
    [[0.0, 0.0, 0.0], [0.7071067690849304, 0.3535533845424652, 0.0], [0.0, 0.0, 1.0]]
    """
    values = _numbers(column)
    there = np.isfinite(values)
    known = np.where(there, values, edges[0])[:, None]
    out = np.zeros((len(values), len(edges)), np.float32)
    out[:, :-1] = np.clip((known - edges[:-1]) / np.diff(edges), 0, 1) / np.sqrt(max(len(edges) - 1, 1))
    out[~there, -1] = 1.0
    return out


def _numbers(column: pl.Series) -> Array:
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
