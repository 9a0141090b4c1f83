"""`score`, `templates`, `forecast`, `classify` and `drift` on plain files."""

from pathlib import Path

import polars as pl
import typer

from vedette.app import workbench
from vedette.cli import tables
from vedette.cli.console import say, working
from vedette.core.errors import BadRecord
from vedette.monitor.page import page

OTHER_NAMES = {"series": ("kpi", "metric", "name", "id"), "timestamp": ("time", "at", "ts", "date"), "value": ("y",)}


def score(path: Path, out: Path, kind: str) -> None:
    """Score a file."""
    tables.writable(out)
    frame = _series(path)
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


def forecast(path: Path, horizon: int, out: Path, levels: str) -> None:
    """Forecast the series of a file."""
    tables.writable(out)
    wanted = _levels(levels)
    frame = _series(path)
    with working(f"{frame.height:,} rows are being learnt from"):
        told = workbench.forecast(frame, horizon, wanted)
    tables.write(told, out)
    series = told["series"].n_unique()
    bare = told.filter(pl.col(told.columns[-1]).is_null())["series"].n_unique()
    say(f"{horizon} steps of {series} series are forecast; {bare} are too short to judge and have no bounds. {out}")


def classify(train: Path, path: Path, text: str, label: str, out: Path, cost: Path | None) -> None:
    """Label the rows of a file."""
    tables.writable(out)
    known, rows, costs = tables.read(train), tables.read(path), tables.read(cost) if cost else None
    with working(f"{known.height:,} rows are being learnt from"):
        told = workbench.classify(known, rows, text, label, costs)
    tables.write(told, out)
    sure = f"; on average {told['probability'].to_numpy().mean():.0%} sure" if told.height else ""
    say(f"{told.height:,} rows labelled with {told['label'].n_unique()} labels{sure}. {out}")


def drift(reference: Path, current: Path, out: Path, html: Path | None) -> None:
    """Compare the columns of two files."""
    tables.writable(out)
    if html is not None and not html.absolute().parent.is_dir():
        raise BadRecord(f"{html}: there is no folder {html.absolute().parent}; make it, or choose another --html")
    one, other = tables.read(reference), tables.read(current)
    with working(f"{one.width} columns are being compared"):
        found = workbench.drift(one, other)
    tables.write(found, out)
    if html is not None:
        _write_page(page(found, f"Drift from {reference.name} to {current.name}"), html)
    moved = found.filter("drifted")["column"].to_list()
    say(f"{len(moved)} of {found.height} rows drifted{': ' if moved else ''}{', '.join(moved)}. {out}")


def _write_page(text: str, path: Path) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadRecord(f"{path}: {error.strerror}; choose another --html") from error


def _levels(text: str) -> tuple[float, ...]:
    try:
        levels = tuple(float(each) for each in text.split(","))
    except ValueError:
        levels = ()
    if not levels or not all(1 <= each <= 99 for each in levels):
        raise typer.BadParameter(f"--levels: expected numbers between 1 and 99, such as 80,95; got '{text}'")
    return levels


def _series(path: Path) -> pl.DataFrame:
    """The table of series in `path`, under the usual names and with times that are such."""
    frame = _usual_names(tables.read(path))
    if "timestamp" in frame.columns and not frame.schema["timestamp"].is_temporal():
        frame = frame.with_columns(_times(frame["timestamp"]))
    return frame


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
