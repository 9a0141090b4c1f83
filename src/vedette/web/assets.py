"""What pages load: our own few files, and the script of Plotly out of its installed package."""

import gzip
import re
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vedette.core.errors import NotFound

_TYPES: Final = {
    "vedette.css": "text/css; charset=utf-8",
    "charts.js": "text/javascript; charset=utf-8",
    "mark.svg": "image/svg+xml",
    "plotly.min.js": "text/javascript; charset=utf-8",
}
_FOREVER: Final = "public, max-age=31536000, immutable"


def _content(name: str) -> bytes:
    if name == "plotly.min.js":
        return (files("plotly") / "package_data" / name).read_bytes()
    return (files("vedette.web") / "static" / name).read_bytes()


@cache
def packed(name: str) -> bytes:
    """A file as gzip; made once, since the largest has five megabytes."""
    return gzip.compress(_content(name), 6, mtime=0)


@cache
def style_guards() -> tuple[str, ...]:
    """Ids under which the script of Plotly looks for styles before it writes them into the page, which the policy forbids.

    Where an element of that id is there already, nothing is written; what charts need of it is in `vedette.css`.
    """
    found = re.findall(rb'getElementById\("([0-9a-f]{64})"\)', _content("plotly.min.js"))
    return tuple(each.decode() for each in dict.fromkeys(found))


#: Part of every address, so that what a browser kept of another version is not used.
VERSION: Final = sha256(b"".join(_content(name) for name in _TYPES if name != "plotly.min.js")).hexdigest()[:12] + version("plotly")


def _serve(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _TYPES:
        raise NotFound("there is no such file")
    headers = {"Cache-Control": _FOREVER, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(packed(name), headers=headers | {"Content-Encoding": "gzip"}, media_type=_TYPES[name])
    return Response(_content(name), headers=headers, media_type=_TYPES[name])


ROUTE: Final = Route("/static/{name}", _serve)
