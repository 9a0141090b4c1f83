"""What supervisors and Prometheus ask."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from vedette.web.answers import Part, Ready
from vedette.web.view import View


def routes(view: View) -> APIRouter:
    """`/livez`, `/readyz` and `/metrics`."""
    health = APIRouter(tags=["health"])

    @health.get("/livez", response_class=PlainTextResponse)
    async def livez() -> PlainTextResponse:
        """Answers while the process serves anything at all."""
        return PlainTextResponse("ok\n")

    @health.get("/readyz", response_model=Ready, responses={503: {"model": Ready, "description": "Something does not work yet"}})
    def readyz() -> JSONResponse:
        """Each part and its state; 503 while one of them starts or has failed. A source out of reach only degrades."""
        parts = {name: Part.model_validate(part) for name, part in view.health().items()}
        ready = Ready(ready=all(part.state in {"ok", "degraded"} for part in parts.values()), parts=parts)
        return JSONResponse(ready.model_dump(), 200 if ready.ready else 503)

    @health.get("/metrics", response_class=PlainTextResponse)
    def metrics() -> Response:
        """Its own metrics in the text format of Prometheus."""
        return Response(generate_latest(view.telemetry.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return health
