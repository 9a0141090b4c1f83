"""Declared sources become running ones: one thread each, which moves batches into the log with their positions."""

from collections.abc import Callable
from functools import partial
from threading import Event

import httpx
import structlog

from vedette import config
from vedette.collect.files import FileSource
from vedette.collect.host import HostSource
from vedette.collect.intake import redacted
from vedette.collect.limits import Limits
from vedette.collect.prometheus import PrometheusSource
from vedette.collect.scrape import ScrapeSource
from vedette.collect.series import SeriesTable
from vedette.core.errors import Transient
from vedette.core.ports import Clock, Journal, Redactor, Source
from vedette.core.types import Delivery

POLL_RECORDS = 10_000
IDLE_SECONDS = 0.2

log = structlog.get_logger()


def pulled(
    name: str,
    declared: config.Source,
    *,
    table: SeriesTable,
    clock: Clock,
    limits: Limits,
    client: Callable[[], httpx.Client],
) -> Source[Delivery] | None:
    """The pulled source that `declared` describes; None where it is one that others push to."""
    match declared:
        case config.Host():
            return HostSource(declared, table, clock, name)
        case config.Files():
            return FileSource(declared, table, clock, limits, name)
        case config.Scrape():
            return ScrapeSource(declared, table, clock, client(), limits, name, failed=partial(_scrape_failed, name))
        case config.Prometheus():
            return PrometheusSource(declared, table, clock, client(), limits, name)
        case _:
            return None


def _scrape_failed(name: str, target: str, reason: str) -> None:
    log.warning("a target could not be scraped", source=name, target=target, reason=reason)


class Pump:
    """Moves what one source gives into the log, in order, each batch with its position in one transaction.

    Args:
        name: of the source; its positions are kept under it.
        source: is polled by one thread only.
        journal, table, redact: the same steps as for what is pushed: redact, make durable, confirm.
        stopping: ends `run` after the batch in hand.
    """

    def __init__(
        self, name: str, source: Source[Delivery], *, journal: Journal, table: SeriesTable, redact: Redactor, stopping: Event
    ) -> None:
        self._name = name
        self._source = source
        self._journal = journal
        self._table = table
        self._redact = redact
        self._stopping = stopping
        self.trouble = ""

    def run(self) -> None:
        """Resume where the log says the source was, then move batches until told to stop."""
        for position in self._journal.positions(self._name):
            self._source.seek(position)
        while not self._stopping.is_set():
            try:
                moved = self.step()
            except Transient as error:
                self._tell(str(error))
                self._stopping.wait(error.retry_after)
                continue
            self._tell("")
            if not moved:
                self._stopping.wait(IDLE_SECONDS)
        self._source.close()

    def step(self) -> bool:
        """Move one batch; whether there was one. A batch the log refuses is offered to it again until it is durable."""
        batch = self._source.poll(POLL_RECORDS)
        if batch is None:
            return False
        delivery = redacted(batch.items, self._redact)
        while not self._stopping.is_set():
            try:
                self._journal.append(delivery, batch.position).result()
            except Transient as error:
                self._tell(str(error))
                self._stopping.wait(error.retry_after)
                continue
            if "series" in delivery.frames:
                self._table.confirm(delivery.frames["series"]["series"].to_list())
            return True
        return False

    def _tell(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            log.warning("a source cannot go on now; trying again", source=self._name, reason=trouble)
        self.trouble = trouble
