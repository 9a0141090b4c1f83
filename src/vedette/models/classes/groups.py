"""Tickets come in twins: the same words with another number. What must not be on both sides of a split shares a group."""

from typing import Any

import numpy as np
import polars as pl

Array = np.ndarray[Any, Any]


def twins(text: pl.Series) -> Array:
    """The same number for texts that differ only in digits, case and blanks.

    Args:
        text: of type String; nulls are twins of each other.

    Returns:
        int64 of shape (rows,), counted from 0 in order of first appearance.

    >>> twins(pl.Series(["Disk 7 full", "disk  12 FULL", "mail is down"])).tolist()
    [0, 0, 1]
    """
    masked = text.str.to_lowercase().str.replace_all(r"\d+", "0").str.replace_all(r"\s+", " ").str.strip_chars()
    first = pl.DataFrame({"text": masked}).with_row_index("row").select(pl.col("row").min().over("text"))
    return (first["row"].rank("dense").cast(pl.Int64) - 1).to_numpy()
