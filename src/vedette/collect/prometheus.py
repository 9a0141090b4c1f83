"""Ranges asked of a Prometheus server, step by step: as a source that follows, and for history."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Annotated, Final
from urllib.parse import urlsplit

import httpx
import msgspec
from pydantic import Field, field_validator

from vedette.collect.limits import Limits
from vedette.collect.samples import delivery
from vedette.collect.series import SeriesTable
from vedette.core.errors import BadRecord, Transient
from vedette.core.ports import Clock
from vedette.core.settings import Settings
from vedette.core.types import Batch, Delivery, Position

#: A server answers at most 11,000 points a series to one query.
POINTS: Final = 10_000


class _Row(msgspec.Struct):
    metric: dict[str, str]
    values: list[tuple[float, str]]


class _Data(msgspec.Struct):
    result: list[_Row] = []


class _Answer(msgspec.Struct):
    status: str
    data: _Data = msgspec.field(default_factory=_Data)
    error: str = ""


class PrometheusSettings(Settings):
    """What is asked of which server.

    Attributes:
        url: of the server, without `/api/v1`.
        match: PromQL expressions, a selector mostly.
        step: seconds between points.
        interval: seconds between questions; `delay` seconds left for late samples to arrive.
        window: seconds one question spans at most.
        timeout: seconds for one question.
        bearer: the token's text, already read from where it is kept.
    """

    url: str
    match: Annotated[tuple[str, ...], Field(min_length=1)]
    step: Annotated[float, Field(gt=0)] = 60.0
    interval: Annotated[float, Field(gt=0)] = 60.0
    delay: Annotated[float, Field(ge=0)] = 30.0
    window: Annotated[float, Field(gt=0)] = 6 * 3600.0
    timeout: Annotated[float, Field(gt=0)] = 30.0
    bearer: str = Field("", repr=False)

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
            raise ValueError("expected an http:// or https:// URL without credentials, such as http://127.0.0.1:9090")
        return url


class PrometheusSource:
    """Follows a server: each batch is a span of time that comes right after the last one's.

    Args:
        settings: what is asked.
        table: gives the series their identity.
        clock: UTC microseconds.
        client: does the asking.
        limits: `decoded_bytes` bounds an answer.
        name: the declared name of the source.
    """

    def __init__(
        self,
        settings: PrometheusSettings,
        table: SeriesTable,
        clock: Clock,
        client: httpx.Client,
        limits: Limits | None = None,
        name: str = "prometheus",
    ) -> None:
        self._settings = settings
        self._table = table
        self._clock = clock
        self._client = client
        self._limits = limits or Limits()
        self._name = name
        self._known: dict[tuple[tuple[str, str], ...], int] = {}
        self._after: int | None = None
        self._most = self._span()

    def seek(self, position: Position) -> None:
        """Go on after the time of `position`, in UTC microseconds."""
        self._after = position.offset

    def close(self) -> None:
        """The client is its owner's to close."""

    def poll(self, limit: int) -> Batch[Delivery] | None:  # noqa: ARG002 -- a span is one whole
        """The next span, once `interval` of it has passed.

        An answer beyond the limit is asked for in halves, as far as single steps.

        Raises:
            Transient: the server does not answer, not now, or it refuses the question.
        """
        step = int(self._settings.step * 1e6)
        until = (self._clock() - int(self._settings.delay * 1e6)) // step * step
        if self._after is None:
            self._after = until - step
        if until - self._after < max(step, int(self._settings.interval * 1e6)):
            return None
        end = min(until, self._after + self._most)
        try:
            items = self.span(self._after + step, end)
        except BadRecord as error:
            if error.status == 413:
                self._most = max(step, (end - self._after) // 2 // step * step)
            raise Transient(str(error), 1.0 if error.status == 413 else self._settings.interval) from error
        self._after = end
        self._most = min(2 * self._most, self._span())
        return Batch(items, Position(self._name, "0", end))

    def history(self, start: int, end: int) -> Iterator[Delivery]:
        """All of [start, end], UTC microseconds, in spans; each has a key of what was asked.

        Spans begin at whole multiples of their length, so that histories that overlap ask, but for their ends, the same.

        Raises:
            Transient: the server does not answer, or not now.
            BadRecord: it refuses the question, or the answer is beyond the limit.
        """
        step = int(self._settings.step * 1e6)
        at = -(-start // step) * step
        while at <= end:
            behind = (at // self._span() + 1) * self._span()
            until = min(end // step * step, behind - step)
            found = self.span(at, until)
            asked = f"{self._settings.url}|{'|'.join(self._settings.match)}|{step}|{at}|{until}"
            yield Delivery(self._name, found.frames, key=sha256(asked.encode()).hexdigest())
            at = behind

    def span(self, start: int, end: int) -> Delivery:
        """One question: every point in [start, end], UTC microseconds, both included."""
        series: list[int] = []
        times: list[int] = []
        values: list[float] = []
        for match in self._settings.match:
            for row in self._ask(match, start, end):
                series += [self._identity(row.metric)] * len(row.values)
                times += [round(at * 1e6) for at, _ in row.values]
                values += [float(value) for _, value in row.values]
        return delivery(self._name, self._table, series, times, values)

    def _span(self) -> int:
        """Microseconds of one question: a whole number of steps."""
        step = int(self._settings.step * 1e6)
        return step * max(1, min(POINTS, int(self._settings.window * 1e6) // step))

    def _identity(self, metric: Mapping[str, str]) -> int:
        key = tuple(sorted(metric.items()))
        known = self._known.get(key)
        if known is None:
            labels = {name: value for name, value in metric.items() if name != "__name__"}
            name = metric.get("__name__", "query")
            kind = "counter" if name.endswith(("_total", "_count", "_sum")) else "bucket" if name.endswith("_bucket") else "unknown"
            known = self._known[key] = self._table.resolve(self._name, name, labels, kind)
        return known

    def _ask(self, match: str, start: int, end: int) -> list[_Row]:
        url = self._settings.url.rstrip("/") + "/api/v1/query_range"
        form = {"query": match, "start": f"{start / 1e6:.3f}", "end": f"{end / 1e6:.3f}", "step": f"{self._settings.step:g}"}
        headers = {"Authorization": f"Bearer {self._settings.bearer}"} if self._settings.bearer else {}
        body = bytearray()
        try:
            with self._client.stream("POST", url, data=form, headers=headers, timeout=self._settings.timeout) as response:
                for piece in response.iter_bytes(65_536):
                    body += piece
                    if len(body) > self._limits.decoded_bytes:
                        raise BadRecord(
                            f"{url}: the answer is larger than {self._limits.decoded_bytes} bytes; narrow the window", status=413
                        )
        except httpx.HTTPError as error:
            raise Transient(f"{url}: {error}", self._settings.interval) from error
        if response.status_code in {429, 503} or response.status_code >= 500:
            raise Transient(f"{url}: answered {response.status_code}", self._settings.interval)
        try:
            answer = msgspec.json.decode(bytes(body), type=_Answer)
        except msgspec.MsgspecError as error:
            raise BadRecord(f"{url}: answered {response.status_code} with no Prometheus document: {error}") from error
        if answer.status != "success":
            raise BadRecord(f"{url}: {answer.error}", field="match")
        return answer.data.result
