"""Which lines begin a record, and which go on with the one before: stack traces and their like."""

from typing import Final

import numpy as np
import polars as pl

#: Indented, empty, or one of the phrases by which Java and Python go on with a trace.
GOES_ON: Final = (
    r"^(?:\s|$|Caused by: |Suppressed: |Traceback \(most recent call last\):|\.\.\. \d+ more"
    r"|[\w.]*(?:Error|Exception|Interrupt|Exit)(?::|$)"
    r"|During handling of the above exception|The above exception was the direct cause)"
)


def begins(lines: pl.Series, pattern: str | None) -> np.ndarray:
    """True where a record begins. `pattern` matches first lines; None knows stack traces.

    >>> begins(pl.Series(["E boom", "  at f()", "Caused by: x", "I fine"]), None).tolist()
    [True, False, False, True]
    """
    found = lines.str.contains(pattern) if pattern is not None else ~lines.str.contains(GOES_ON)
    answer = found.to_numpy().copy()
    answer[:1] = True
    return answer


def join(lines: pl.Series, first: np.ndarray, most: int, between: str = "\n") -> pl.Series:
    r"""Records of lines joined by `between`, of `most` lines at most; the rest of a longer one is one of its own.

    >>> join(pl.Series(["a", " b", " c", "d"]), np.array([True, False, False, True]), 2).to_list()
    ['a\n b', ' c', 'd']
    """
    group = np.cumsum(first)
    row = np.arange(len(group))
    place = (row - np.flatnonzero(first)[group - 1]) // most
    frame = pl.DataFrame({"line": lines, "group": group, "place": place})
    return frame.group_by("group", "place", maintain_order=True).agg(pl.col("line").str.join(between))["line"]
