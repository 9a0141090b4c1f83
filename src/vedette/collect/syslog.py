"""Syslog messages to log rows: RFC 5424 and RFC 3164, whole columns at a time.

What fits neither is kept as it came, with the attribute `vedette.syslog`; a message is never refused, for its sender
would never know.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl

from vedette.collect.jsonlines import ENCODING, maps, texts
from vedette.collect.limits import Limits
from vedette.collect.lines import TIME, believed, log_rows
from vedette.collect.lines import maps as column_maps
from vedette.collect.series import SeriesTable

#: Marks of a message: why it is not as it was sent.
UNPARSED: Final = "vedette.syslog"
TRUNCATED: Final = "vedette.truncated"

#: Names of facilities 0 to 23: RFC 5424, table 1, as `logger -p` spells them.
FACILITIES: Final = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"),
    *("ntp", "audit", "alert", "clock", *(f"local{number}" for number in range(8))),
)
#: Streams remembered by host and program; beyond it they are looked up anew.
STREAMS: Final = 65_536
#: Characters of a field of the header; RFC 5424 allows 255 at most.
FIELD: Final = 255

_PRIORITY: Final = r"<(?P<priority>1[0-8]\d|19[01]|\d\d?)>"
_ELEMENT: Final = r'\[[^\s="\]]+(?: [^\s="\]]+="(?:[^"\\\]]|\\.)*")*\]'
_NEW: Final = (
    rf"(?s)^{_PRIORITY}1 (?P<time>\S+) (?P<host>\S+) (?P<app>\S+) (?P<pid>\S+) (?P<msgid>\S+) "
    rf"(?P<data>-|(?:{_ELEMENT})+)(?: \x{{FEFF}}?(?P<body>.*))?$"
)
_OLD: Final = (
    rf"(?s)^(?:{_PRIORITY})?(?P<time>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d|\d{{4}}-\d\d-\d\dT\S+) "
    r"(?:(?P<host>[\w.:-]*\w) )?(?:(?P<app>[^\s:\[]{1,64})(?:\[(?P<pid>[^\]\s]*)\])?: ?)?(?P<body>.*)$"
)
_OLD_FIELDS: Final = ("priority", "time", "host", "app", "pid", "body")
_GIVEN_ELEMENT: Final = re.compile(_ELEMENT)
_GIVEN_PARAMETER: Final = re.compile(r'([^\s="\]\[]+)="((?:[^"\\]|\\.)*)"')


class Messages:
    """Turns messages into rows, and remembers the stream of each host and program.

    Args:
        source: the declared name.
        table: gives streams their identity.
        labels: added to every stream.
        zone: of RFC 3164 times.
        limits: bounds on attributes, and on the times that are believed.
    """

    def __init__(
        self, source: str, table: SeriesTable, labels: Mapping[str, str], zone: str = "UTC", *, limits: Limits | None = None
    ) -> None:
        self._source = source
        self._table = table
        self._labels = dict(labels)
        self._zone = zone
        self._limits = limits or Limits()
        self._streams: dict[tuple[str, str], int] = {}

    def rows(self, messages: Sequence[bytes], cut: Sequence[int | None], now: int) -> pl.DataFrame:
        """LOGS rows of `messages`, in order.

        Args:
            messages: each one message, without its framing.
            cut: the length as sent of those that were cut; None for the others.
            now: UTC microseconds, when they were received.
        """
        text, escaped = texts(messages)
        parts = _parts(text)
        # Only the header names the time of a message, but of one that has none its head may.
        clock = text.str.slice(0, 128).zip_with(parts["unparsed"], parts["time"].fill_null("") + " ")
        at, odd = believed(clock, now, self._zone, self._limits.window(now))
        facility = parts["priority"].cast(pl.Int32) // 8
        marks = pl.DataFrame(
            {
                "syslog.facility": facility.replace_strict(dict(enumerate(FACILITIES)), return_dtype=pl.String),
                "process.pid": parts["pid"],
                "syslog.msgid": parts["msgid"],
                TIME: odd,
                TRUNCATED: pl.Series([None if each is None else str(each) for each in cut], dtype=pl.String),
                ENCODING: escaped,
                UNPARSED: parts.select(pl.when("unparsed").then(pl.lit("unparsed")))[:, 0],
            }
        )
        rows = log_rows(text, marks.select(ENCODING).clear(n=len(text)), at, series=self._series(parts), observed=now)
        body = text.zip_with(parts["unparsed"], parts["body"].fill_null("")).alias("body")
        return rows.with_columns(body, self._structured(_attributes(marks), parts["data"]))

    def _series(self, parts: pl.DataFrame) -> pl.Series:
        pairs = parts.select(pl.col("host").fill_null(""), pl.col("app").fill_null(""))
        distinct = pairs.unique(maintain_order=True)
        streams = pl.Series("series", [self._stream(*pair) for pair in distinct.iter_rows()], dtype=pl.Int64)
        return pairs.join(distinct.with_columns(streams), on=["host", "app"], how="left", maintain_order="left")["series"]

    def _stream(self, host: str, app: str) -> int:
        known = self._streams.get((host, app))
        if known is None:
            if len(self._streams) >= STREAMS:
                self._streams.clear()
            labels = {**self._labels, "host": host, "service": app}
            known = self._streams[host, app] = self._table.resolve(self._source, "log_stream", labels, "stream")
        return known

    def _structured(self, attributes: pl.Series, data: pl.Series) -> pl.Series:
        """`attributes` with the parameters of structured data, as far as the bounds on labels go."""
        given = data.is_not_null()
        if not given.any():
            return attributes
        most = self._limits.labels
        found = [
            {**dict(list(parameters(each, self._limits.label_bytes).items())[:most]), **marks}
            for each, marks in zip(data.filter(given).to_list(), attributes.filter(given).to_list(), strict=True)
        ]
        rows = np.arange(len(attributes))
        rows[given.to_numpy()] = len(attributes) + np.arange(len(found))
        return pl.concat([attributes, maps(found).alias("attributes")]).gather(rows)


def _attributes(marks: pl.DataFrame) -> pl.Series:
    """`maps` of `marks`, of which few differ."""
    distinct = marks.unique(maintain_order=True).with_row_index("row")
    rows = marks.join(distinct, on=marks.columns, how="left", nulls_equal=True, maintain_order="left")["row"]
    return column_maps(distinct.drop("row")).gather(rows).alias("attributes")


def parameters(data: str, size: int = 4096) -> dict[str, str]:
    r"""Structured data as `ID.NAME` -> value, escapes undone; of a name that comes twice the last.

    Names and values are cut at `size` characters.

    >>> parameters(r'[origin ip="10.0.0.1"][meta@1 note="a \"b\" \] c"]')
    {'origin.ip': '10.0.0.1', 'meta@1.note': 'a "b" ] c'}
    """
    found = {}
    for element in _GIVEN_ELEMENT.findall(data):
        identity = element[1:-1].partition(" ")[0]
        for name, value in _GIVEN_PARAMETER.findall(element):
            found[f"{identity}.{name}"[:size]] = re.sub(r'\\(["\\\]])', r"\1", value)[:size]
    return found


def _parts(texts: pl.Series) -> pl.DataFrame:
    """The fields of each message by RFC 5424, else by RFC 3164; null where it has none, or the nil value."""
    frame = texts.to_frame("text").select(
        pl.col("text").str.extract_groups(_NEW).alias("new"), pl.col("text").str.extract_groups(_OLD).alias("old")
    )
    new, old = pl.col("new").struct, pl.col("old").struct
    is_new = new.field("host").is_not_null()
    fields = [
        pl.when(is_new).then(new.field(name)).otherwise(old.field(name) if name in _OLD_FIELDS else None).alias(name)
        for name in (*_OLD_FIELDS, "msgid", "data")
    ]
    parts = frame.select(*fields, (~is_new & old.field("time").is_null()).alias("unparsed"))
    header = ["host", "app", "pid", "msgid"]
    parts = parts.with_columns(pl.when(pl.col(name) != "-").then(name).alias(name) for name in (*header, "time", "data"))
    too_long = pl.any_horizontal(pl.col(name).str.len_chars().fill_null(0) > FIELD for name in header)
    parts = parts.with_columns(pl.col("unparsed") | too_long)
    empty = [pl.when(~pl.col("unparsed")).then(name).alias(name) for name in (*_OLD_FIELDS, "msgid", "data")]
    return parts.with_columns(empty)
