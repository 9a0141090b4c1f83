"""The API: what the pages show, as JSON under one OpenAPI document."""

import shutil
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.routing import APIRoute

from vedette.core.errors import BadRecord
from vedette.web.answers import (
    DeadLetters,
    Disk,
    Fault,
    IncidentAnswer,
    IncidentList,
    ModelProgress,
    SeriesAnswer,
    SeriesList,
    SeriesWindow,
    Status,
    Verdict,
)
from vedette.web.guard import basic
from vedette.web.reader import Reader, identity, span
from vedette.web.view import View

#: Of a verdict with its note, in any encoding of it.
BODY_BYTES: Final = 32_768
LINES: Final = 200
REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": Fault, "description": "A parameter is wrong; `field` names it"},
    401: {"model": Fault, "description": "The token is missing or wrong"},
    404: {"model": Fault, "description": "There is no such thing"},
    413: {"model": Fault, "description": "The body is too long"},
    503: {"model": Fault, "description": "It cannot be answered now; try again after `Retry-After` seconds"},
}

Limit = Annotated[int, Query(ge=1, le=1000)]
Micros = Annotated[int | None, Query(ge=0, le=1 << 62, description="UTC microseconds")]


class BoundedRoute(APIRoute):
    """A route that takes no larger body than it needs."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, behind a look at the length of the body."""
        handler = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            check_length(request)
            return await handler(request)

        return bounded


def check_length(request: Request) -> None:
    """Raise BadRecord where a body is too long, or does not say how long it is."""
    if "transfer-encoding" in request.headers:
        raise BadRecord("expected a body of a stated length", field="content-length", status=411)
    length = request.headers.get("content-length", "0")
    if not (length.isascii() and length.isdecimal()) or len(length) > 9 or int(length) > BODY_BYTES:
        raise BadRecord(f"expected a body of at most {BODY_BYTES} bytes", field="content-length", status=413)


def actor(request: Request) -> str:
    """Who says it: the name given at the browser's log-in, or that it came through the web."""
    return basic(request.headers.get("authorization", ""))[0][:128] or "web"


def status_of(view: View) -> Status:
    """How the pipeline is."""
    said = view.status()
    usage = shutil.disk_usage(view.home)
    models = [ModelProgress(**each) for each in said.get("models", ())]
    extra = {"models": models, "disk": Disk(free=usage.free, total=usage.total), "open_incidents": len(view.store.open())}
    return Status(**(said | extra))


def routes(view: View, reader: Reader) -> APIRouter:
    """The routes below `/api`."""
    api = APIRouter(prefix="/api", tags=["api"], route_class=BoundedRoute, responses=REFUSED)

    @api.get("/status")
    def status() -> Status:
        """Sources and their books, lag, models and how far they have learnt, disk."""
        return status_of(view)

    @api.get("/series")
    def find_series(match: Annotated[str, Query(max_length=500)] = "", limit: Limit = 100) -> SeriesList:
        """Series whose name and labels contain every word of `match`."""
        return SeriesList(series=[SeriesAnswer.of(info) for info in reader.search(match, limit)])

    @api.get("/series/{series}")
    def one_series(series: str, start: Micros = None, end: Micros = None) -> SeriesWindow:
        """A series over time: what was seen, expected, its bounds and scores by model, and the lines of a log stream."""
        info = reader.get(identity(series))
        first, last = span(start, end, view.clock())
        return SeriesWindow(
            **SeriesAnswer.of(info).model_dump(),
            start=first,
            end=last,
            curves=reader.curves(info.series, first, last),
            lines=reader.lines(info.series, first, last, LINES) if info.kind == "stream" else [],
        )

    @api.get("/incidents")
    def incidents(status: Literal["open", "closed"] | None = None, limit: Limit = 100) -> IncidentList:
        """Incidents, the newest first."""
        return IncidentList(incidents=[IncidentAnswer.of(each) for each in view.store.list(status=status, limit=limit)])

    @api.get("/incidents/{incident}")
    def one_incident(incident: str) -> IncidentAnswer:
        """An incident with its explanation."""
        return IncidentAnswer.of(view.store.get(incident))

    @api.post("/incidents/{incident}/verdict", responses={403: {"model": Fault, "description": "A page of another site sent it"}})
    def answer_incident(incident: str, said: Verdict, request: Request) -> IncidentAnswer:
        """Say of an incident that it is real, a false alarm, or known. It is kept as data; the last word counts."""
        view.verdict(incident, said.verdict, actor(request), said.note)
        return IncidentAnswer.of(view.store.get(incident))

    @api.get("/deadletters")
    def dead_letters(limit: Limit = 100) -> DeadLetters:
        """What was set aside, and why."""
        return DeadLetters(dead_letters=reader.dead_letters(limit))

    return api
