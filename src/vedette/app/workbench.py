"""The workbench: what the stream does, as functions on frames, without a server or a home."""

import polars as pl

from vedette.core.errors import BadRecord, NotFound
from vedette.models import Envelope
from vedette.prepare.templates import mine
from vedette.serve.workbench import score_frame

KINDS = {"envelope": Envelope}


def score(frame: pl.DataFrame, kind: str = "envelope") -> pl.DataFrame:
    """Score every row from that row and earlier ones of its series only.

    Args:
        frame: columns `series`, `timestamp`, `value`, in any order of rows.
        kind: a detector of `KINDS`.

    Returns:
        The three columns row for row, with `yhat, yhat_lower, yhat_upper, anomaly_score`; null while learning.

    Raises:
        BadRecord: a column is missing or of another type.
        NotFound: there is no such kind.
    """
    if kind not in KINDS:
        raise NotFound(f"no detector '{kind}'; there are: {', '.join(sorted(KINDS))}")
    return score_frame(frame, KINDS[kind]())


def templates(frame: pl.DataFrame, by: str | None = None) -> pl.DataFrame:
    """Find the templates behind log lines.

    Args:
        frame: a column `content` or `line`; further columns are kept out.
        by: a column; lines are mined apart for each of its values.

    Returns:
        `row` (from 0), `template_id`, `template`, `parameters` (a list of the variable parts) and their `types` (`num`,
        `ip`, `path`, `word`, ...), in the order of the rows.

    Raises:
        BadRecord: there is no such column.
    """
    name = next((each for each in ("content", "line") if each in frame.columns), None)
    if name is None:
        raise BadRecord(f"expected a column 'content' or 'line', got {frame.columns}", field="content")
    if by is None:
        return mine(frame[name])
    if by not in frame.columns:
        raise BadRecord(f"expected a column of this name, got {frame.columns}", field=by)
    rows = frame.select(pl.int_range(pl.len()).alias("row"), pl.col(by).alias("by"), pl.col(name).alias("line"))
    parts = [mine(part["line"]).with_columns(row=part["row"]) for part in rows.partition_by("by", maintain_order=True)]
    return pl.concat(parts).sort("row") if parts else mine(frame[name])
