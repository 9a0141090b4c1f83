"""Asking a deployed version over HTTP: the Open Inference Protocol v2, and MLflow's scoring protocol.

Both are shells over the same three steps: read a table within bounds, let the line of the version answer it, write
the answer with the version that gave it. Nothing here knows a model.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from vedette import __version__
from vedette.collect.room import Room
from vedette.core.errors import BadRecord, NotFound, Transient
from vedette.core.ports import Frame
from vedette.web import invocations, openinference
from vedette.web.batching import Lines, Patience
from vedette.web.view import Served, Serving

#: Rows of an answer that are written at once; more are written in a worker thread, where they keep nobody waiting.
INLINE_ROWS: Final = 5_000
#: Names the model for `/invocations`, as the query `model` does.
MODEL_HEADER: Final = "vedette-model"
_LENGTHY: Final = "inference-header-content-length"


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one request: its rows, its bytes, and the seconds that its sender may take over it."""

    rows: int = 100_000
    bytes: int = 16 << 20
    body_seconds: float = 30.0


def routes(serving: Callable[[], Serving], limits: Limits | None = None, patience: Patience | None = None) -> list[Route]:
    """The routes of both protocols.

    Args:
        serving: the versions that are deployed now.
        limits: of one request.
        patience: of the lines in which requests wait.
    """
    desk = Desk(serving, limits or Limits(), patience or Patience())
    gets: dict[str, Callable[[Request], Awaitable[Response]]] = {
        "/v2": desk.server,
        "/v2/health/live": desk.live,
        "/v2/health/ready": desk.ready,
        "/ping": desk.ping,
        "/health": desk.ping,
        "/version": desk.version,
    }
    posts: dict[str, Callable[[Request], Awaitable[Response]]] = {"/invocations": desk.invoke}
    for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        gets |= {path: desk.model, f"{path}/ready": desk.model_ready}
        posts |= {f"{path}/infer": desk.infer}
    return [
        *(Route(path, handler, methods=["POST"]) for path, handler in posts.items()),
        *(Route(path, handler, methods=["GET"]) for path, handler in gets.items()),
    ]


class Desk:
    """Takes requests, and has the lines answer them."""

    def __init__(self, serving: Callable[[], Serving], limits: Limits, patience: Patience) -> None:
        self._serving = serving
        self._limits = limits
        self._patience = patience
        self._lines = Lines(patience)
        self._room = Room()

    async def infer(self, request: Request) -> Response:
        """The Open Inference Protocol: tensors in, tensors out."""
        if _LENGTHY in request.headers:
            raise BadRecord("the binary extension is not spoken here; send JSON", field=_LENGTHY, status=415)
        served = self._asked(request)
        with self._room.hold() as held:
            body = await self._body(request, held.take)
            parse = partial(openinference.parsed, body, served, self._limits.rows)
            asked, frame = await self._room.decode(len(body), parse)
            answer = await self._predict(served, frame)
            return await _written(answer, partial(openinference.answered, served, asked, answer))

    async def invoke(self, request: Request) -> Response:
        """MLflow's scoring: a table in, records out."""
        served = self._chosen(request)
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        with self._room.hold() as held:
            body = await self._body(request, held.take)
            frame = await self._room.decode(len(body), partial(invocations.parsed, body, media, served, self._limits.rows))
            answer = await self._predict(served, frame)
            return await _written(answer, partial(invocations.answered, served, answer))

    async def server(self, _request: Request) -> Response:
        """Who answers here."""
        return _json({"name": "vedette", "version": __version__, "extensions": []})

    async def live(self, _request: Request) -> Response:
        """That anything does."""
        return _json({"live": True})

    async def ready(self, _request: Request) -> Response:
        """Whether every version that is deployed can be asked; 503 where none is, or one is stuck."""
        served = self._serving().served()
        ready = bool(served) and not any(self._lines.of(each).stuck for each in served)
        return _json({"ready": ready}, 200 if ready else 503)

    async def model(self, request: Request) -> Response:
        """What a version takes and gives, and which there are."""
        served = self._asked(request)
        versions = [each.version for each in self._serving().served() if each.name == served.name]
        return _json(openinference.described(served, versions))

    async def model_ready(self, request: Request) -> Response:
        """Whether a version can be asked; 503 while it is stuck."""
        served = self._asked(request)
        ready = not self._lines.of(served).stuck
        return _json({"name": served.name, "version": served.version, "ready": ready}, 200 if ready else 503)

    async def ping(self, _request: Request) -> Response:
        """MLflow's question whether a model is there."""
        return Response("\n", 200 if self._serving().served() else 503, media_type="application/json")

    async def version(self, _request: Request) -> Response:
        """MLflow's question for the version of the server."""
        return PlainTextResponse(__version__)

    def _asked(self, request: Request) -> Served:
        return self._serving().get(request.path_params["name"], request.path_params.get("version"))

    def _chosen(self, request: Request) -> Served:
        name = request.query_params.get("model") or request.headers.get(MODEL_HEADER)
        if name:
            return self._serving().get(name, request.query_params.get("version"))
        names = _names(self._serving().served())
        if not names:
            raise NotFound("no model is served here")
        if len(names) > 1:
            raise BadRecord(f"several models are served; name one of {', '.join(names)} by ?model=", field="model")
        return self._serving().get(names[0], request.query_params.get("version"))

    async def _body(self, request: Request, hold: Callable[[int], None]) -> bytes:
        coding = request.headers.get("content-encoding", "identity")
        if coding != "identity":
            raise BadRecord(f"expected no coding, got {coding[:20]}", field="content-encoding", status=415)
        declared = request.headers.get("content-length", "0")
        if declared.isdecimal() and int(declared[:20]) > self._limits.bytes:
            raise self._long()
        chunks: list[bytes] = []
        rest = self._limits.bytes
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                async for chunk in request.stream():
                    rest -= len(chunk)
                    if rest < 0:
                        raise self._long()
                    hold(len(chunk))
                    chunks.append(chunk)
        except TimeoutError as error:
            raise BadRecord(f"the body took longer than {self._limits.body_seconds:g} seconds", status=408) from error
        except ClientDisconnect as error:
            raise BadRecord("the sender left before the body ended") from error
        return b"".join(chunks)

    def _long(self) -> BadRecord:
        return BadRecord(f"expected a body of at most {self._limits.bytes} bytes", status=413)

    async def _predict(self, served: Served, frame: Frame) -> Frame:
        waiting = asyncio.wrap_future(self._lines.of(served).ask(frame))
        try:
            async with asyncio.timeout(self._patience.seconds):
                return await waiting
        except TimeoutError as error:
            reason = f"{served.name}@{served.version} took longer than {self._patience.seconds:g} seconds"
            raise Transient(reason, retry_after=5.0) from error


async def _written(answer: Frame, write: Callable[[], bytes]) -> Response:
    body = write() if answer.height <= INLINE_ROWS else await asyncio.to_thread(write)
    return Response(body, media_type="application/json")


def _json(document: dict[str, Any], status: int = 200) -> Response:
    return Response(msgspec.json.encode(document), status, media_type="application/json")


def _names(served: Sequence[Served]) -> list[str]:
    return list(dict.fromkeys(each.name for each in served))
