"""The one door from receivers to the log: redact, make durable, and only then tell the series table."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

import polars as pl

from vedette.collect.series import SeriesTable
from vedette.core.ports import Journal, Redactor
from vedette.core.types import Delivery, Receipt

PAYLOAD_BYTES: Final = 1024

_TEXT: Final = {"logs": ("body",), "events": ("title",), "dead_letters": ("reason",)}
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
        """Redact `delivery`, wait until it is durable, and confirm the series it announced.

        Raises:
            Transient: the log cannot take it now; nothing was kept.
        """
        if not delivery.records:
            self._journal.note(delivery.source, rejected=delivery.rejected, duplicate=delivery.duplicate)
            return Receipt(offset=-1)
        receipt = await asyncio.wrap_future(self._journal.append(redacted(delivery, self._redact)))
        if "series" in delivery.frames:
            self._table.confirm(delivery.frames["series"]["series"].to_list())
        return receipt

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
    """`delivery` with every text of an outsider cleaned: bodies, titles, the values of maps, payloads set aside."""
    frames = {table: _clean(table, frame, redact) for table, frame in delivery.frames.items()}
    return replace(delivery, frames=frames)


def _clean(table: str, frame: pl.DataFrame, redact: Redactor) -> pl.DataFrame:
    if frame.is_empty():
        return frame
    columns = [redact.column(frame[name]) for name in _TEXT.get(table, ())]
    columns += [_map_values(frame[name], redact.column) for name in _MAPS.get(table, ())]
    if table == "dead_letters":
        columns.append(pl.Series("payload", list(_payloads(frame["payload"], redact)), dtype=pl.Binary))
    return frame.with_columns(columns)


def _payloads(column: pl.Series, redact: Redactor) -> Iterable[bytes]:
    texts = [raw.decode("utf-8", "backslashreplace") for raw in column.to_list()]
    for text in redact.column(pl.Series("payload", texts, dtype=pl.String)).to_list():
        yield text.encode()[:PAYLOAD_BYTES]


def _map_values(column: pl.Series, clean: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """The values of a map column cleaned, each distinct value once."""
    entries = column.map.entries()
    values = entries.list.eval(pl.element().struct.field("value")).explode(empty_as_null=False, keep_nulls=False).unique()
    if values.is_empty():
        return column
    fresh = clean(values)
    changed = values.ne_missing(fresh)
    if not changed.any():
        return column
    value = pl.element().struct.field("value").replace(values.filter(changed), fresh.filter(changed))
    return entries.list.eval(pl.struct(pl.element().struct.field("key"), value)).cast(column.dtype)
