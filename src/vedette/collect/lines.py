"""What the head of a log line says: when and how grave. Whole columns at a time, never line by line."""

from datetime import UTC, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from vedette.core.frames import AT

#: Only this many characters of a line are its head.
HEAD: Final = 128
ISO: Final = r"\b(\d{4}[-/]\d\d[-/]\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\s?(Z\b|[+-]\d\d:?\d\d\b)?"
SYSLOG: Final = r"^(?:<\d{1,3}>)?((?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)) {1,2}(\d{1,2}) (\d\d:\d\d:\d\d) "
COMMON: Final = r"^.{0,300}?\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d) ([+-]\d{4})\]"
#: A word in the head -> OpenTelemetry severity number; the first that is found counts.
WORDS: Final = {
    "trace": 1, "debug": 5, "info": 9, "information": 9, "notice": 10, "warn": 13, "warning": 13,
    "err": 17, "error": 17, "severe": 17, "crit": 18, "critical": 18, "alert": 19, "fatal": 21, "emerg": 21, "panic": 21,
}  # fmt: skip
_ANY: Final = "|".join(sorted(WORDS, key=len, reverse=True))
SEVERITY: Final = r"(?i)\b(" + _ANY + r")\b"
#: Syslog severities 0 (emergency) to 7 (debug) as OpenTelemetry numbers.
PRIORITIES: Final = (21, 19, 18, 17, 13, 10, 9, 5)


def timestamps(body: pl.Series, observed: int, zone: tzinfo = UTC) -> pl.Series:
    """The time each line begins with, as UTC microseconds; null where it begins with none.

    ISO 8601 and its look-alikes, RFC 3164 (the year is that which lies nearest before `observed`) and
    the common log format. A number in brackets, as the kernel writes, counts since boot and is no time.

    Args:
        body: lines.
        observed: UTC microseconds, for formats without a year.
        zone: of times that name none.

    >>> timestamps(pl.Series(["2026-01-02 03:04:05,678 INFO up", "[ 12.5] usb"]), 0).to_list()
    [datetime.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=zoneinfo.ZoneInfo(key='UTC')), None]
    """
    frame = pl.DataFrame({"line": body})
    return frame.select(pl.coalesce(_iso(zone), _syslog(observed, zone), _common()).cast(AT).alias("at"))["at"]


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


def _utc(naive: pl.Expr, zone: tzinfo) -> pl.Expr:
    """Times of `zone` as UTC; of an hour that comes twice the first, of one that never was nothing."""
    name = zone.key if isinstance(zone, ZoneInfo) else "UTC"
    return naive.dt.replace_time_zone(name, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")


def _offset(text: pl.Expr) -> pl.Expr:
    digits = text.str.replace_all(r"[^\d]", "")
    minutes = digits.str.slice(0, 2).cast(pl.Int64, strict=False) * 60 + digits.str.slice(2, 2).cast(pl.Int64, strict=False)
    signed = pl.when(text.str.starts_with("-")).then(-minutes).otherwise(minutes)
    return pl.duration(minutes=pl.when(text == "Z").then(0).otherwise(signed))


def _iso(zone: tzinfo) -> pl.Expr:
    parts = pl.col("line").str.slice(0, HEAD).str.extract_groups(ISO)
    day, hour, fraction, offset = (parts.struct.field(str(index)) for index in range(1, 5))
    text = day.str.replace_all("/", "-") + " " + hour
    seconds = text.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
    micros = fraction.str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int64, strict=False).fill_null(0)
    naive = seconds + pl.duration(microseconds=micros)
    stated = naive.dt.replace_time_zone("UTC") - _offset(offset)
    return pl.when(offset.is_not_null()).then(stated).otherwise(_utc(naive, zone))


def _syslog(observed: int, zone: tzinfo) -> pl.Expr:
    parts = pl.col("line").str.extract_groups(SYSLOG)
    month, day, hour = (parts.struct.field(str(index)) for index in range(1, 4))
    now = pl.lit(observed).cast(AT)
    tail = month + " " + day.str.zfill(2) + " " + hour

    def of(year: pl.Expr) -> pl.Expr:
        text = year.cast(pl.String) + " " + tail
        return _utc(text.str.to_datetime("%Y %b %d %H:%M:%S", time_unit="us", strict=False), zone)

    this = of(now.dt.year())
    return pl.when(this <= now + pl.duration(days=1)).then(this).otherwise(of(now.dt.year() - 1))


def _common() -> pl.Expr:
    parts = pl.col("line").str.extract_groups(COMMON)
    naive = parts.struct.field("1").str.to_datetime("%d/%b/%Y:%H:%M:%S", time_unit="us", strict=False)
    return naive.dt.replace_time_zone("UTC") - _offset(parts.struct.field("2"))
