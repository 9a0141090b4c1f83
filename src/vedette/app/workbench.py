"""The workbench: what the stream does, as functions on frames, without a server or a home."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from vedette.core.errors import BadRecord, NotFound
from vedette.core.frames import AT, POINTS
from vedette.models import Envelope
from vedette.models.classes import Classifier
from vedette.models.forecasts import Outlook
from vedette.monitor import tables
from vedette.prepare.templates import mine
from vedette.serve.workbench import column, in_utc, score_frame

Array = np.ndarray[Any, Any]

KINDS = {"envelope": Envelope}
LEVELS = (80.0, 95.0)


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


def forecast(frame: pl.DataFrame, horizon: int, levels: Sequence[float] = LEVELS) -> pl.DataFrame:
    """Where each series goes, on from its last value, at its usual step.

    Args:
        frame: columns `series` (any type), `timestamp` (a date or a datetime), `value`, in any order of rows.
        horizon: steps ahead.
        levels: per cent of what will be seen that the bounds should hold, each between 1 and 99.

    Returns:
        `series, timestamp, yhat, yhat_lower_80, yhat_upper_80, ...`: `horizon` rows a series, in the order in which the series
        first come. Of a series too short to judge the bounds are null; one of fewer than four values stays where it is.

    Raises:
        BadRecord: a column is missing or of another type, a row has no time, a level is none, or no step is known.
    """
    if horizon < 1:
        raise BadRecord(f"expected a number of steps, 1 or more, got {horizon}", field="horizon")
    if odd := [each for each in levels if not 1 <= each <= 99]:
        raise BadRecord(f"expected per cent between 1 and 99, got {odd[0]:g}", field="levels")
    asked = frame.select(column(frame, name) for name in ("series", "timestamp", "value"))
    if asked["timestamp"].null_count():
        raise BadRecord("a row has no time", field="timestamp", position=asked["timestamp"].is_null().arg_max())
    names = asked.select("series").unique(maintain_order=True).with_row_index("place").cast({"place": pl.Int64})
    placed = asked.join(names, on="series", how="left", nulls_equal=True, maintain_order="left")
    points = pl.DataFrame(
        {"series": placed["place"], "at": in_utc(placed["timestamp"]), "value": _numbers(placed["value"])}, POINTS
    )
    points = points.unique(["series", "at"], keep="last", maintain_order=True).sort("series", "at")
    outlook = Outlook(horizon, tuple(each / 100 for each in dict.fromkeys(levels)))
    outlook.fit(points)
    told = pl.concat([outlook.predict(points), _still(points, outlook.series, horizon)], how="diagonal").sort("series", "at")
    answer = told.rename({"series": "place"}).join(names, on="place", how="left", maintain_order="left")
    return answer.select("series", _as_given(answer["at"], asked.schema["timestamp"]), pl.exclude("series", "place", "at"))


def classify(train: pl.DataFrame, frame: pl.DataFrame, text: str, label: str, cost: pl.DataFrame | None = None) -> pl.DataFrame:
    """Learn the labels of `train`, and say them of the rows of `frame`.

    Args:
        train: columns `text` and `label`; all others are features.
        frame: `text` and the same features; what else it has changes nothing.
        text: name of the column of text.
        label: name of the column of labels.
        cost: what errors cost: the first column holds true labels, one row each; every other column is called like the label that
            is said, and holds what saying it costs where the first is true. Without it the likeliest label is said.

    Returns:
        The rows of `frame` with `label`, of the type it has in `train`, and `probability`, that of the label being right. Columns
        that `frame` has under these names give way.

    Raises:
        BadRecord: a column is missing or of another kind than learnt, or the costs are not those of the labels.
        Rejected: there are fewer than two labels to tell apart.
    """
    if text == label:
        raise BadRecord("text and label are the same column", field=label)
    labels = column(train, label)
    model = Classifier()
    model.fit(column(train, text).cast(pl.String), labels, train.drop(text, label))
    told = model.probabilities(column(frame, text).cast(pl.String), frame)
    said, costs = (model.classes, None) if cost is None else _costs(cost, model.classes)
    chosen = model.decide(told, costs)
    places = np.array([model.classes.index(each) for each in said])[chosen]
    known = labels.unique().drop_nulls()
    values = pl.DataFrame({"said": known.cast(pl.String), "label": known})
    classes = pl.DataFrame({"said": model.classes}).join(values, on="said", how="left", maintain_order="left")["label"]
    answer = pl.DataFrame({"label": classes.gather(places), "probability": told[np.arange(len(told)), places]})
    return pl.concat([frame.drop("label", "probability", strict=False), answer], how="horizontal")


def drift(reference: pl.DataFrame, current: pl.DataFrame) -> pl.DataFrame:
    """Which columns of `current` are distributed otherwise than in `reference`: a row a column, and one for all together.

    Returns:
        `column, kind, statistic, p_value, effect, adjusted_p, drifted, why` and more; see `vedette.monitor.tables.drift`.
    """
    return tables.drift(reference, current)


def _numbers(column: pl.Series) -> pl.Series:
    values = column.cast(pl.Float64, strict=False)
    if len(values) and values.null_count() == len(values):
        raise BadRecord(f"expected numbers, got nothing but {column.dtype} that is none", field=column.name)
    return values.fill_null(float("nan"))


def _still(points: pl.DataFrame, learnt: Sequence[int], horizon: int) -> pl.DataFrame:
    """Of the series that are not learnt, for want of values: the last value, at their own step or else that of the others."""
    at, known = pl.col("at").dt.timestamp("us"), pl.col("value").is_finite()
    ends = points.with_columns(step=at.diff().over("series")).with_columns(usual=pl.col("step").median())
    short = ends.filter(~pl.col("series").is_in(list(learnt)))
    rows = short.group_by("series", maintain_order=True).agg(
        at.filter(known).last().fill_null(at.last()).alias("end"),
        pl.col("value").filter(known).last().alias("yhat"),
        pl.coalesce(pl.col("step").median(), pl.col("usual").first()).alias("step"),
    )
    if rows["step"].null_count():
        raise BadRecord("no series has two rows, so that it is not known when the next value comes", field="timestamp")
    steps = pl.DataFrame({"ahead": np.arange(1, horizon + 1)})
    moment = (pl.col("end") + (pl.col("step") * pl.col("ahead")).round().cast(pl.Int64)).cast(AT)
    return rows.join(steps, how="cross", maintain_order="left_right").select("series", moment.alias("at"), "yhat")


def _as_given(at: pl.Series, dtype: pl.DataType) -> pl.Series:
    """UTC microseconds as the type that times came in."""
    zone = getattr(dtype, "time_zone", None)
    moment = at.dt.convert_time_zone(zone) if zone else at.dt.replace_time_zone(None)
    return moment.cast(dtype).alias("timestamp")


def _costs(cost: pl.DataFrame, classes: Sequence[str]) -> tuple[list[str], Array]:
    """The labels that may be said, and the costs: float64 of shape (classes, those)."""
    true, said = cost.to_series(0).cast(pl.String).to_list(), cost.columns[1:]
    faults = [f"'{each}' is no label" for each in [*true, *said] if each not in classes]
    faults += [f"a row is missing for '{each}'" for each in classes if each not in true]
    if faults or not said or len(true) != len(classes):
        there = f"expected one row a label and columns of labels; there are: {', '.join(classes)}"
        raise BadRecord("; ".join([*faults, there]), field=cost.columns[0])
    order = [true.index(each) for each in classes]
    return said, cost.select(pl.col(said).cast(pl.Float64, strict=False)).to_numpy().astype(np.float64)[order]
