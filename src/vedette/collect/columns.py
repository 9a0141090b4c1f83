"""What the columns of a table are: names, labels, times and numbers of metrics, lines of a log, or events."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

import msgspec
import polars as pl
from pydantic import Field, field_validator, model_validator

from vedette.collect.happenings import Event, event_rows
from vedette.collect.lines import TIME, believed, in_utc, instants, log_rows
from vedette.collect.series import SeriesTable
from vedette.collect.zone import is_zone
from vedette.core.errors import BadRecord, ConfigError
from vedette.core.frames import AT, METRICS
from vedette.core.settings import Settings

SERIES_NAMES: Final = ("series", "metric", "name", "kpi", "kpi id")
TIME_NAMES: Final = ("timestamp", "at", "time", "datetime", "date", "ds", "ts", "t")
VALUE_NAMES: Final = ("value", "y")
TEXT_NAMES: Final = ("body", "message", "raw", "content", "line")
TITLE_NAMES: Final = ("title", "summary", "subject", "name", "alertname", "description", "document", *TEXT_NAMES)
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
    like a log line, and none of values, is a log. Where `events` says so, each row is an event.

    Attributes:
        series: the column that names the metric of a row.
        time: the column of times.
        values: the columns of numbers; by default all that hold only numbers.
        labels: the columns that become labels, numbers too; by default those of text. Of a log they part its streams.
        ignore: columns left out; by default what people call the truth about a row.
        text: the column of log lines, or of the titles of events.
        unit: of numeric times; by default told by their size.
        start: where the time column counts steps, or rows without any time lie in their order, the time of step 0; `step` its
            length in seconds.
        zone: IANA name, of times that name none.
        truth: the column that is not 0, or is true, where something was wrong; it is no value.
        events: the kind of event that a row is.
        id: the column of what an event is known by; by default a digest of the row.
        status, starts_at, ends_at: further columns of events.
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
    truth: str | None = None
    events: Event | None = None
    id: str | None = None
    status: str | None = None
    starts_at: str | None = None
    ends_at: str | None = None

    @field_validator("start", mode="before")
    @classmethod
    def _moment(cls, told: object) -> object:
        if not isinstance(told, str):
            return told
        try:
            return datetime.fromisoformat(told)
        except ValueError as error:
            raise ValueError(f"expected a time such as 2026-01-01T00:00Z, got '{told}'") from error

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

    @model_validator(mode="after")
    def _one_kind(self) -> "Columns":
        odd = ("series", "values", "truth") if self.events else ("id", "status", "starts_at", "ends_at")
        told = [name for name in odd if getattr(self, name)]
        if told and self.events:
            raise ValueError(f"{', '.join(told)}: an event has none; leave it out, or leave out events")
        if told:
            raise ValueError(f"{', '.join(told)}: only events have it; say of which kind they are: events=ticket")
        return self

    def named(self) -> Iterator[tuple[str, str]]:
        """(what for, column) of every column that has to be there."""
        for key in ("series", "time", "text", "truth", "id", "status", "starts_at", "ends_at"):
            if getattr(self, key) is not None:
                yield key, getattr(self, key)
        for key in ("values", "labels"):
            for name in getattr(self, key) or ():
                yield key, name


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns were chosen; names are those of the table.

    `series` is empty in a wide table, `text` in one of numbers, `time` where rows lie in their order.
    """

    time: str
    series: str
    values: tuple[str, ...]
    labels: tuple[str, ...]
    text: str
    attributes: tuple[str, ...]


def layout(frame: pl.DataFrame, mapping: Columns) -> Layout:
    """The columns of `frame`, the first rows of a table, as `mapping` and their names and kinds say.

    Raises:
        ConfigError: columns that were named are not there; each is listed.
        BadRecord: a column that is needed is not found; it says which were.
    """
    found = ", ".join(frame.columns)
    unknown = [
        f"{key}: there is no column '{name}'; there are: {found}" for key, name in mapping.named() if name not in frame.columns
    ]
    if unknown:
        raise ConfigError(unknown)
    left = {*mapping.ignore, mapping.truth}
    kept = {name.lower(): name for name in reversed(frame.columns) if name not in left}
    numbers = {name for name in kept.values() if _is_number(frame[name])}
    texts = [name for name in frame.columns if name in kept.values() and name not in numbers and _is_text(frame[name])]
    chosen = {"series": mapping.series or _first(kept, SERIES_NAMES), "time": mapping.time or _first(kept, TIME_NAMES)}
    if mapping.events:
        return _event_layout(frame, mapping, chosen["time"] or mapping.starts_at or "", texts)
    values = mapping.values or tuple(
        name for name in (_first(kept, VALUE_NAMES),) if name and (name in numbers or chosen["series"])
    )
    text = mapping.text or ("" if values else _first({key: name for key, name in kept.items() if name in texts}, TEXT_NAMES))
    taken = {chosen["time"], text, *values}
    if text:
        labels = mapping.labels or ()
        rest = tuple(name for name in texts if name not in {*taken, *labels})
        return Layout(chosen["time"], "", (), labels, text, rest)
    if not chosen["time"] and mapping.start is None:
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


def _event_layout(frame: pl.DataFrame, mapping: Columns, time: str, texts: list[str]) -> Layout:
    title = mapping.text or _first({name.lower(): name for name in reversed(texts)}, TITLE_NAMES)
    if not title:
        raise BadRecord(f"found the columns {frame.columns}; say which is the title of an event: text=COLUMN", field="text")
    if not time and mapping.start is None:
        raise BadRecord(
            f"found the columns {frame.columns}; say which is the time (time=COLUMN), or lay the rows out in their order, "
            "from when and how many seconds apart (start=2026-01-01T00:00Z step=60)",
            field="time",
        )
    taken = {time, title, mapping.id, mapping.status, mapping.starts_at, mapping.ends_at}
    labels = mapping.labels if mapping.labels is not None else tuple(name for name in texts if name not in taken)
    return Layout(time, "", (), labels, title, tuple(name for name in texts if name not in {*taken, *labels}))


@dataclass(frozen=True, slots=True)
class Rows:
    """What one frame of a table came to.

    Attributes:
        table, frame: METRICS, LOGS or EVENTS.
        bad: what was set aside: `(row, field, reason, the row as JSON)`.
        wrong: of each row of `frame`, whether the table says that something was wrong; None where it does not say.
    """

    table: str
    frame: pl.DataFrame
    bad: tuple[tuple[int, str, str, bytes], ...] = ()
    wrong: pl.Series | None = None


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
        self._units: dict[str, Unit] = {}
        self._known: dict[tuple[str | None, ...], int] = {}

    @property
    def step(self) -> int:
        """Rows to take at once, so that what comes of them is bounded."""
        return max(1, ROWS // max(1, len(self._layout.values)))

    def rows(self, frame: pl.DataFrame, first: int = 0) -> Rows:
        """METRICS, LOGS or EVENTS rows of `frame`, whose first row is row `first` of the table.

        Raises:
            BadRecord: a column is missing, or the times cannot be understood.
        """
        chosen = self._layout
        needed = (chosen.time, *chosen.values, chosen.series, chosen.text, *(name for _, name in self._mapping.named()))
        missing = [name for name in needed if name and name not in frame.columns and name not in chosen.labels]
        if missing:
            raise BadRecord(f"no such column from here on; found {frame.columns}", field=missing[0])
        frame = frame.with_columns(
            pl.lit(None, pl.String).alias(name) for name in (*chosen.labels, *chosen.attributes) if name not in frame.columns
        )
        if self._mapping.events:
            return self._events(frame, first, self._mapping.events)
        return self._logs(frame) if chosen.text else self._metrics(frame, first)

    def _metrics(self, frame: pl.DataFrame, first: int) -> Rows:
        chosen = self._layout
        at = self._at(frame, first)
        names = [chosen.series] if chosen.series else []
        truth = [_wrong(frame[self._mapping.truth]).alias("__wrong")] if self._mapping.truth else []
        plain = frame.select(
            at.alias("__at"),
            pl.int_range(pl.len()).alias("__row"),
            *(pl.col(each).cast(pl.String) for each in (*names, *chosen.labels)),
            *(pl.col(each).cast(pl.Float64, strict=False).alias(f"__{index}") for index, each in enumerate(chosen.values)),
            *truth,
        )
        believed = self._inside(plain["__at"])
        bad = self._unbelieved(believed, frame)
        for index, each in enumerate(chosen.values):
            lost = plain[f"__{index}"].is_null() & frame[each].is_not_null() & believed
            bad += [(row, each, f"expected a number, got {str(frame[each][row])[:64]!r}") for row in lost.arg_true().to_list()]
        kept = ["__at", *names, *chosen.labels, *(each.name for each in truth)]
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
        return Rows("metrics", metrics, _told(bad, frame), long["__wrong"] if truth else None)

    def _events(self, frame: pl.DataFrame, first: int, kind: Event) -> Rows:
        chosen, mapping = self._layout, self._mapping
        times = {"at": self._at(frame, first)}
        good = self._inside(times["at"])
        bad = self._unbelieved(good, frame)
        for key, name in (("starts_at", mapping.starts_at), ("ends_at", mapping.ends_at)):
            if name:
                times[key] = self._times(frame[name])
                inside = self._inside(times[key]) | frame[name].is_null()
                bad += [(row, name, _why(frame[name][row])) for row in (good & ~inside).arg_true().to_list()]
                good &= inside
        columns = times | {key: frame[name] for key, name in (("key", mapping.id), ("status", mapping.status)) if name}
        told = pl.DataFrame({**columns, "title": frame[chosen.text]}).filter(good)
        kept = frame.filter(good)
        events = event_rows(kind, told, kept.select(chosen.labels), kept.select(chosen.attributes))
        return Rows("events", events, _told(bad, frame))

    def _inside(self, at: pl.Series) -> pl.Series:
        """Which times are believed."""
        return at.to_physical().is_between(*self._window).fill_null(value=False)

    def _unbelieved(self, believed: pl.Series, frame: pl.DataFrame) -> list[tuple[int, str, str]]:
        time = self._layout.time
        return [
            (row, time or "start", _why(frame[time][row]) if time else "this many steps end after the year 2100")
            for row in (~believed).arg_true().to_list()
        ]

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

    def _at(self, frame: pl.DataFrame, first: int) -> pl.Series:
        """The times of the rows; where there is no column of them, as they lie in their order."""
        if self._layout.time:
            return self._times(frame[self._layout.time])
        return self._counted(pl.int_range(first, first + frame.height, eager=True).alias(""))

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
            raise BadRecord(f"expected a time, got {column.dtype}", field=column.name)
        return self._counted(column)

    def _counted(self, column: pl.Series) -> pl.Series:
        """Times of numbers, by their declared unit, their size, or as steps."""
        start, step = self._mapping.start, self._mapping.step
        if start is not None and step is not None and column.name == self._layout.time:
            begin = round((start if start.tzinfo else start.replace(tzinfo=UTC)).timestamp() * 1e6)
            return (column.cast(pl.Float64) * step * 1e6 + begin).round().cast(pl.Int64, strict=False).cast(AT)
        largest = max(abs(float(column.max() or 0)), abs(float(column.min() or 0)))  # type: ignore[arg-type]
        unit = self._mapping.unit or self._units.get(column.name)
        if unit is None:
            if largest < 100_000_000:
                counted = f"these numbers (up to {largest:g}) count steps"
                raise BadRecord(f"{counted}: say the time of step 0 (start) and the seconds of one (step)", field=column.name)
            told: Unit = next((unit for size, unit in SIZES if largest < size), "ns")
            unit = self._units[column.name] = told
        if unit == "ns":
            return (column.cast(pl.Int64, strict=False) // 1000).cast(AT)
        # As floats, which hold microseconds exactly for centuries, what is out of range becomes nothing and never wraps around.
        scaled: pl.Series = column.cast(pl.Float64) * UNITS[unit]
        return scaled.round().cast(pl.Int64, strict=False).cast(AT)


def _wrong(column: pl.Series) -> pl.Series:
    """Whether something was wrong: a number that is not 0, or what is true; nothing is not."""
    if column.dtype == pl.Boolean:
        return column.fill_null(value=False)
    number = column.cast(pl.Float64, strict=False) if column.dtype.is_numeric() or column.dtype == pl.String else column.clear()
    if number.null_count() > column.null_count() or len(number) < len(column):
        words = column.cast(pl.String).str.to_lowercase()
        number = words.replace_strict({"true": 1.0, "false": 0.0}, default=number, return_dtype=pl.Float64)
    odd = (number.is_null() & column.is_not_null()).arg_true()
    if len(odd):
        raise BadRecord(f"expected a number, true or false, got {str(column[odd[0]])[:64]!r}", field=column.name)
    return number.fill_nan(0.0).fill_null(0.0) != 0


def _told(bad: list[tuple[int, str, str]], frame: pl.DataFrame) -> tuple[tuple[int, str, str, bytes], ...]:
    return tuple((*each, msgspec.json.encode(frame.row(each[0], named=True), enc_hook=str)) for each in sorted(bad))


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
