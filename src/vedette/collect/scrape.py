"""Targets that show their metrics over HTTP, asked in turn, as Prometheus does."""

import time
from collections.abc import Callable
from typing import Annotated, Final
from urllib.parse import urlsplit

import httpx
import numpy as np
from pydantic import Field

from vedette.collect.exposition import Exposition
from vedette.collect.limits import Limits
from vedette.collect.samples import delivery
from vedette.collect.series import SeriesTable
from vedette.core.errors import BadRecord
from vedette.core.ports import Clock
from vedette.core.settings import Settings
from vedette.core.types import Batch, Delivery, Position

#: The one NaN that means: this series has ended here.
STALE: Final = float(np.array([0x7FF0000000000002], np.uint64).view(np.float64)[0])


class ScrapeSettings(Settings):
    """What is scraped, and how often.

    Attributes:
        targets: `host:port` or whole URLs.
        interval: seconds between scrapes of a target; `timeout` seconds for one.
        job: the label `job`.
        metrics_path: where a target without a path of its own shows its metrics.
        bearer: the token's text, already read from where it is kept.
    """

    targets: tuple[str, ...]
    interval: Annotated[float, Field(gt=0)] = 15.0
    timeout: Annotated[float, Field(gt=0)] = 10.0
    job: str = "scrape"
    metrics_path: str = "/metrics"
    bearer: str = Field("", repr=False)


class _Target:
    def __init__(self, text: str, settings: ScrapeSettings, table: SeriesTable, name: str) -> None:
        url = text if "://" in text else f"http://{text}"
        parts = urlsplit(url)
        self.url = url if parts.path not in {"", "/"} else url.rstrip("/") + settings.metrics_path
        self.labels = {"job": settings.job, "instance": parts.netloc}
        self.exposition = Exposition(name, table, self.labels)
        self.seen: dict[int, None] = {}
        self.due = 0


class ScrapeSource:
    """One batch a scrape; a failed one is a batch too: `up` 0, and the end of every series seen before.

    Args:
        settings: what is scraped.
        table: gives the series their identity.
        clock: UTC microseconds.
        client: does the asking; connection checks are its owner's.
        limits: `body_bytes` bounds a body, `decoded_bytes` the same unpacked.
        name: the declared name of the source.
        timer: seconds that only run forward, for the duration.
    """

    def __init__(
        self,
        settings: ScrapeSettings,
        table: SeriesTable,
        clock: Clock,
        client: httpx.Client,
        limits: Limits | None = None,
        name: str = "scrape",
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._table = table
        self._clock = clock
        self._client = client
        self._limits = limits or Limits()
        self._name = name
        self._timer = timer
        self._targets = [_Target(text, settings, table, name) for text in settings.targets]

    def seek(self, position: Position) -> None:
        """What was not scraped is gone; there is nothing to resume."""

    def close(self) -> None:
        """The client is its owner's to close."""

    def poll(self, limit: int) -> Batch[Delivery] | None:  # noqa: ARG002 -- a scrape is one whole
        """One scrape of the target that has been due the longest."""
        now = self._clock()
        step = int(self._settings.interval * 1e6)
        target = min(self._targets, key=lambda each: each.due, default=None)
        if target is None or (now < target.due <= now + step):
            return None
        target.due = (now // step + 1) * step
        return Batch(self._scrape(target, now), Position(self._name, target.labels["instance"], now))

    def _scrape(self, target: _Target, now: int) -> Delivery:
        begun = self._timer()
        series: list[int] = []
        values: list[float] = []
        up = 1.0
        try:
            series, values = target.exposition.parse(self._fetch(target.url))
        except (httpx.HTTPError, BadRecord):
            up = 0.0
        scraped = float(len(series))
        seen = dict.fromkeys(series)
        ended = [each for each in target.seen if each not in seen]
        target.seen = seen
        own = (("up", up), ("scrape_duration_seconds", self._timer() - begun), ("scrape_samples_scraped", scraped))
        series = [*series, *ended, *(self._table.resolve(self._name, name, target.labels, "gauge") for name, _ in own)]
        values = [*values, *([STALE] * len(ended)), *(value for _, value in own)]
        return delivery(self._name, self._table, series, now, values)

    def _fetch(self, url: str) -> bytes:
        headers = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5"}
        if self._settings.bearer:
            headers["Authorization"] = f"Bearer {self._settings.bearer}"
        body = bytearray()
        with self._client.stream("GET", url, headers=headers, timeout=self._settings.timeout) as response:
            response.raise_for_status()
            for piece in response.iter_bytes(65_536):
                body += piece
                if len(body) > self._limits.decoded_bytes:
                    raise BadRecord(f"{url}: the body is larger than {self._limits.decoded_bytes} bytes", status=413)
        return bytes(body)
