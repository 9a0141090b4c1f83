"""What the columns of a table are: names, labels, times and numbers of metrics, or lines of a log."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

import msgspec
import polars as pl
from pydantic import Field, field_validator, model_validator

from vedette.collect.lines import TIME, believed, in_utc, instants, log_rows
from vedette.collect.series import SeriesTable
from vedette.collect.zone import is_zone
from vedette.core.errors import BadRecord
from vedette.core.frames import AT, METRICS
from vedette.core.settings import Settings

SERIES_NAMES: Final = ("series", "metric", "name", "kpi", "kpi id")
TIME_NAMES: Final = ("timestamp", "at", "time", "datetime", "date", "ds", "ts", "t")
VALUE_NAMES: Final = ("value", "y")
TEXT_NAMES: Final = ("body", "message", "raw", "content", "line")
#: Factors to microseconds; a whole number says which one by its size, since these lie centuries apart.
Unit = Literal["s", "ms", "us", "ns"]
UNITS: Final[dict[str, int]] = {"s": 1_000_000, "ms": 1000, "us": 1}
SIZES: Final[tuple[tuple[int, Unit], ...]] = ((100_000_000_000, "s"), (100_000_000_000_000, "ms"), (100_000_000_000_000_000, "us"))
ENDINGS: Final = r"(?i)\.(csv|tsv|jsonl?|ndjson|parquet)(\.\w+)?$"
#: Rows that become one delivery.
ROWS: Final = 50_000
#: Beyond the year 2100 nothing is believed.
FOREVER: Final = (1, 4_102_444_800_000_000)


class Columns(Settings):
    """How the columns of a table are read; what is not said is found by its name and kind.

    A table with a column of names and one of values is long: a row a sample. Any other with a time is wide: each column
    of numbers is a metric of its own name, and columns of text are its labels. One with a column of text that is called
    like a log line, and none of values, is a log.

    Attributes:
        series: the column that names the metric of a row.
        time: the column of times.
        values: the columns of numbers; by default all that hold only numbers.
        labels: the columns that become labels, numbers too; by default those of text. Of a log they part its streams.
        ignore: columns left out; by default what people call the truth about a row.
        text: the column of log lines.
        unit: of numeric times; by default told by their size.
        start: where the time column counts steps, the time of step 0; `step` its length in seconds.
        zone: IANA name, of times that name none.
    """

    series: str | None = None
    time: str | None = None
    values: tuple[str, ...] = ()
    labels: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ("label", "is_anomaly", "anomaly")
    text: str | None = None
    unit: Unit | None = None
    start: datetime | None = None
    step: Annotated[float, Field(gt=0)] | None = None
    zone: str = "UTC"

    @field_validator("zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        if not is_zone(name):
            raise ValueError(f"unknown time zone {name!r}; expected an IANA name such as Europe/Zurich")
        return name

    @model_validator(mode="after")
    def _both(self) -> "Columns":
        if (self.start is None) != (self.step is None):
            raise ValueError("start and step go together: the time of step 0, and the seconds from one to the next")
        return self


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns were chosen; names are those of the table. `series` is empty in a wide table, `text` in one of numbers."""

    time: str
    series: str
    values: tuple[str, ...]
    labels: tuple[str, ...]
    text: str
    attributes: tuple[str, ...]


def layout(frame: pl.DataFrame, mapping: Columns) -> Layout:
    """The columns of `frame`, the first rows of a table, as `mapping` and their names and kinds say.

    Raises:
        BadRecord: a column is missing; it says which were found.
    """
    for name in (mapping.series, mapping.time, mapping.text, *mapping.values, *(mapping.labels or ())):
        if name is not None and name not in frame.columns:
            raise BadRecord(f"no such column; found {frame.columns}", field=name)
    kept = {name.lower(): name for name in reversed(frame.columns) if name not in mapping.ignore}
    numbers = {name for name in kept.values() if _is_number(frame[name])}
    texts = [name for name in frame.columns if name in kept.values() and name not in numbers and _is_text(frame[name])]
    chosen = {"series": mapping.series or _first(kept, SERIES_NAMES), "time": mapping.time or _first(kept, TIME_NAMES)}
    values = mapping.values or tuple(
        name for name in (_first(kept, VALUE_NAMES),) if name and (name in numbers or chosen["series"])
    )
    text = mapping.text or ("" if values else _first({key: name for key, name in kept.items() if name in texts}, TEXT_NAMES))
    taken = {chosen["time"], text, *values}
    if text:
        labels = mapping.labels or ()
        rest = tuple(name for name in texts if name not in {*taken, *labels})
        return Layout(chosen["time"], "", (), labels, text, rest)
    if not chosen["time"]:
        raise BadRecord(
            f"found the columns {frame.columns}, expected series, timestamp, value, or a time and numbers", field="timestamp"
        )
    series = chosen["series"] if values else mapping.series or ""
    labels = mapping.labels if mapping.labels is not None else tuple(name for name in texts if name not in {*taken, series})
    if not values:
        values = tuple(name for name in frame.columns if name in numbers and name not in {*taken, *labels})
    if series and len(values) > 1:
        series, labels = "", (series, *labels)
    if not values:
        raise BadRecord(
            f"found the columns {frame.columns}, expected series, timestamp, value, or a time and numbers", field="value"
        )
    return Layout(chosen["time"], series, values, labels, "", ())


@dataclass(frozen=True, slots=True)
class Rows:
    """What one frame of a table came to: rows of METRICS or LOGS, and those set aside: `(row, field, reason, the row as JSON)`."""

    table: str
    frame: pl.DataFrame
    bad: tuple[tuple[int, str, str, bytes], ...] = ()


class Table:
    """Turns the frames of one table into rows, as its first frame says.

    Args:
        first: the first rows; they decide what each column is.
        mapping: what the user said about that.
        table: gives the series their identity.
        source: the name they are kept under.
        file: what the file is called: the label `file` of log streams, and without its endings the name of a lone `value` column.
        observed: UTC microseconds, of log lines without any time.
        window: the earliest and latest time believed.
    """

    def __init__(
        self,
        first: pl.DataFrame,
        mapping: Columns,
        table: SeriesTable,
        *,
        source: str,
        file: str,
        observed: int,
        window: tuple[int, int] = FOREVER,
    ) -> None:
        self._mapping = mapping
        self._table = table
        self._source = source
        self._file = file
        self._observed = observed
        self._window = window
        self._layout = layout(first, mapping)
        self._unit: Unit | None = mapping.unit
        self._known: dict[tuple[str | None, ...], int] = {}

    @property
    def step(self) -> int:
        """Rows to take at once, so that what comes of them is bounded."""
        return max(1, ROWS // max(1, len(self._layout.values)))

    def rows(self, frame: pl.DataFrame) -> Rows:
        """METRICS or LOGS rows of `frame`.

        Raises:
            BadRecord: a column is missing, or the times cannot be understood.
        """
        chosen = self._layout
        missing = [name for name in (chosen.time, *chosen.values, chosen.series, chosen.text) if name and name not in frame.columns]
        if missing:
            raise BadRecord(f"no such column from here on; found {frame.columns}", field=missing[0])
        frame = frame.with_columns(pl.lit(None, pl.String).alias(name) for name in chosen.labels if name not in frame.columns)
        return self._logs(frame) if chosen.text else self._metrics(frame)

    def _metrics(self, frame: pl.DataFrame) -> Rows:
        chosen = self._layout
        at = self._times(frame[chosen.time])
        names = [chosen.series] if chosen.series else []
        plain = frame.select(
            at.alias("__at"),
            pl.int_range(pl.len()).alias("__row"),
            *(pl.col(each).cast(pl.String) for each in (*names, *chosen.labels)),
            *(pl.col(each).cast(pl.Float64, strict=False).alias(f"__{index}") for index, each in enumerate(chosen.values)),
        )
        believed = plain["__at"].to_physical().is_between(*self._window).fill_null(value=False)
        bad = [(row, chosen.time, _why(frame[chosen.time][row])) for row in (~believed).arg_true().to_list()]
        for index, each in enumerate(chosen.values):
            lost = plain[f"__{index}"].is_null() & frame[each].is_not_null() & believed
            bad += [(row, each, f"expected a number, got {str(frame[each][row])[:64]!r}") for row in lost.arg_true().to_list()]
        kept = ["__at", *names, *chosen.labels]
        long = plain.filter(believed).unpivot(
            [f"__{each}" for each in range(len(chosen.values))], index=kept, variable_name="__value"
        )
        long = long.filter(pl.col("value").is_not_null())
        if not chosen.series:
            stem = re.sub(ENDINGS, "", self._file)
            called = [stem if each.lower() == "value" else each for each in chosen.values]
            replaced = pl.col("__value").replace_strict({f"__{at}": name for at, name in enumerate(called)}, return_dtype=pl.String)
            long = long.with_columns(replaced.alias("__value"))
        keys = [*(names or ["__value"]), *chosen.labels]
        series = self._identities(long.select(keys))
        metrics = pl.DataFrame({"series": series, "at": long["__at"], "value": long["value"]}).select(list(METRICS))
        told = [(*each, msgspec.json.encode(frame.row(each[0], named=True), enc_hook=str)) for each in sorted(bad)]
        return Rows("metrics", metrics, tuple(told))

    def _logs(self, frame: pl.DataFrame) -> Rows:
        chosen = self._layout
        body = frame[chosen.text].cast(pl.String).fill_null("")
        marks = frame.select(pl.col(name).cast(pl.String) for name in chosen.attributes if name in frame.columns)
        if chosen.time:
            at = self._times(frame[chosen.time])
            inside = at.to_physical().is_between(*self._window).fill_null(value=False)
            odd = frame[chosen.time].cast(pl.String).set(inside, None)
            at = at.set(~inside, None)
        else:
            at, odd = believed(body, self._observed, self._mapping.zone, self._window)
        name = pl.repeat("log_stream", pl.len()).alias("__value")
        series = self._identities(frame.select(name, *(pl.col(each).cast(pl.String) for each in chosen.labels)), "stream")
        marks = pl.DataFrame([*marks.get_columns(), odd.alias(TIME)])
        return Rows("logs", log_rows(body, marks, at, series=series, observed=self._observed))

    def _identities(self, keys: pl.DataFrame, kind: str = "unknown") -> pl.Series:
        """The series of each row; its first column is the name, the others are labels."""
        distinct = keys.unique(maintain_order=True)
        labels = keys.columns[1:]
        fixed = {"file": self._file} if kind == "stream" else {}
        ids = []
        for row in distinct.iter_rows():
            known = self._known.get(row)
            if known is None:
                own = {**fixed, **{key: text for key, text in zip(labels, row[1:], strict=True) if text}}
                known = self._known[row] = self._table.resolve(self._source, row[0] or "unnamed", own, kind)
            ids.append(known)
        found = distinct.with_columns(pl.Series("__series", ids, pl.Int64))
        return keys.join(found, on=keys.columns, how="left", maintain_order="left", nulls_equal=True)["__series"]

    def _times(self, column: pl.Series) -> pl.Series:
        """UTC microseconds; null where a text is no time."""
        zone = self._mapping.zone
        if isinstance(column.dtype, pl.Datetime | pl.Date):
            moment = column.cast(pl.Datetime("us", getattr(column.dtype, "time_zone", None)))
            return moment.dt.convert_time_zone("UTC") if moment.dtype.time_zone else in_utc(moment, zone)  # type: ignore[attr-defined]
        if column.dtype == pl.String:
            number = column.cast(pl.Int64, strict=False)
            if number.null_count() > column.null_count():
                number = column.cast(pl.Float64, strict=False)
            if number.null_count() > column.null_count():
                return instants(column, zone)
            column = number
        if not column.dtype.is_numeric():
            raise BadRecord(f"expected a time, got {column.dtype}", field=self._layout.time)
        return self._counted(column)

    def _counted(self, column: pl.Series) -> pl.Series:
        """Times of numbers, by their declared unit, their size, or as steps."""
        start, step = self._mapping.start, self._mapping.step
        if start is not None and step is not None:
            begin = round((start if start.tzinfo else start.replace(tzinfo=UTC)).timestamp() * 1e6)
            return (column.cast(pl.Float64) * step * 1e6 + begin).round().cast(pl.Int64, strict=False).cast(AT)
        largest = max(abs(float(column.max() or 0)), abs(float(column.min() or 0)))  # type: ignore[arg-type]
        unit = self._unit
        if unit is None:
            if largest < 100_000_000:
                counted = f"these numbers (up to {largest:g}) count steps"
                raise BadRecord(f"{counted}: say the time of step 0 (start) and the seconds of one (step)", field=self._layout.time)
            told: Unit = next((unit for size, unit in SIZES if largest < size), "ns")
            unit = self._unit = told
        if unit == "ns":
            return (column.cast(pl.Int64, strict=False) // 1000).cast(AT)
        # As floats, which hold microseconds exactly for centuries, what is out of range becomes nothing and never wraps around.
        scaled: pl.Series = column.cast(pl.Float64) * UNITS[unit]
        return scaled.round().cast(pl.Int64, strict=False).cast(AT)


def _first(names: dict[str, str], wanted: tuple[str, ...]) -> str:
    return next((names[each] for each in wanted if each in names), "")


def _is_text(column: pl.Series) -> bool:
    return isinstance(column.dtype, pl.String | pl.Categorical | pl.Enum | pl.Boolean)


def _is_number(column: pl.Series) -> bool:
    """A column of numbers, or of text that is nothing else."""
    if column.dtype != pl.String:
        return column.dtype.is_numeric()
    return column.null_count() < len(column) and column.cast(pl.Float64, strict=False).null_count() == column.null_count()


def _why(value: object) -> str:
    return "expected a time, got none" if value is None else f"expected a time that is believed, got {str(value)[:64]!r}"
