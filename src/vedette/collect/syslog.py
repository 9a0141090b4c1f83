"""Syslog messages to log rows: RFC 5424 and RFC 3164, whole columns at a time.

What fits neither is kept as it came, with the attribute `vedette.syslog`; a message is never refused, for its sender
would never know.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from vedette.collect.lines import believed, log_rows
from vedette.collect.series import SeriesTable

#: Marks of a message: why it is not as it was sent.
UNPARSED: Final = "vedette.syslog"
TRUNCATED: Final = "vedette.truncated"
ENCODING: Final = "vedette.encoding"

_FIELDS: Final = ("host", "app", "pid", "msgid", "data", "body")
_DATA: Final = r'-|(?:\[(?:[^\]"]|"(?:[^"\\]|\\.)*")*\])+'
_NEW: Final = (
    r"(?s)^<\d{1,3}>1 \S+ (?P<host>\S+) (?P<app>\S+) (?P<pid>\S+) (?P<msgid>\S+) "
    rf"(?P<data>{_DATA})(?: \x{{FEFF}}?(?P<body>.*))?$"
)
_OLD: Final = (
    r"(?s)^(?:<\d{1,3}>)?(?:[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S+) "
    r"(?P<host>[\w.:-]+) (?P<app>[^\s:\[]{1,64})(?:\[(?P<pid>[^\]]*)\])?: ?(?P<body>.*)$"
)
_PARAMETER: Final = r'([^\s="\]\[]+)="((?:[^"\\]|\\.)*)"'


class Messages:
    """Turns messages into rows, and remembers the stream of each host and program.

    Args:
        source: the declared name.
        table: gives streams their identity.
        labels: added to every stream.
        zone: of RFC 3164 times.
    """

    def __init__(self, source: str, table: SeriesTable, labels: Mapping[str, str], zone: str = "UTC") -> None:
        self._source = source
        self._table = table
        self._labels = dict(labels)
        self._zone = zone
        self._streams: dict[tuple[str, str], int] = {}

    def rows(self, messages: Sequence[bytes], cut: Sequence[int | None], now: int, window: tuple[int, int]) -> pl.DataFrame:
        """LOGS rows of `messages`, in order.

        Args:
            messages: each one message, without its framing.
            cut: the length as sent of those that were cut; None for the others.
            now: UTC microseconds, when they were received.
            window: the earliest and latest time believed, UTC microseconds.
        """
        texts, escaped = _texts(messages)
        parts = _parts(texts)
        at, odd = believed(texts.str.slice(0, 128), now, self._zone, window)
        marks = parts.select("pid", "msgid").rename({"pid": "process.pid", "msgid": "syslog.msgid"})
        marks = marks.hstack(_structured(parts["data"])).with_columns(
            odd.alias("vedette.time"),
            pl.Series(TRUNCATED, [None if each is None else str(each) for each in cut], pl.String),
            pl.Series(ENCODING, ["backslashreplace" if each else None for each in escaped], pl.String),
            pl.when(parts["body"].is_null() & parts["host"].is_null()).then(pl.lit("unparsed")).alias(UNPARSED),
        )
        rows = log_rows(texts, marks, at, series=self._series(parts), observed=now)
        body = pl.Series(
            "body", parts.select(pl.when(pl.col("host").is_null()).then(texts).otherwise(pl.col("body").fill_null("")))[:, 0]
        )
        return rows.with_columns(body)

    def _series(self, parts: pl.DataFrame) -> pl.Series:
        pairs = parts.select(pl.col("host").fill_null(""), pl.col("app").fill_null(""))
        known = {pair: self._stream(*pair) for pair in pairs.unique(maintain_order=True).iter_rows()}
        return pl.Series("series", [known[pair] for pair in pairs.iter_rows()], pl.Int64)

    def _stream(self, host: str, app: str) -> int:
        if (host, app) not in self._streams or self._table.pending:
            labels = {**self._labels, "host": host, "service": app}
            self._streams[host, app] = self._table.resolve(self._source, "log_stream", labels, "stream")
        return self._streams[host, app]


def _texts(messages: Sequence[bytes]) -> tuple[pl.Series, list[bool]]:
    texts = [message.decode("utf-8", "backslashreplace") for message in messages]
    escaped = [not message.isascii() and text.encode() != message for message, text in zip(messages, texts, strict=True)]
    return pl.Series("body", texts, pl.String), escaped


def _parts(texts: pl.Series) -> pl.DataFrame:
    """The fields of each message by RFC 5424, else by RFC 3164; null where it has none, or the nil value."""
    new = texts.to_frame("text").select(pl.col("text").str.extract_groups(_NEW)).unnest("text")
    old = texts.to_frame("text").select(pl.col("text").str.extract_groups(_OLD)).unnest("text")
    absent = pl.Series("absent", [None], dtype=pl.String).new_from_index(0, len(texts))
    modern = new["host"].is_not_null()
    columns = []
    for name in _FIELDS:
        column = new[name].zip_with(modern, old[name] if name in old.columns else absent)
        columns.append(column.alias(name) if name in {"body", "host"} else column.set(column == "-", None).alias(name))
    return pl.DataFrame(columns)


def _structured(data: pl.Series) -> pl.DataFrame:
    """The parameters of structured data, a column each; escapes are undone."""
    if data.null_count() == len(data):
        return pl.DataFrame()
    found = [_parameters(each) for each in data.to_list()]
    names = sorted({name for each in found for name in each})
    return pl.DataFrame([pl.Series(name, [each.get(name) for each in found], pl.String) for name in names])


def _parameters(data: str | None) -> dict[str, str]:
    return {} if data is None else {name: re.sub(r"\\(.)", r"\1", value) for name, value in re.findall(_PARAMETER, data)}
