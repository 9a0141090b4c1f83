"""The tables of the lake: their columns as the contract has them, and how each is laid out in files."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import polars as pl
from deltalake import ColumnProperties, Field, WriterProperties
from deltalake import Schema as DeltaSchema
from deltalake.schema import MapType, PrimitiveType

from vedette.core.frames import AT, FORECASTS, LABELS, Schema

DAY: Final = "day"


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its columns in order, the order of rows within a file, and the columns with statistics.

    A table with a `day` column is partitioned by it; `day` is the UTC date of `at`.
    """

    name: str
    schema: Schema
    sort: tuple[str, ...]
    statistics: tuple[str, ...]

    @property
    def daily(self) -> bool:
        """Whether the table is partitioned by day."""
        return DAY in self.schema

    @property
    def columns(self) -> Schema:
        """The columns a written frame must have: all but `day`."""
        return {name: dtype for name, dtype in self.schema.items() if name != DAY}


_METRICS: Final[Schema] = {"at": AT, "series": pl.Int64, "value": pl.Float64, "source": pl.String, DAY: pl.Date}
_SERIES: Final[Schema] = {
    "series": pl.Int64,
    "name": pl.String,
    "labels": LABELS,
    "source": pl.String,
    "first_seen": AT,
    "kind": pl.String,
    "unit": pl.String,
}
_LOGS: Final[Schema] = {
    "at": AT,
    "observed_at": AT,
    "series": pl.Int64,
    "source": pl.String,
    "severity": pl.Int32,
    "body": pl.String,
    "template": pl.Int64,
    "attributes": LABELS,
    DAY: pl.Date,
}
_TEMPLATES: Final[Schema] = {"template": pl.Int64, "text": pl.String, "first_seen": AT, "series": pl.Int64}
_EVENTS: Final[Schema] = {
    "at": AT,
    "source": pl.String,
    "kind": pl.String,
    "key": pl.String,
    "status": pl.String,
    "title": pl.String,
    "labels": LABELS,
    "annotations": LABELS,
    "starts_at": AT,
    "ends_at": AT,
    DAY: pl.Date,
}
_DEAD_LETTERS: Final[Schema] = {
    "at": AT,
    "source": pl.String,
    "partition": pl.String,
    "offset": pl.Int64,
    "reason": pl.String,
    "digest": pl.String,
    "payload": pl.Binary,
    DAY: pl.Date,
}
_VERDICTS: Final[Schema] = {
    "at": AT,
    "series": pl.Int64,
    "model": pl.String,
    "version": pl.String,
    "value": pl.Float64,
    "yhat": pl.Float64,
    "yhat_lower": pl.Float64,
    "yhat_upper": pl.Float64,
    "anomaly_score": pl.Float64,
    DAY: pl.Date,
}
_FEEDBACK: Final[Schema] = {"at": AT, "incident": pl.String, "verdict": pl.String, "actor": pl.String, "note": pl.String}

#: In the order of a flush: what rows refer to comes before them, and verdicts come last.
TABLES: Final = MappingProxyType(
    {
        table.name: table
        for table in (
            Table("series", _SERIES, (), ("series", "first_seen")),
            Table("templates", _TEMPLATES, (), ("template", "first_seen")),
            Table("metrics", _METRICS, ("series", "at"), ("at", "series")),
            Table("logs", _LOGS, ("series", "at"), ("at", "series", "severity", "template")),
            Table("events", _EVENTS, ("at",), ("at",)),
            Table("dead_letters", _DEAD_LETTERS, (), ("at", "offset")),
            Table("verdicts", _VERDICTS, ("series", "at"), ("at", "series", "anomaly_score")),
            Table("forecasts", {**FORECASTS, DAY: pl.Date}, ("series", "at"), ("at", "series")),
            Table("feedback", _FEEDBACK, (), ("at",)),
        )
    }
)

_PRIMITIVES: Final = {
    pl.Int64: "long",
    pl.Int32: "integer",
    pl.Float64: "double",
    pl.String: "string",
    pl.Binary: "binary",
    pl.Date: "date",
}


def delta_schema(table: Table) -> DeltaSchema:
    """The table's columns as Delta says them.

    >>> delta_schema(TABLES["templates"]).fields[2]
    Field(first_seen, PrimitiveType("timestamp"), nullable=True)
    """
    return DeltaSchema([Field(name, _delta_type(dtype)) for name, dtype in table.schema.items()])


def _delta_type(dtype: pl.DataType | type[pl.DataType]) -> PrimitiveType | MapType:
    if dtype == LABELS:
        return MapType(PrimitiveType("string"), PrimitiveType("string"), value_contains_null=True)
    return PrimitiveType("timestamp" if dtype == AT else _PRIMITIVES[dtype])  # type: ignore[index]


def writer_properties(table: Table) -> WriterProperties:
    """How the table's files are encoded: measured, not guessed (see the page of the lake).

    Times are near each other in a sorted run, so their differences are small; numbers that hardly repeat gain
    nothing from a dictionary, and building one is the dearest part of a write.
    """
    columns = {}
    for name, dtype in table.columns.items():
        statistics: Literal["NONE", "CHUNK"] = "CHUNK" if name in table.statistics else "NONE"
        if dtype == LABELS:
            continue
        if dtype == AT:
            columns[name] = ColumnProperties(
                dictionary_enabled=False, encoding="DELTA_BINARY_PACKED", statistics_enabled=statistics
            )
        elif dtype == pl.Float64:
            columns[name] = ColumnProperties(dictionary_enabled=False, statistics_enabled=statistics)
        else:
            columns[name] = ColumnProperties(statistics_enabled=statistics)
    return WriterProperties(
        compression="ZSTD",
        compression_level=1,
        max_row_group_size=1 << 17,
        default_column_properties=ColumnProperties(statistics_enabled="NONE"),
        column_properties=columns,
    )
