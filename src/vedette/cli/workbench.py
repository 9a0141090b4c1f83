"""`score` and `templates` on plain files."""

from pathlib import Path

import polars as pl

from vedette.app import workbench
from vedette.cli import tables
from vedette.cli.console import say, working
from vedette.core.errors import BadRecord

OTHER_NAMES = {"series": ("kpi", "metric", "name", "id"), "timestamp": ("time", "at", "ts", "date"), "value": ("y",)}


def score(path: Path, out: Path, kind: str) -> None:
    """Score a file."""
    tables.writable(out)
    frame = _usual_names(tables.read(path))
    if "timestamp" in frame.columns and not frame.schema["timestamp"].is_temporal():
        frame = frame.with_columns(_times(frame["timestamp"]))
    with working(f"{frame.height:,} rows are being scored"):
        scored = workbench.score(frame, kind)
    tables.write(scored, out)
    odd = (scored["anomaly_score"] > 1).sum()
    learning = scored["anomaly_score"].null_count()
    say(f"{scored.height} rows of {scored['series'].n_unique()} series scored: {odd} anomalous, {learning} while learning. {out}")


def templates(path: Path, out: Path, by: str) -> None:
    """Find the templates in a file."""
    tables.writable(out)
    with working(f"{path} is being read"):
        found = workbench.templates(tables.lines(path), by or None)
    tables.write(found, out)
    say(f"{found.height} lines, {found['template_id'].n_unique()} templates. {out}")


def _usual_names(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns under the names of the workbench, where a table calls them otherwise."""
    found = {}
    for name, others in OTHER_NAMES.items():
        alias = next((each for each in others if each in frame.columns), None)
        if name not in frame.columns and alias:
            found[alias] = name
    return frame.rename(found)


def _times(column: pl.Series) -> pl.Series:
    """Numbers are seconds since 1970, as in Prometheus; text is ISO 8601."""
    if column.dtype.is_numeric():
        return (column.cast(pl.Float64) * 1e6).round().cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
    try:
        return column.cast(pl.String).str.to_datetime(time_unit="us")
    except pl.exceptions.PolarsError as error:
        reason = "expected ISO 8601 such as 2026-11-20T10:00:00Z in every row, or seconds since 1970"
        raise BadRecord(reason, field="timestamp") from error
