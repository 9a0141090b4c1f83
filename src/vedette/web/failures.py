"""From our errors to answers, in one place. Nothing of a traceback leaves the house."""

import math
from collections.abc import Callable

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from jinja2 import Environment
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from vedette.core.errors import BadRecord, ConfigError, NotFound, Rejected, Transient, VedetteError
from vedette.web.answers import Fault
from vedette.web.guard import HEADERS
from vedette.web.text import visible

_MACHINES = (
    *("/api/", "/push/", "/hooks/", "/v1/", "/v2", "/invocations", "/ping", "/version", "/health"),
    *("/static/", "/metrics", "/livez", "/readyz"),
)
log = structlog.get_logger()


def install(app: FastAPI, templates: Environment) -> None:
    """Answer every error of `app`: as a JSON document, or as a page where a browser asked for one."""

    def answer(request: Request, status: int, fault: Fault, headers: dict[str, str] | None = None) -> Response:
        if request.url.path.startswith(_MACHINES) or "text/html" not in request.headers.get("accept", ""):
            return JSONResponse(fault.model_dump(), status, headers=headers)
        page = templates.get_template("error.html.j2").render(status=status, fault=fault)
        return HTMLResponse(page, status, headers=headers)

    def ours(request: Request, error: VedetteError) -> Response:
        fault = Fault(error=visible(str(error)))
        if isinstance(error, BadRecord):
            fault = Fault(error=visible(error.reason), field=visible(error.field), position=error.position)
        wait = {"Retry-After": str(max(1, math.ceil(error.retry_after)))} if isinstance(error, Transient) else None
        return answer(request, status_of(error), fault, wait)

    def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:] or first["loc"])
        return answer(request, 400, Fault(error=visible(first["msg"]), field=visible(where)))

    def plain(request: Request, error: HTTPException) -> Response:
        reason = "nothing has this address" if error.status_code == 404 else error.detail
        return answer(request, error.status_code, Fault(error=reason), dict(error.headers or {}))

    def unexpected(request: Request, error: Exception) -> Response:
        log.error("a request failed", path=visible(request.url.path), exc_info=error)
        return answer(request, 500, Fault(error="something went wrong here; the log says what"), dict(HEADERS))

    handlers: list[tuple[type[Exception], Callable[..., Response]]] = [
        (VedetteError, ours),
        (RequestValidationError, invalid),
        (HTTPException, plain),
        (Exception, unexpected),
    ]
    for kind, handler in handlers:
        app.add_exception_handler(kind, handler)


def status_of(error: VedetteError) -> int:
    """The HTTP status that says what the caller should do.

    >>> status_of(NotFound("x")), status_of(Transient("x")), status_of(BadRecord("x", status=413))
    (404, 503, 413)
    """
    match error:
        case BadRecord():
            return error.status
        case NotFound():
            return 404
        case Transient():
            return 503
        case ConfigError():
            return 400
        case Rejected():
            return 409
        case _:
            return 500
