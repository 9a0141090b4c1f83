"""Models and their versions: who speaks, who is on the way, what was found, said and decided; and the two moves of a person.

A move needs a reason, which is kept with it. Whether it may be made is decided behind the port; here a refusal is a 409 in words.
"""

from asyncio import to_thread
from collections.abc import Iterable
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment

from vedette.app.models import ModelView
from vedette.core.errors import BadRecord, NotFound
from vedette.core.types import Card, Decision
from vedette.web.answers import (
    CardAnswer,
    DatasetList,
    DecisionAnswer,
    DecisionList,
    Fault,
    ModelAnswer,
    ModelList,
    Promotion,
    Rollback,
)
from vedette.web.api import REFUSED, BoundedRoute, Limit, actor
from vedette.web.pages import form
from vedette.web.reader import plain
from vedette.web.view import Models, View

#: Of a report: it may look as it likes, but is of no origin, runs nothing and loads nothing.
REPORT_POLICY: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REASON: Final = 2000
MOVES: Final = {"PROMOTE": "forward", "HOLD": "held", "ROLL_BACK": "back"}
PLACES: Final = {"shadow": "in shadow", "canary": "in canary", "champion": "the champion"}
STAGES: Final = ("shadow", "canary", "champion")
_MOVED: Final[dict[int | str, dict[str, Any]]] = {
    403: {"model": Fault, "description": "A page of another site sent it"},
    409: {"model": Fault, "description": "It is refused, and all stays as it is; `error` says why"},
}

Version = Annotated[int, Path(ge=1, lt=1 << 31)]


def card_of(model: ModelView, version: int) -> Card:
    """The card of that version; NotFound where there is none."""
    card = model.card(version)
    if card is None:
        raise NotFound(f"there is no version {version} of {model.name}")
    return card


def stages(model: ModelView) -> list[tuple[str, int | None]]:
    """The way of a version, and which one stands where.

    >>> stages(ModelView("tickets", "classes", champion=3, candidate=4, stage="canary"))
    [('shadow', None), ('canary', 4), ('champion', 3)]
    """
    standing = {model.stage: model.candidate, "champion": model.champion}
    return [(stage, standing.get(stage)) for stage in STAGES]


def drifts(model: ModelView) -> dict[str, float]:
    """The gauges of drift, the worst first: shares of what is borne.

    >>> drifts(ModelView("m", "anomalies", gauges={"drift": 0.2, "age_seconds": 5.0, "drift_features": 1.5}))
    {'drift_features': 1.5, 'drift': 0.2}
    """
    found = {name: value for name, value in model.gauges.items() if name.startswith("drift")}
    return dict(sorted(found.items(), key=lambda each: -each[1]))


def since(model: ModelView) -> int | None:
    """When the champion began to speak, UTC microseconds, or else when it was trained; None where there is no champion."""
    made = (
        each.at for each in model.decisions if each.version == model.champion and each.stage == "champion" and each.move != "HOLD"
    )
    card = model.card(model.champion)
    return next(made, card.trained_at if card else None)


def decisions_of(models: Models, names: Iterable[str], limit: int) -> list[Decision]:
    """At most `limit` decisions of those models, the newest first."""
    found = [decision for name in names for decision in models.model(name).decisions]
    return sorted(found, key=lambda decision: -decision.at)[:limit]


def api(view: View) -> APIRouter:
    """The routes below `/api`."""
    router = APIRouter(prefix="/api", tags=["models"], route_class=BoundedRoute, responses=REFUSED)

    @router.get("/models")
    def all_models() -> ModelList:
        """Every model: who speaks for it, who is on the way, its versions, signals and decisions."""
        return ModelList(models=[ModelAnswer.of(view.models.model(name)) for name in view.models.names()])

    @router.get("/models/{name}")
    def one_model(name: str) -> ModelAnswer:
        """One model."""
        return ModelAnswer.of(view.models.model(name))

    @router.get("/models/{name}/{version}")
    def one_version(name: str, version: Version) -> CardAnswer:
        """The card of a version: what it is, where it comes from, what was found."""
        return CardAnswer.of(card_of(view.models.model(name), version))

    @router.post("/models/{name}/promote", responses=_MOVED)
    def promote(name: str, said: Promotion, request: Request) -> DecisionAnswer:
        """Move a version one step forward."""
        return DecisionAnswer.of(view.models.promote(name, said.version, actor(request), said.reason))

    @router.post("/models/{name}/rollback", responses=_MOVED)
    def roll_back(name: str, said: Rollback, request: Request) -> DecisionAnswer:
        """Let the champion before speak again."""
        return DecisionAnswer.of(view.models.rollback(name, actor(request), said.reason))

    @router.get("/decisions")
    def decisions(model: Annotated[str, Query(max_length=500)] = "", limit: Limit = 100) -> DecisionList:
        """What was decided, of all models or of one, with its evidence."""
        found = decisions_of(view.models, [model] if model else view.models.names(), limit)
        return DecisionList(decisions=[DecisionAnswer.of(each) for each in found])

    @router.get("/datasets")
    def datasets() -> DatasetList:
        """What models learn from."""
        return DatasetList(datasets=[plain(each) for each in view.datasets()])

    return router


def pages(view: View, templates: Environment) -> APIRouter:
    """The routes of the pages."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    def page(name: str, **values: Any) -> HTMLResponse:  # noqa: ANN401 -- whatever the template shows
        told = {"now": view.clock(), "stages": stages, "drifts": drifts, "since": since, "moves": MOVES, "places": PLACES} | values
        return HTMLResponse(templates.get_template(f"{name}.html.j2").render(told))

    @router.get("/models")
    def all_models() -> HTMLResponse:
        return page("models", models=[view.models.model(name) for name in view.models.names()])

    @router.get("/models/{name}")
    def one_model(name: str) -> HTMLResponse:
        return page("model", model=view.models.model(name))

    @router.get("/models/{name}/{version}")
    def one_version(name: str, version: Version) -> HTMLResponse:
        model = view.models.model(name)
        return page("version", model=model, card=card_of(model, version))

    @router.get("/models/{name}/{version}/report")
    def report(name: str, version: Version) -> HTMLResponse:
        return HTMLResponse(view.models.report(name, version), headers={"Content-Security-Policy": REPORT_POLICY})

    @router.post("/models/{name}/promote")
    async def promote(name: str, request: Request) -> Response:
        said = await form(request)
        version = said.get("version", "")
        if not (version.isascii() and version.isdecimal() and len(version) < 10):
            raise BadRecord("expected the number of a version", field="version")
        await to_thread(view.models.promote, name, int(version), actor(request), _reason(said.get("reason", "")))
        return _back(name)

    @router.post("/models/{name}/rollback")
    async def roll_back(name: str, request: Request) -> Response:
        said = await form(request)
        await to_thread(view.models.rollback, name, actor(request), _reason(said.get("reason", "")))
        return _back(name)

    return router


def _reason(text: str) -> str:
    if not text.strip():
        raise BadRecord("expected a reason: it is kept with the decision", field="reason")
    return text.strip()[:REASON]


def _back(name: str) -> RedirectResponse:
    return RedirectResponse(f"/models/{quote(name, safe='')}", 303)
