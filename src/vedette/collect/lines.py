"""What the head of a log line says: when and how grave. Whole columns at a time, never line by line."""

from collections.abc import Callable
from typing import Final

import polars as pl

from vedette.core.frames import AT, LABELS, LOGS

#: Only this many characters of a line are its head.
HEAD: Final = 128
MONTHS: Final = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
ISO: Final = r"\b(\d{4}[-/]\d\d[-/]\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\s?(Z\b|[+-]\d\d:?\d\d\b)?"
INSTANT: Final = r"^(\d{4}[-/]\d\d[-/]\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(?:[.,](\d{1,9}))?\s?(Z|[+-]\d\d:?\d\d)?)?$"
SYSLOG: Final = rf"^(?:<\d{{1,3}}>)?({MONTHS}) {{1,2}}(\d{{1,2}}) (\d\d:\d\d:\d\d) "
COMMON: Final = r"^.{0,300}?\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d) ([+-]\d{4})\]"
APACHE: Final = rf"^\[?[A-Z][a-z]{{2}} ({MONTHS}) {{1,2}}(\d{{1,2}}) (\d\d:\d\d:\d\d)(?:\.(\d{{1,9}}))? (\d{{4}})\b"
#: A word in the head -> OpenTelemetry severity number; the first that is found counts.
WORDS: Final = {
    "trace": 1, "debug": 5, "info": 9, "information": 9, "notice": 10, "warn": 13, "warning": 13,
    "err": 17, "error": 17, "severe": 17, "crit": 18, "critical": 18, "alert": 19, "fatal": 21, "emerg": 21, "panic": 21,
}  # fmt: skip
_ANY: Final = "|".join(sorted(WORDS, key=len, reverse=True))
SEVERITY: Final = r"(?i)\b(" + _ANY + r")\b"
#: Syslog severities 0 (emergency) to 7 (debug) as OpenTelemetry numbers.
PRIORITIES: Final = (21, 19, 18, 17, 13, 10, 9, 5)
#: Attribute of a line whose time is not believed: the time in its own words.
TIME: Final = "vedette.time"


def timestamps(body: pl.Series, observed: int, zone: str = "UTC") -> pl.Series:
    """The time each line begins with, as UTC microseconds; null where it begins with none.

    ISO 8601 and its look-alikes, RFC 3164 (the year is that which lies nearest before `observed`), the common log
    format and that of Apache's error log. A number in brackets, as the kernel writes, counts since boot and is no time.

    Args:
        body: lines.
        observed: UTC microseconds, for formats without a year.
        zone: IANA name, for times that name none. Of an hour that comes twice it is the first, of one that never was, none.

    >>> timestamps(pl.Series(["2026-01-02 03:04:05,678 INFO up", "[ 12.5] usb"]), 0).to_list()
    [datetime.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=zoneinfo.ZoneInfo(key='UTC')), None]
    """
    at = _iso(body, zone)
    readers: tuple[Callable[[pl.Series], pl.Series], ...] = (
        lambda lines: _syslog(lines, observed, zone),
        _common,
        lambda lines: _apache(lines, zone),
    )
    for read in readers:
        missing = at.is_null()
        if not missing.any():
            break
        found = read(body.filter(missing))
        if found.null_count() < len(found):
            place = (missing.cum_sum().cast(pl.Int64) - 1).clip(lower_bound=0)
            at = at.zip_with(~missing, found.gather(place))
    return at.alias("at")


def believed(body: pl.Series, observed: int, zone: str, window: tuple[int, int]) -> tuple[pl.Series, pl.Series]:
    """The times of `timestamps` that lie in `window` (UTC microseconds, both ends in), and the others in their own words.

    Both columns are null where a line names no time; the second also where its time is believed. A time that there is
    not, such as a 30th of February or an hour that the change of clocks skipped, is one of the others.

    >>> at, odd = believed(pl.Series(["1970-01-01 00:00:00 a", "b"]), 10**15, "UTC", (10**14, 10**15))
    >>> at.to_list(), odd.to_list()
    ([None, None], ['1970-01-01 00:00:00', None])
    """
    at = timestamps(body, observed, zone)
    inside = at.to_physical().is_between(*window)
    if inside.all(ignore_nulls=False):
        return at, pl.Series("odd", [None], dtype=pl.String).new_from_index(0, len(at))
    frame = pl.DataFrame({"at": at, "line": body, "inside": inside.fill_null(value=False)})
    spoken = frame.filter(~pl.col("inside")).select(_words().alias("odd"))["odd"]
    place = ((~frame["inside"]).cum_sum().cast(pl.Int64) - 1).clip(lower_bound=0)
    told = frame.with_columns(odd=spoken.gather(place))
    chosen = told.select(at=pl.when("inside").then("at"), odd=pl.when(~pl.col("inside")).then("odd"))
    return chosen["at"], chosen["odd"]


def severities(body: pl.Series) -> pl.Series:
    """OpenTelemetry severity numbers (Int32) from `<n>`, `level=` or a word in the head; 0 where unknown.

    >>> severities(pl.Series(["12:00 ERROR no", "<11>x", "level=warn msg=y", "fine"])).to_list()
    [17, 17, 13, 0]
    """
    line = pl.col("line")
    priority = line.str.extract(r"^<(\d{1,3})>").cast(pl.Int32, strict=False) % 8
    word = line.str.slice(0, HEAD).str.extract(SEVERITY).str.to_lowercase()
    number = pl.coalesce(
        priority.replace_strict(dict(enumerate(PRIORITIES)), default=None, return_dtype=pl.Int32),
        word.replace_strict(WORDS, default=None, return_dtype=pl.Int32),
        pl.lit(0, pl.Int32),
    )
    return pl.DataFrame({"line": body}).select(number.alias("severity"))["severity"]


def maps(columns: pl.DataFrame) -> pl.Series:
    """One map a row of those String columns that are not null in it, under their names. Rows without any cost nothing.

    >>> maps(pl.DataFrame({"a": ["x", None], "b": ["y", None]})).to_list()
    [{'a': 'x', 'b': 'y'}, {}]
    """
    none = pl.Series("map", [{}], dtype=LABELS)
    marked = columns.select(pl.any_horizontal(pl.all().is_not_null()))[:, 0] if columns.width else pl.Series([], dtype=pl.Boolean)
    if not marked.any():
        return none.new_from_index(0, columns.height)
    pairs = [pl.struct(pl.lit(name).alias("key"), pl.col(name).alias("value")) for name in columns.columns]
    entries = pl.concat_list(pairs).list.eval(pl.element().filter(pl.element().struct.field("value").is_not_null()))
    made = columns.filter(marked).select(entries.cast(LABELS).alias("map"))["map"]
    if len(made) == columns.height:
        return made
    return pl.concat([none, made]).gather(marked.cum_sum().cast(pl.Int64) * marked.cast(pl.Int64))


def log_rows(lines: pl.Series, marks: pl.DataFrame, at: pl.Series, *, series: int | pl.Series, observed: int) -> pl.DataFrame:
    """LOGS rows.

    Args:
        lines: bodies.
        marks: attributes by name, a String column each, null where a line has none.
        at: their times, null where not known.
        series: of the stream; one for all or one a line.
        observed: UTC microseconds; also the time of a line whose own is not known.
    """
    now = pl.lit(observed).cast(AT)
    frame = pl.DataFrame({"at": at, "body": lines, "severity": severities(lines), "attributes": maps(marks)})
    return frame.select(
        pl.col("at").fill_null(now),
        now.alias("observed_at"),
        pl.lit(series, pl.Int64).alias("series"),
        "severity",
        "body",
        "attributes",
    ).select(list(LOGS))


def instants(text: pl.Series, zone: str = "UTC") -> pl.Series:
    """Texts that are a time and nothing else as UTC microseconds: ISO 8601 and its look-alikes, down to a bare date.

    >>> instants(pl.Series(["1998-04-30 21:30", "2014-01-01T00:00:00.5+01:00", "soon"])).to_list()[0]
    datetime.datetime(1998, 4, 30, 21, 30, tzinfo=zoneinfo.ZoneInfo(key='UTC'))
    """
    day, minute, second, fraction, offset = _groups(text.str.strip_chars(), INSTANT)
    spelt = pl.select(
        pl.lit(day).str.replace_all("/", "-", literal=True)
        + " "
        + pl.lit(minute).fill_null("00:00")
        + pl.lit(second).fill_null(":00")
    ).to_series()
    naive = spelt.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False) + _micros(fraction)
    if offset.null_count() == len(offset):
        return in_utc(naive, zone)
    return _stated(naive, offset).zip_with(offset.is_not_null(), in_utc(naive, zone))


def in_utc(naive: pl.Series, zone: str) -> pl.Series:
    """Times of `zone` as UTC; of an hour that comes twice the first, of one that never was nothing."""
    if zone == "UTC":
        return naive.dt.replace_time_zone("UTC")
    return naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")


def _groups(body: pl.Series, pattern: str) -> list[pl.Series]:
    return body.str.extract_groups(pattern).struct.unnest().get_columns()


def _words() -> pl.Expr:
    line = pl.col("line")
    return pl.coalesce(
        line.str.slice(0, HEAD).str.extract(f"({ISO})", 1).str.strip_chars(),
        line.str.extract(rf"^(?:<\d{{1,3}}>)?((?:{MONTHS}) {{1,2}}\d{{1,2}} \d\d:\d\d:\d\d) ", 1),
        line.str.extract(r"^.{0,300}?\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]", 1),
        line.str.extract(f"({APACHE})", 1).str.strip_chars("["),
    )


def _stated(naive: pl.Series, offset: pl.Series) -> pl.Series:
    """Times less the offset they state, `Z`, `+hhmm` or `+hh:mm`; few are distinct."""
    minutes = {text: 0 if text == "Z" else _minutes(text) for text in offset.unique().to_list() if text is not None}
    shift = offset.replace_strict(minutes, default=None, return_dtype=pl.Int64)
    return (naive.dt.replace_time_zone("UTC") - (shift * 60_000_000).cast(pl.Duration("us"))).cast(AT)


def _minutes(text: str) -> int:
    hours, minutes = int(text[1:3]), int(text[-2:])
    return (-1 if text[0] == "-" else 1) * (hours * 60 + minutes)


def _micros(fraction: pl.Series) -> pl.Series:
    digits = fraction.str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int64, strict=False)
    return digits.fill_null(0).cast(pl.Duration("us"))


def _iso(body: pl.Series, zone: str) -> pl.Series:
    day, hour, fraction, offset = _groups(body.str.slice(0, HEAD), ISO)
    text = pl.select((pl.lit(day).str.replace_all("/", "-", literal=True) + " " + pl.lit(hour)).alias("at"))["at"]
    naive = text.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False) + _micros(fraction)
    if offset.null_count() == len(offset):
        return in_utc(naive, zone)
    return _stated(naive, offset).zip_with(offset.is_not_null(), in_utc(naive, zone))


def _syslog(body: pl.Series, observed: int, zone: str) -> pl.Series:
    month, day, hour = _groups(body, SYSLOG)
    now = pl.Series([observed], dtype=AT)
    year = int(now.dt.year()[0])
    tail = " " + month + " " + day.str.zfill(2) + " " + hour

    def of(which: int) -> pl.Series:
        return in_utc((str(which) + tail).str.to_datetime("%Y %b %d %H:%M:%S", time_unit="us", strict=False), zone)

    this = of(year)
    ahead = this.to_physical() > observed + 86_400_000_000
    return this.zip_with(~ahead.fill_null(value=True), of(year - 1)) if ahead.fill_null(value=True).any() else this


def _common(body: pl.Series) -> pl.Series:
    when, offset = _groups(body, COMMON)
    return _stated(when.str.to_datetime("%d/%b/%Y:%H:%M:%S", time_unit="us", strict=False), offset)


def _apache(body: pl.Series, zone: str) -> pl.Series:
    month, day, hour, fraction, year = _groups(body, APACHE)
    text = year + " " + month + " " + day.str.zfill(2) + " " + hour
    return in_utc(text.str.to_datetime("%Y %b %d %H:%M:%S", time_unit="us", strict=False) + _micros(fraction), zone)
