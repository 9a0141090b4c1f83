"""The receivers on the HTTP port: read within bounds, decode, make durable, and only then answer.

2xx means durable. 503 with Retry-After (429 on OTLP) means: send the very same again. 4xx means: never; the answer
names the field and the position.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vedette.collect import alertmanager, cloudevents
from vedette.collect.intake import Intake
from vedette.collect.limits import Limits
from vedette.collect.push import FAULTS, Elements, Lines, Push, Record
from vedette.core.errors import BadRecord, Transient
from vedette.core.ports import Clock
from vedette.core.types import Delivery, Fault

INLINE_BYTES: Final = 1 << 20
PIECE_BYTES: Final = 4 << 20
PIECE_RECORDS: Final = 50_000

_PROTOBUF: Final = "application/x-protobuf"
_OTLP_TYPES: Final = {_PROTOBUF: False, "application/json": True}
_TEXT_TYPES: Final = ("text/plain",)
_JSON_TYPES: Final = tuple(f"application/{name}" for name in ("json", "x-ndjson", "jsonl", "jsonlines", "x-jsonlines"))

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]


class RemoteWriteDecoder(Protocol):
    """A remote write body, as sent, to columns."""

    def __call__(self, body: bytes, *, now: int, version: int) -> Delivery:
        """`version` is 1 or 2."""


class OtlpDecoder(Protocol):
    """A decompressed OTLP body to columns."""

    def __call__(self, body: bytes, *, now: int, json: bool) -> Delivery:
        """`json` tells the two encodings apart."""


@dataclass(frozen=True, slots=True)
class Codecs:
    """The codecs of other formats, as functions; `decompress(body, encoding, limit)` raises BadRecord beyond `limit` bytes."""

    decompress: Callable[[bytes, str, int], bytes]
    remote_write: RemoteWriteDecoder
    otlp_metrics: OtlpDecoder
    otlp_logs: OtlpDecoder


@dataclass(frozen=True, slots=True)
class Receivers:
    """What all receivers share.

    Attributes:
        intake: the door to the log.
        codecs: formats decoded elsewhere.
        limits: bounds on bodies.
        now: the clock.
        pushes: declared push sources by name.
        body_seconds: how long a sender may take over a body; `push_seconds` the same for `/push`.
    """

    intake: Intake
    codecs: Codecs
    limits: Limits
    now: Clock
    pushes: Mapping[str, Push]
    body_seconds: float = 30.0
    push_seconds: float = 600.0

    def routes(self) -> list[Route]:
        """The POST routes of the contract."""
        doors: dict[str, tuple[Handler, str, int]] = {
            "/api/v1/write": (self.write, "remote_write", 503),
            "/v1/metrics": (self.metrics, "otlp", 429),
            "/v1/logs": (self.logs, "otlp", 429),
            "/hooks/alertmanager": (self.alerts, alertmanager.SOURCE, 503),
            "/hooks/events": (self.events, cloudevents.SOURCE, 503),
            "/push/{name}": (self.push, "", 503),
        }
        return [Route(path, partial(self._answer, *door), methods=["POST"]) for path, door in doors.items()]

    async def write(self, request: Request) -> Response:
        """Prometheus remote write 1.0 and 2.0."""
        version = _remote_write_version(request)
        encoding = request.headers.get("content-encoding", "snappy").strip().lower()
        if encoding != "snappy":
            raise BadRecord(f"remote write is compressed with snappy, got '{encoding}'", field="Content-Encoding", status=415)
        body = await self._read(request)
        delivery = await _off(len(body), partial(self.codecs.remote_write, body, now=self.now(), version=version))
        await self.intake.accept(delivery)
        return Response(status_code=204, headers=_written(delivery) if version == 2 else None)

    async def metrics(self, request: Request) -> Response:
        """OTLP metrics."""
        return await self._otlp(request, self.codecs.otlp_metrics, "rejectedDataPoints")

    async def logs(self, request: Request) -> Response:
        """OTLP logs."""
        return await self._otlp(request, self.codecs.otlp_logs, "rejectedLogRecords")

    async def alerts(self, request: Request) -> Response:
        """Alertmanager's webhook."""
        _expect(request, ("application/json",))
        body = await self._body(request)
        delivery = await _off(len(body), partial(alertmanager.decode, body, self.now(), self.limits))
        await self.intake.accept(delivery)
        return Response(status_code=200)

    async def events(self, request: Request) -> Response:
        """CloudEvents."""
        body = await self._body(request)
        delivery = await _off(
            len(body), partial(cloudevents.decode, body, self.now(), _media_type(request), request.headers, self.limits)
        )
        await self.intake.accept(delivery)
        return Response(status_code=200)

    async def push(self, request: Request) -> Response:
        """A declared push source: records are cut as they arrive, and each piece is durable before the next is read."""
        push = self.pushes.get(request.path_params["name"])
        if push is None:
            raise BadRecord(f"no push source '{request.path_params['name']}' is declared under sources", status=404)
        as_json = _expect(request, _TEXT_TYPES + _JSON_TYPES) in _JSON_TYPES
        key = request.headers.get("idempotency-key")
        accepted, dead, index, piece = 0, 0, 0, 0
        faults: list[Fault] = []
        async with asyncio.timeout(self.push_seconds):
            async for records in self._pieces(request, as_json=as_json):
                part = None if key is None else f"{key}/{piece}"
                decode = partial(push.json, first=index) if as_json else push.text
                size = sum(len(record.raw) for record in records)
                delivery = await _off(size, partial(decode, records, self.now(), key=part))
                await self.intake.accept(delivery)
                letters = delivery.frames["dead_letters"].height if "dead_letters" in delivery.frames else 0
                accepted, dead = accepted + delivery.records - letters, dead + letters
                faults += delivery.faults[: FAULTS - len(faults)]
                index, piece = index + len(records), piece + 1
        words = [self.intake.clean(str(fault)) for fault in faults]
        return JSONResponse({"accepted": accepted, "dead_lettered": dead, "faults": words})

    async def _otlp(self, request: Request, decode: OtlpDecoder, rejected: str) -> Response:
        media = _expect(request, tuple(_OTLP_TYPES))
        body = await self._body(request)
        delivery = await _off(len(body), partial(decode, body, now=self.now(), json=_OTLP_TYPES[media]))
        await self.intake.accept(delivery)
        reason = self.intake.clean("; ".join(str(fault) for fault in delivery.faults[:3]))
        if _OTLP_TYPES[media]:
            partial_success = {rejected: str(delivery.rejected), "errorMessage": reason}
            return JSONResponse({"partialSuccess": partial_success} if delivery.rejected else {})
        return Response(export_response(delivery.rejected, reason), media_type=_PROTOBUF)

    async def _body(self, request: Request) -> bytes:
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        body = await self._read(request)
        return await _off(len(body), partial(self.codecs.decompress, body, encoding, self.limits.decoded_bytes))

    async def _read(self, request: Request) -> bytes:
        body = bytearray()
        async with asyncio.timeout(self.body_seconds):
            async for chunk in _bounded(request, self.limits.body_bytes):
                body += chunk
        return bytes(body)

    async def _pieces(self, request: Request, *, as_json: bool) -> AsyncIterator[list[Record]]:
        chunks = _bounded(request, self.limits.push_bytes)
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            chunks = _once(await self._body(request))
        cutter: Lines | Elements | None = None
        records: list[Record] = []
        held = 0
        begin = b""
        async for chunk in chunks:
            if cutter is None:
                begin = (begin + chunk).removeprefix(b"\xef\xbb\xbf").lstrip()
                if not begin:
                    continue
                is_array = as_json and begin.startswith(b"[")
                cutter = Elements(self.limits.line_bytes, self.limits.depth) if is_array else Lines(self.limits.line_bytes)
                records, held = cutter.feed(begin), len(begin)
            else:
                records += cutter.feed(chunk)
                held += len(chunk)
            if held >= PIECE_BYTES or len(records) >= PIECE_RECORDS:
                if records:
                    yield records
                records, held = [], 0
        records += cutter.finish() if cutter else []
        if records:
            yield records

    async def _answer(self, handler: Handler, source: str, full: int, request: Request) -> Response:
        try:
            return await handler(request)
        except BadRecord as error:
            if source or error.status != 404:
                self.intake.refuse(source or request.path_params["name"], 1)
            where = {"error": self.intake.clean(error.reason), "field": self.intake.clean(error.field), "position": error.position}
            return JSONResponse(where, status_code=error.status)
        except Transient as error:
            wait = {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
            return JSONResponse({"error": str(error), "field": "", "position": None}, status_code=full, headers=wait)
        except TimeoutError:
            reason = "the body took too long; send it faster or in smaller parts"
            return JSONResponse({"error": reason, "field": "", "position": None}, status_code=408)
        except ClientDisconnect:
            return Response(status_code=400)


def export_response(rejected: int, reason: str) -> bytes:
    r"""An ExportMetricsServiceResponse or ExportLogsServiceResponse, which are the same on the wire.

    Field 1 is partial_success; in it field 1 counts the rejected, and field 2 says why. Empty where all were taken.

    >>> export_response(0, ""), export_response(3, "no")
    (b'', b'\n\x06\x08\x03\x12\x02no')
    """
    if not rejected:
        return b""
    text = reason.encode()
    inner = b"\x08" + _varint(rejected) + b"\x12" + _varint(len(text)) + text
    return b"\x0a" + _varint(len(inner)) + inner


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _written(delivery: Delivery) -> dict[str, str]:
    """What was taken, counted alike for a duplicate: a sender that sees fewer than it sent takes it for a loss."""
    prefix = "X-Prometheus-Remote-Write"
    samples = delivery.frames["metrics"].height if "metrics" in delivery.frames else 0
    return {f"{prefix}-Samples-Written": str(samples), f"{prefix}-Histograms-Written": "0", f"{prefix}-Exemplars-Written": "0"}


def _remote_write_version(request: Request) -> int:
    media, *parameters = (part.strip() for part in request.headers.get("content-type", "").split(";"))
    named = dict(part.partition("=")[::2] for part in parameters)
    versions = {"": 1, "prometheus.WriteRequest": 1, "io.prometheus.write.v2.Request": 2}
    version = versions.get(named.get("proto", "").strip('"'))
    if media.lower() != _PROTOBUF or version is None:
        raise BadRecord(f"expected {_PROTOBUF} with proto={' or '.join(filter(None, versions))}", field="content-type", status=415)
    return version


def _media_type(request: Request) -> str:
    return str(request.headers.get("content-type", "")).partition(";")[0].strip().lower()


def _expect(request: Request, types: tuple[str, ...]) -> str:
    media = _media_type(request)
    if media not in types:
        raise BadRecord(f"expected {' or '.join(types)}, got {media or 'no content type'}", field="content-type", status=415)
    charset = str(request.headers.get("content-type", "")).lower().partition("charset=")[2].partition(";")[0].strip('" ')
    if charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise BadRecord(f"expected charset utf-8, got {charset}", field="content-type", status=415)
    return media


async def _bounded(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body's chunks; BadRecord 413 before more than `limit` bytes are held."""
    reason = f"expected a body of at most {limit} bytes"
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or not declared.isascii():
        raise BadRecord("expected a number of bytes", field="content-length")
    if len(declared) > 18 or int(declared) > limit:
        raise BadRecord(f"{reason}, got {declared[:20]}", field="content-length", status=413)
    read = 0
    async for chunk in request.stream():
        read += len(chunk)
        if read > limit:
            raise BadRecord(f"{reason}, got more", status=413)
        yield chunk


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _off(size: int, call: Callable[[], T]) -> T:
    """Run `call` here where little is to do, and in a worker thread where it would keep others waiting."""
    return await asyncio.to_thread(call) if size > INLINE_BYTES else call()
