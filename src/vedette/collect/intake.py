"""The one door from receivers to the log: redact, make durable, and only then tell the series table."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Final

import polars as pl

from vedette.collect.named import instead
from vedette.collect.series import SeriesTable
from vedette.core.ports import Journal, Redactor
from vedette.core.types import Delivery, Position, Receipt

PAYLOAD_BYTES: Final = 1024

_TEXT: Final = {"logs": ("body",), "events": ("key", "status", "title"), "dead_letters": ("reason",)}
_MAPS: Final = {"logs": ("attributes",), "events": ("labels", "annotations")}


class Intake:
    """Takes deliveries of every receiver to the log.

    Args:
        journal: the durable log.
        table: the series table whose definitions travel in deliveries.
        redact: takes secrets out of text. Series are redacted by `table` where they are resolved.
    """

    def __init__(self, journal: Journal, table: SeriesTable, redact: Redactor) -> None:
        self._journal = journal
        self._table = table
        self._redact = redact

    async def accept(self, delivery: Delivery) -> Receipt:
        """`submit`, awaited.

        Raises:
            Transient: the log cannot take it now; nothing was kept.
        """
        return await asyncio.wrap_future(self.submit(delivery))

    def submit(self, delivery: Delivery, position: Position | None = None) -> Future[Receipt]:
        """Redact `delivery` and resolve once it is durable and the series it announced are confirmed.

        The log books what was rejected together with what it keeps; only where there is nothing to keep is it noted here.
        The future fails with Transient where the log cannot take it now; it cannot be cancelled.

        Args:
            delivery: of a receiver, or what a source gave.
            position: of the source behind it, kept in the same transaction; also where there is no record.
        """
        settled: Future[Receipt] = Future()
        settled.set_running_or_notify_cancel()
        if not delivery.records and position is None:
            if delivery.rejected or delivery.duplicate:
                self._journal.note(delivery.source, rejected=delivery.rejected, duplicate=delivery.duplicate)
            settled.set_result(Receipt(offset=-1))
            return settled

        def settle(appended: Future[Receipt]) -> None:
            error = appended.exception()
            if error is not None:
                settled.set_exception(error)
                return
            if "series" in delivery.frames:
                self._table.confirm(delivery.frames["series"]["series"].to_list())
            settled.set_result(appended.result())

        self._journal.append(redacted(delivery, self._redact), position).add_done_callback(settle)
        return settled

    def refuse(self, source: str, records: int) -> None:
        """Count records that a codec refused as a whole."""
        self._journal.note(source, rejected=records)

    def shed(self, source: str, records: int) -> None:
        """Count records that had to be dropped, for their sender cannot be told to wait."""
        self._journal.note(source, shed=records)

    def clean(self, text: str) -> str:
        """`text` without secrets, for answers to senders."""
        return self._redact.text(text)


def redacted(delivery: Delivery, redact: Redactor) -> Delivery:
    """`delivery` with every text of an outsider cleaned: bodies, titles, keys, maps, payloads set aside."""
    frames = {table: _clean(table, frame, redact) for table, frame in delivery.frames.items()}
    return replace(delivery, frames=frames)


def _clean(table: str, frame: pl.DataFrame, redact: Redactor) -> pl.DataFrame:
    if frame.is_empty() or table not in _TEXT:
        return frame
    columns = [redact.column(frame[name]) for name in _TEXT.get(table, ())]
    columns += [_map(_without_named(frame[name], redact), redact.column) for name in _MAPS.get(table, ())]
    if table == "dead_letters":
        columns.append(pl.Series("payload", list(_payloads(frame["payload"], redact)), dtype=pl.Binary))
    return frame.with_columns(columns)


def _payloads(column: pl.Series, redact: Redactor) -> Iterable[bytes]:
    texts = [raw.decode("utf-8", "backslashreplace") for raw in column.to_list()]
    for text in redact.column(pl.Series("payload", texts, dtype=pl.String)).to_list():
        yield text.encode()[:PAYLOAD_BYTES]


def _without_named(column: pl.Series, redact: Redactor) -> pl.Series:
    """A map column without the values whose very name says that they are secret."""
    entries = column.map.entries()
    names = entries.list.eval(pl.element().struct.field("key")).explode(empty_as_null=False, keep_nulls=False).unique().to_list()
    secret = {name: put for name in names if (put := instead(name, redact.text))}
    if not secret:
        return column
    key, value = (pl.element().struct.field(part) for part in ("key", "value"))
    fixed = key.replace_strict(list(secret), list(secret.values()), default=None, return_dtype=pl.String)
    return entries.list.eval(pl.struct(key, pl.coalesce(fixed, value).alias("value"))).cast(column.dtype)


def _map(column: pl.Series, clean: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """The keys and values of a map column cleaned, each distinct text once."""
    entries = column.map.entries()
    keys, values = (_changes(entries, part, clean) for part in ("key", "value"))
    if values:
        value = pl.element().struct.field("value").replace(list(values), list(values.values()))
        entries = entries.list.eval(pl.struct(pl.element().struct.field("key"), value))
        column = entries.cast(column.dtype)
    if keys:
        column = pl.Series(column.name, [_renamed(each, keys) for each in column.to_list()], dtype=column.dtype)
    return column


def _changes(entries: pl.Series, part: str, clean: Callable[[pl.Series], pl.Series]) -> dict[str, str]:
    """Those texts of `part` of the entries that `clean` changes, and what they become."""
    texts = entries.list.eval(pl.element().struct.field(part)).explode(empty_as_null=False, keep_nulls=False).unique()
    if texts.is_empty():
        return {}
    fresh = clean(texts.clone())  # a redactor may change what it is handed
    changed = texts.ne_missing(fresh)
    return dict(zip(texts.filter(changed).to_list(), fresh.filter(changed).to_list(), strict=True))


def _renamed(found: dict[str, str] | None, names: Mapping[str, str]) -> dict[str, str] | None:
    """`found` under cleaned names. Two that became the same are told apart by a number: a map has each key once.

    >>> _renamed({"a@b": "1", "c@d": "2", "e": "3"}, {"a@b": "[email]", "c@d": "[email]"})
    {'[email]': '1', '[email] 2': '2', 'e': '3'}
    """
    if found is None or names.keys().isdisjoint(found):
        return found
    kept: dict[str, str] = {}
    for key, value in found.items():
        name = clean = names.get(key, key)
        number = 1
        while name in kept:
            number += 1
            name = f"{clean} {number}"
        kept[name] = value
    return kept
