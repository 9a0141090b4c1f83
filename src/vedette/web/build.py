"""From a running pipeline to the application that serves it."""

from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.routing import Route

from vedette import __version__
from vedette.web import api, assets, failures, health, inference, models, pages
from vedette.web.guard import Guard, host_check, origin_check, token_check
from vedette.web.openapi import document
from vedette.web.reader import Reader
from vedette.web.view import View


def build(view: View) -> FastAPI:
    """Everything that is served on the one port.

    Args:
        view: a running pipeline, such as an entered `vedette.app.App`.
    """
    web = view.config.web
    checks = (host_check(web.listen, web.hosts), token_check(web.token), origin_check)
    receivers, served = view.receivers(), inference.routes(lambda: view.serving)
    reader = Reader(view.lake)
    templates = pages.environment()
    app = Application(
        title="Vedette",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        middleware=[Middleware(Guard, checks=checks)],
    )
    app.receivers, app.served = receivers, served
    # What others send to, and ask models, comes first: it is the busiest by far.
    app.router.routes[:0] = [*receivers, *served]
    app.include_router(health.routes(view))
    app.include_router(api.routes(view, reader))
    app.include_router(models.api(view))
    app.include_router(pages.routes(view, reader, templates))
    app.include_router(models.pages(view, templates))
    app.router.routes.append(assets.ROUTE)
    failures.install(app, templates)
    return app


class Application(FastAPI):
    """FastAPI, whose OpenAPI document also names the routes that were not declared to it."""

    receivers: list[Route]
    served: list[Route]

    def openapi(self) -> dict[str, Any]:
        """The document, with the receivers and what models are asked; made once."""
        if self.openapi_schema is None:
            self.openapi_schema = document(super().openapi(), self.receivers, self.served)
        return self.openapi_schema
