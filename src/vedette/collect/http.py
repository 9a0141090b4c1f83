"""The receivers on the HTTP port: read within bounds, decode, make durable, and only then answer.

2xx means durable. 503 with Retry-After (429 on OTLP) means: send the very same again. 4xx means: never; the answer
names the field and the position.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Final, Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vedette.collect import alertmanager, cloudevents
from vedette.collect.intake import Intake
from vedette.collect.limits import Limits
from vedette.collect.otlp_answers import export_response
from vedette.collect.pieces import PIECE_BYTES, Cutter, Piece, cutter, is_telling, without_mark
from vedette.collect.push import FAULTS, Push
from vedette.collect.room import Room, until
from vedette.core.errors import BadRecord, Transient
from vedette.core.ports import Clock
from vedette.core.types import Delivery, Fault

CHUNK_BYTES: Final = 256 << 10

_PROTOBUF: Final = "application/x-protobuf"
_OTLP_TYPES: Final = {_PROTOBUF: False, "application/json": True}
_TEXT_TYPES: Final = ("text/plain",)
_JSON_TYPES: Final = tuple(f"application/{name}" for name in ("json", "x-ndjson", "jsonl", "jsonlines", "x-jsonlines"))

Handler = Callable[[Request], Awaitable[Response]]


class RemoteWriteDecoder(Protocol):
    """A remote write body, as it was sent, to columns: it is always one snappy block."""

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
        room: bounds what all bodies hold together.
        compiled: whether the kernels of remote write and OTLP are.
    """

    intake: Intake
    codecs: Codecs
    limits: Limits
    now: Clock
    pushes: Mapping[str, Push]
    body_seconds: float = 30.0
    push_seconds: float = 600.0
    room: Room = field(default_factory=Room)
    compiled: Callable[[], bool] = lambda: True

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
        """Prometheus remote write 1.0 and 2.0; where samples were refused, 400 says so and the others are durable all the same."""
        version = _remote_write_version(request)
        coding = _coding(request, default="snappy")
        if coding != "snappy":
            raise BadRecord(f"expected snappy, got {coding}", field="content-encoding", status=415)
        body = await self._sent(request)
        await until(self.compiled)
        delivery = await self.room.decode(len(body), partial(self.codecs.remote_write, body, now=self.now(), version=version))
        await self.intake.accept(delivery)
        written = _written(delivery) if version == 2 else {}
        if not delivery.rejected:
            return Response(status_code=204, headers=written)
        taken = sum(delivery.written)
        return JSONResponse(
            {
                "error": f"{delivery.rejected} refused, {taken} taken: {self._why(delivery)}",
                "field": delivery.faults[0].field if delivery.faults else "",
                "position": delivery.faults[0].position if delivery.faults else None,
            },
            status_code=400,
            headers=written,
        )

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
        delivery = await self.room.decode(len(body), partial(alertmanager.decode, body, self.now(), self.limits))
        await self.intake.accept(delivery)
        return Response(status_code=200)

    async def events(self, request: Request) -> Response:
        """CloudEvents."""
        body = await self._body(request)
        delivery = await self.room.decode(
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
        given = request.headers.get("idempotency-key")
        key = None if given is None else sha256(given.encode("utf-8", "backslashreplace")).hexdigest()
        done = _Pushed()
        try:
            async with asyncio.timeout(self.push_seconds):
                async for piece in self._pieces(request, as_json=as_json):
                    await self._push_piece(push, piece, done, as_json=as_json, key=key)
        except (BadRecord, Transient, TimeoutError) as error:
            return self._failed(push.name, error, 503, {"accepted": done.accepted, "dead_lettered": done.dead_lettered})
        words = [self.intake.clean(str(fault)) for fault in done.faults]
        return JSONResponse({"accepted": done.accepted, "dead_lettered": done.dead_lettered, "faults": words})

    async def _push_piece(self, push: Push, piece: Piece, done: "_Pushed", *, as_json: bool, key: str | None) -> None:
        part = None if key is None else f"{key}/{done.pieces}"
        decode = partial(push.json, first=done.records) if as_json else push.text
        delivery = await self.room.decode(len(piece.raw), partial(decode, piece, self.now(), key=part))
        await self.intake.accept(delivery)
        letters = delivery.frames["dead_letters"].height if "dead_letters" in delivery.frames else 0
        done.accepted += delivery.records - letters
        done.dead_lettered += letters
        done.faults += delivery.faults[: FAULTS - len(done.faults)]
        done.pieces += 1

    async def _otlp(self, request: Request, decode: OtlpDecoder, rejected: str) -> Response:
        media = _expect(request, tuple(_OTLP_TYPES))
        body = await self._body(request)
        await until(self.compiled)
        delivery = await self.room.decode(len(body), partial(decode, body, now=self.now(), json=_OTLP_TYPES[media]))
        await self.intake.accept(delivery)
        reason = self._why(delivery)
        if _OTLP_TYPES[media]:
            partial_success = {rejected: str(delivery.rejected), "errorMessage": reason}
            return JSONResponse({"partialSuccess": partial_success} if delivery.rejected else {})
        return Response(export_response(delivery.rejected, reason), media_type=_PROTOBUF)

    def _why(self, delivery: Delivery) -> str:
        """The first reasons for which records were refused."""
        return self.intake.clean("; ".join(str(fault) for fault in delivery.faults[:3]))

    async def _sent(self, request: Request) -> bytes:
        body = bytearray()
        async with asyncio.timeout(self.body_seconds):
            async for chunk in _bounded(request, self.limits.body_bytes):
                request.state.held.take(len(chunk))
                body += chunk
        return bytes(body)

    async def _body(self, request: Request) -> bytes:
        body = await self._sent(request)
        undo = partial(self.codecs.decompress, body, _coding(request), self.limits.decoded_bytes)
        return await self.room.decode(len(body), undo, compressed=_coding(request) != "identity")

    async def _pieces(self, request: Request, *, as_json: bool) -> AsyncIterator[Piece]:
        """The body cut into pieces; nothing but the piece and the record at hand is held of a body that is not compressed."""
        chunks = _bounded(request, self.limits.push_bytes)
        if _coding(request) != "identity":
            chunks = _parts(await self._body(request))
        cut: Cutter | None = None
        begin = b""
        async for chunk in chunks:
            request.state.held.take(min(len(chunk), max(PIECE_BYTES - request.state.held.size, 0)))
            if cut is not None:
                for piece in cut.feed(chunk):
                    yield piece
                continue
            begin += chunk
            text = without_mark(begin)
            if text is not None and (is_telling(text, as_json=as_json) or len(text) > self.limits.line_bytes):
                cut, begin = self._cutter(text, as_json=as_json), b""
                for piece in cut.feed(text):
                    yield piece
        cut = cut or self._cutter(begin, as_json=as_json)
        for piece in (*cut.feed(begin), *cut.finish()):
            yield piece

    def _cutter(self, begin: bytes, *, as_json: bool) -> Cutter:
        return cutter(begin, as_json=as_json, limit=self.limits.line_bytes, depth=self.limits.depth)

    async def _answer(self, handler: Handler, source: str, full: int, request: Request) -> Response:
        try:
            with self.room.hold() as request.state.held:
                return await handler(request)
        except (BadRecord, Transient, TimeoutError) as error:
            return self._failed(source, error, full)
        except ClientDisconnect:
            return Response(status_code=400)

    def _failed(
        self, source: str, error: BadRecord | Transient | TimeoutError, full: int, done: Mapping[str, int] | None = None
    ) -> Response:
        """Why a body was not taken, or not taken further; `done` says what of it is durable nevertheless."""
        answer = {"error": "", "field": "", "position": None, **(done or {})}
        if isinstance(error, BadRecord):
            if source:
                self.intake.refuse(source, 1)
            answer |= {
                "error": self.intake.clean(error.reason),
                "field": self.intake.clean(error.field),
                "position": error.position,
            }
            return JSONResponse(answer, status_code=error.status)
        if isinstance(error, Transient):
            wait = {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
            return JSONResponse(answer | {"error": str(error)}, status_code=full, headers=wait)
        return JSONResponse(answer | {"error": "the body took too long; send it faster or in smaller parts"}, status_code=408)


@dataclass(slots=True)
class _Pushed:
    """How far a push has come."""

    accepted: int = 0
    dead_lettered: int = 0
    pieces: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def records(self) -> int:
        return self.accepted + self.dead_lettered


def _written(delivery: Delivery) -> dict[str, str]:
    """What was taken, counted alike for a duplicate: a sender that sees fewer than it sent takes it for a loss."""
    names = ("Samples", "Histograms", "Exemplars")
    return {f"X-Prometheus-Remote-Write-{name}-Written": str(count) for name, count in zip(names, delivery.written, strict=True)}


def _remote_write_version(request: Request) -> int:
    media, *parameters = (part.strip() for part in request.headers.get("content-type", "").split(";"))
    named = dict(part.partition("=")[::2] for part in parameters)
    versions = {"": 1, "prometheus.WriteRequest": 1, "io.prometheus.write.v2.Request": 2}
    version = versions.get(named.get("proto", "").strip('"'))
    if media.lower() != _PROTOBUF or version is None:
        raise BadRecord(f"expected {_PROTOBUF} with proto={' or '.join(filter(None, versions))}", field="content-type", status=415)
    return version


def _coding(request: Request, default: str = "identity") -> str:
    """All codings that the headers name; a list of them is none that any codec takes."""
    return ", ".join(request.headers.getlist("content-encoding")).strip().lower() or default


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


async def _parts(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), CHUNK_BYTES):
        yield body[start : start + CHUNK_BYTES]
