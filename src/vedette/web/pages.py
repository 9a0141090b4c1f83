"""The pages: rendered here, complete without script; charts are drawn over them by what `/static` serves."""

from asyncio import to_thread
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qsl, quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from vedette.app.home import Incident
from vedette.core.errors import BadRecord
from vedette.web import text
from vedette.web.api import LINES, actor, check_length, status_of
from vedette.web.assets import VERSION, style_guards
from vedette.web.reader import LONGEST, SECOND, Reader, identity
from vedette.web.view import View

SPANS: Final = {"1h": 3_600, "6h": 21_600, "1d": 86_400, "7d": 604_800}
SHOWN: Final = 50
CHARTS: Final = 12
_MARGIN: Final = 1_800 * SECOND
_WORDS: Final = {"real": "real", "false": "a false alarm", "known": "known"}
#: Books that are shown only where something is in them.
_RARE: Final = ("duplicate", "dead_lettered", "rejected", "shed")

Span = Literal["1h", "6h", "1d", "7d"]


def environment() -> Environment:
    """Templates that escape everything, spell out what is not seen, and fail on a name they do not know."""
    templates = Environment(
        loader=PackageLoader("vedette.web"),
        autoescape=True,
        finalize=text.shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("moment", "iso", "lasting", "number", "told", "size", "level", "symbol", "kind")
    templates.filters.update({name: getattr(text, name) for name in names})
    templates.globals.update(version=VERSION, words=_WORDS, spans=list(SPANS), style_guards=style_guards)
    return templates


def window(incident: Incident, now: int) -> tuple[int, int]:
    """The stretch of time that shows an incident with some of what was before and after, UTC microseconds."""
    end = incident.ended_at or max(now, incident.started_at + SECOND)
    margin = max(_MARGIN, (end - incident.started_at) // 2)
    last = min(end + margin, max(now, end))
    return max(0, incident.started_at - margin, last - LONGEST), last


def charted(incident: Incident) -> list[Mapping[str, Any]]:
    """The members of an incident that have a chart: series, each once, the first to move first."""
    members = {each["series"]: each for each in reversed(incident.explanation.get("members", ())) if each.get("series")}
    return sorted(members.values(), key=lambda each: (each["since"], each["key"]))[:CHARTS]


async def form(request: Request) -> dict[str, str]:
    """The fields of a form that was sent; BadRecord where it is none."""
    check_length(request)
    try:
        body = (await request.body()).decode("utf-8")
        return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=10))
    except ValueError as error:
        raise BadRecord("expected a form") from error


def routes(view: View, reader: Reader, templates: Environment) -> APIRouter:
    """The routes of the pages."""
    pages = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    def page(name: str, **values: Any) -> HTMLResponse:  # noqa: ANN401 -- whatever the template shows
        return HTMLResponse(templates.get_template(f"{name}.html.j2").render(now=view.clock(), **values))

    @pages.get("/")
    def overview() -> HTMLResponse:
        told, closed = status_of(view), view.store.list(status="closed", limit=8)
        learning = bool(told.models) and all(each.learning == each.known for each in told.models)
        used = [book for book in _RARE if any(counts.get(book) for counts in told.sources.values())]
        opened = view.store.open()[::-1]
        return page("overview", status=told, learning=learning, used=used, open=opened, closed=closed, health=view.health())

    @pages.get("/incidents")
    def incidents(status: Literal["open", "closed"] | None = None) -> HTMLResponse:
        return page("incidents", incidents=view.store.list(status=status, limit=SHOWN), status=status, most=SHOWN)

    @pages.get("/incidents/{incident}")
    def one_incident(incident: str) -> HTMLResponse:
        found = view.store.get(incident)
        start, end = window(found, view.clock())
        charts = charted(found)
        known = reader.known(each["series"] for each in charts)
        return page("incident", incident=found, charts=charts, known=known, start=start, end=end)

    @pages.post("/incidents/{incident}/verdict")
    async def answer(incident: str, request: Request) -> RedirectResponse:
        said = await form(request)
        await to_thread(view.verdict, incident, said.get("verdict", ""), actor(request), said.get("note", "")[:2000])
        return RedirectResponse(f"/incidents/{quote(incident, safe='')}", 303)

    @pages.get("/series")
    def find_series(match: Annotated[str, Query(max_length=500)] = "") -> HTMLResponse:
        return page("search", match=match, found=reader.search(match, SHOWN), most=SHOWN)

    @pages.get("/series/{series}")
    def one_series(series: str, span: Span = "6h") -> HTMLResponse:
        info = reader.get(identity(series))
        end = view.clock()
        start = end - SPANS[span] * SECOND
        lines = reader.lines(info.series, start, end, LINES) if info.kind == "stream" else []
        return page("series", info=info, start=start, end=end, span=span, lines=lines)

    return pages
