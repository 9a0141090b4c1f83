"""Targets that show their metrics over HTTP, each asked at its own moment of the interval, as Prometheus does."""

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from hashlib import blake2b
from typing import Annotated, Final
from urllib.parse import urlsplit

import httpx
import numpy as np
from pydantic import Field, field_validator

from vedette.collect.exposition import Exposition
from vedette.collect.limits import Limits
from vedette.collect.samples import delivery
from vedette.collect.series import SeriesTable
from vedette.core.errors import BadRecord, VedetteError
from vedette.core.ports import Clock
from vedette.core.settings import Settings
from vedette.core.types import Batch, Delivery, Position

#: The one NaN that means: this series has ended here.
STALE: Final = float(np.array([0x7FF0000000000002], np.uint64).view(np.float64)[0])
#: Seconds a poll waits for an answer.
WAIT: Final = 0.1


class ScrapeSettings(Settings):
    """What is scraped, and how often.

    Attributes:
        targets: `host:port` or whole URLs.
        interval: seconds between scrapes of a target; `timeout` seconds for one, the interval at most.
        job: the label `job`.
        metrics_path: where a target without a path of its own shows its metrics.
        bearer: the token's text, already read from where it is kept.
        workers: targets asked at once.
    """

    targets: Annotated[tuple[str, ...], Field(min_length=1)]
    interval: Annotated[float, Field(gt=0)] = 15.0
    timeout: Annotated[float, Field(gt=0)] = 10.0
    job: str = "scrape"
    metrics_path: str = "/metrics"
    bearer: str = Field("", repr=False)
    workers: Annotated[int, Field(gt=0, le=64)] = 4

    @field_validator("targets")
    @classmethod
    def _addresses(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        for text in targets:
            if not _is_address(text):
                raise ValueError(
                    f"expected host:port or an http:// or https:// URL without credentials, got {text.rpartition('@')[2]!r}"
                )
        return targets


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:  # a port that is no number
        return False


@dataclass(frozen=True, slots=True)
class _Scraped:
    """What one scrape brought: series and values, or why it failed; and how long it took."""

    target: "_Target"
    at: int
    series: list[int]
    values: list[float]
    seconds: float
    failure: str = ""


class _Target:
    def __init__(self, text: str, settings: ScrapeSettings, table: SeriesTable, name: str) -> None:
        url = text if "://" in text else f"http://{text}"
        parts = urlsplit(url)
        self.url = url if parts.path not in {"", "/"} else url.rstrip("/") + settings.metrics_path
        self.labels = {"job": settings.job, "instance": parts.netloc}
        self.exposition = Exposition(name, table, self.labels)
        self.seen: dict[int, None] = {}
        self.failure = ""
        self.due: int | None = None
        self.shift = int.from_bytes(blake2b(self.url.encode(), digest_size=8).digest(), "little")

    def next_due(self, now: int, step: int) -> int:
        """The target's own moment of the interval that comes after `now`."""
        shift = self.shift % step
        return (now - shift) // step * step + step + shift


def _unheard(target: str, reason: str) -> None:
    """Where nobody listens."""


class ScrapeSource:
    """One batch a scrape; a failed one is a batch too: `up` 0, and the end of every series seen before.

    Targets are asked by a few threads, each at its own moment of the interval, so that a slow one delays no other.

    Args:
        settings: what is scraped.
        table: gives the series their identity.
        clock: UTC microseconds.
        client: does the asking; connection checks are its owner's.
        limits: `decoded_bytes` bounds a body, unpacked.
        name: the declared name of the source.
        timer: seconds that only run forward, for the duration.
        failed: is told the target and the reason when a scrape fails in another way than the one before.
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
        failed: Callable[[str, str], None] = _unheard,
    ) -> None:
        self._settings = settings
        self._table = table
        self._clock = clock
        self._client = client
        self._limits = limits or Limits()
        self._name = name
        self._timer = timer
        self._failed = failed
        self._targets = [_Target(text, settings, table, name) for text in dict.fromkeys(settings.targets)]
        self._pool: ThreadPoolExecutor | None = None
        self._asked: dict[Future[_Scraped], _Target] = {}

    def seek(self, position: Position) -> None:
        """What was not scraped is gone; there is nothing to resume."""

    def close(self) -> None:
        """Ask no more. The client is its owner's to close."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
        self._asked.clear()

    def poll(self, limit: int) -> Batch[Delivery] | None:  # noqa: ARG002 -- a scrape is one whole
        """What one target answered, once it has; targets that are due are asked meanwhile."""
        now = self._clock()
        step = int(self._settings.interval * 1e6)
        asked = set(self._asked.values())
        for target in self._targets:
            if target.due is None or now < target.due - step:  # at first, and where the clock was set back
                target.due = target.next_due(now, step)
            if now >= target.due and target not in asked:
                target.due = target.next_due(now, step)
                self._asked[self._threads().submit(self._scrape, target, now)] = target
        done, _ = wait(self._asked, WAIT, FIRST_COMPLETED) if self._asked else (set(), set())
        if not done:
            return None
        future = done.pop()
        del self._asked[future]
        scraped = future.result()
        return Batch(self._delivery(scraped), Position(self._name, scraped.target.labels["instance"], scraped.at))

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(min(self._settings.workers, len(self._targets)), thread_name_prefix=self._name)
        return self._pool

    def _scrape(self, target: _Target, now: int) -> _Scraped:
        begun = self._timer()
        try:
            series, values = target.exposition.parse(self._fetch(target.url))
        except (httpx.HTTPError, httpx.InvalidURL, VedetteError) as error:
            return _Scraped(target, now, [], [], self._timer() - begun, str(error) or type(error).__name__)
        return _Scraped(target, now, series, values, self._timer() - begun)

    def _delivery(self, scraped: _Scraped) -> Delivery:
        target = scraped.target
        if scraped.failure and scraped.failure != target.failure:
            self._failed(target.labels["instance"], scraped.failure)
        target.failure = scraped.failure
        seen = dict.fromkeys(scraped.series)
        ended = [each for each in target.seen if each not in seen]
        target.seen = seen
        own = {
            "up": 0.0 if scraped.failure else 1.0,
            "scrape_duration_seconds": scraped.seconds,
            "scrape_samples_scraped": float(len(scraped.series)),
        }
        series = [*scraped.series, *ended, *(self._table.resolve(self._name, each, target.labels, "gauge") for each in own)]
        return delivery(self._name, self._table, series, scraped.at, [*scraped.values, *([STALE] * len(ended)), *own.values()])

    def _fetch(self, url: str) -> bytes:
        headers = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5"}
        if self._settings.bearer:
            headers["Authorization"] = f"Bearer {self._settings.bearer}"
        body = bytearray()
        timeout = min(self._settings.timeout, self._settings.interval)
        until = self._timer() + timeout
        with self._client.stream("GET", url, headers=headers, timeout=timeout) as response:
            if response.status_code != 200:
                raise BadRecord(f"{url}: answered {response.status_code} {response.reason_phrase}; metrics come with 200")
            for piece in response.iter_bytes(65_536):
                body += piece
                if len(body) > self._limits.decoded_bytes:
                    raise BadRecord(f"{url}: the body is larger than {self._limits.decoded_bytes} bytes", status=413)
                if self._timer() > until:
                    raise BadRecord(f"{url}: the body took longer than {timeout:g} s")
        return bytes(body)
