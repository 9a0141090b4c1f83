"""The columns of everything that moves in bulk, in one place.

Times are UTC microseconds. `series` is the 64-bit identity of `vedette.core.identity`. A frame that
travels has exactly the columns of its schema, in this order; `conform` says what is wrong when not.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

AT: Final = pl.Datetime("us", "UTC")
LABELS: Final = pl.Map(pl.String, pl.String)

Schema = dict[str, pl.DataType | type[pl.DataType]]

#: What a receiver hands to the log. `kind` of a series is one of SERIES_KINDS.
METRICS: Final[Schema] = {"series": pl.Int64, "at": AT, "value": pl.Float64}
SERIES: Final[Schema] = {"series": pl.Int64, "name": pl.String, "labels": LABELS, "kind": pl.String, "unit": pl.String}
LOGS: Final[Schema] = {
    "at": AT,
    "observed_at": AT,
    "series": pl.Int64,
    "severity": pl.Int32,
    "body": pl.String,
    "attributes": LABELS,
}
EVENTS: Final[Schema] = {
    "at": AT,
    "kind": pl.String,
    "key": pl.String,
    "status": pl.String,
    "title": pl.String,
    "labels": LABELS,
    "annotations": LABELS,
    "starts_at": AT,
    "ends_at": AT,
}
DEAD_LETTERS: Final[Schema] = {
    "at": AT,
    "partition": pl.String,
    "offset": pl.Int64,
    "reason": pl.String,
    "digest": pl.String,
    "payload": pl.Binary,
}
#: Table -> schema of the frames inside a Delivery. `series` describes, it is not counted as records.
INBOUND: Final[dict[str, Schema]] = {
    "series": SERIES,
    "metrics": METRICS,
    "logs": LOGS,
    "events": EVENTS,
    "dead_letters": DEAD_LETTERS,
}
COUNTED: Final = ("metrics", "logs", "events", "dead_letters")

SERIES_KINDS: Final = ("unknown", "gauge", "counter", "delta", "bucket", "stream")

#: What prepare hands to the models: one number of one series at one time, sorted by (series, at).
POINTS: Final[Schema] = {"series": pl.Int64, "at": AT, "value": pl.Float64}
TEMPLATES: Final[Schema] = {"template": pl.Int64, "text": pl.String, "first_seen": AT, "series": pl.Int64}
#: What a model answers. `anomaly_score` > 1 is anomalous; null = still learning.
VERDICTS: Final[Schema] = {
    "at": AT,
    "series": pl.Int64,
    "model": pl.String,
    "version": pl.String,
    "value": pl.Float64,
    "yhat": pl.Float64,
    "yhat_lower": pl.Float64,
    "yhat_upper": pl.Float64,
    "anomaly_score": pl.Float64,
}
#: What a forecaster answers: the value expected `at` a time to come, said at `made_at`, with bounds of 80 and 95 per cent.
FORECASTS: Final[Schema] = {
    "made_at": AT,
    "at": AT,
    "series": pl.Int64,
    "model": pl.String,
    "version": pl.String,
    "yhat": pl.Float64,
    "yhat_lower_80": pl.Float64,
    "yhat_upper_80": pl.Float64,
    "yhat_lower_95": pl.Float64,
    "yhat_upper_95": pl.Float64,
}


def empty(schema: Schema) -> pl.DataFrame:
    """A frame of no rows with the columns of `schema`.

    >>> empty(METRICS).shape
    (0, 3)
    """
    return pl.DataFrame(schema=schema)


def from_rows(rows: Sequence[tuple[object, ...]], schema: Schema) -> pl.DataFrame:
    """Rows as columns. Handed rows, Polars 2.1 reads dictionaries as null maps, so it is handed columns.

    >>> from_rows([(1, "up", {"job": "a"}, "gauge", "")], SERIES)["labels"].to_list()
    [{'job': 'a'}]
    """
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    return pl.DataFrame(dict(zip(schema, columns, strict=True)), schema=schema)


def conform(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """`frame` itself where its columns are exactly those of `schema`.

    Raises:
        TypeError: naming the first column that differs, with what was expected and what came.

    >>> conform(empty(METRICS), METRICS).height
    0
    """
    found = dict(frame.schema)
    if found == schema and list(found) == list(schema):
        return frame
    for (name, dtype), (had, kind) in zip(schema.items(), found.items(), strict=False):
        if name != had or dtype != kind:
            message = f"field '{name}': expected {name} {dtype}, got {had} {kind}"
            raise TypeError(message)
    message = f"expected columns {list(schema)}, got {list(found)}"
    raise TypeError(message)
