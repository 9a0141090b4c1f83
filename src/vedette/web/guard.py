"""Who may come in: by which name we were called, with which token, and from which page.

A browser is an agent of whoever wrote the page it shows. So a request counts only when it names us by a name that is ours
(a foreign name that resolves to us is DNS rebinding), and one that changes something only when it does not come from another
site's page. Both are decided from headers that scripts in a browser cannot set.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import ip_address
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: What every answer carries. No page needs anything from elsewhere, nor a script or a style written into it.
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: that makes browsers send `Origin: null` with our own forms, which we refuse.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
OPEN: Final = frozenset({"/livez"})
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_NAMED: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?", re.ASCII)
_ASK: Final = 'Basic realm="Vedette: any name, and the token as the password", charset="UTF-8"'


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody may not come in."""

    status: int
    reason: str
    headers: dict[str, str] = field(default_factory=dict)


Check = Callable[[Scope, Headers], Refusal | None]


class Guard:
    """An ASGI middleware: the first check that refuses answers; what passes all of them gets `HEADERS` on its way out.

    A route that sets one of them itself, such as a stricter policy, keeps its own.
    """

    def __init__(self, app: ASGIApp, checks: Iterable[Check]) -> None:
        self._app = app
        self._checks = tuple(checks)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (*HEADERS.items(), ("Cache-Control", "no-store")):
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        refusal = next(filter(None, (check(scope, headers) for check in self._checks)), None)
        if refusal is None:
            await self._app(scope, receive, dressed)
            return
        body = {"error": refusal.reason, "field": "", "position": None}
        await JSONResponse(body, refusal.status, headers=refusal.headers)(scope, receive, dressed)


def host_check(listen: str, names: Iterable[str]) -> Check:
    """Refuse a request under a name that is not ours.

    Args:
        listen: `HOST:PORT` that we listen on.
        names: further names.
    """
    own = listen.rpartition(":")[0].lower()
    bare = own.strip("[]")
    known = {"localhost", "127.0.0.1", "[::1]", *(name.lower() for name in names)}
    if not _is_any_address(bare):
        known.add(f"[{bare}]" if ":" in bare else bare)

    def check(_scope: Scope, headers: Headers) -> Refusal | None:
        given = headers.getlist("host")
        found = _NAMED.fullmatch(given[0].lower()) if len(given) == 1 else None
        if found and found[1] in known:
            return None
        return Refusal(400, "the Host header names nobody here; add the name to web.hosts if it is yours")

    return check


def token_check(token: str) -> Check:
    """Refuse a request without `token`, as a bearer or as the password of a browser's log-in; an empty token refuses nobody."""
    expected = _digest(token)

    def check(scope: Scope, headers: Headers) -> Refusal | None:
        if not token or scope["path"] in OPEN:
            return None
        given = headers.get("authorization", "")
        scheme, _, text = given.partition(" ")
        offered = basic(given)[1] if scheme.lower() == "basic" else text.strip()
        if scheme.lower() in {"bearer", "basic"} and hmac.compare_digest(_digest(offered), expected):
            return None
        return Refusal(401, "the token of web.token is needed: Authorization: Bearer TOKEN", {"WWW-Authenticate": _ASK})

    return check


def origin_check(scope: Scope, headers: Headers) -> Refusal | None:
    """Refuse a request of a browser that would change something and was not made by one of our own pages."""
    if scope["method"] in _SAFE:
        return None
    origin = headers.get("origin")
    site = headers.get("sec-fetch-site", "none")
    host = headers.get("host", "").lower()
    ours = origin is None or origin.lower() in {f"http://{host}", f"https://{host}"}
    if ours and site in {"same-origin", "none"}:
        return None
    return Refusal(403, "a page of another site may not change anything here")


def basic(authorization: str) -> tuple[str, str]:
    """Name and password of HTTP Basic; both empty where it is something else.

    >>> basic("Basic YW5uOnNlY3JldA=="), basic("Bearer x"), basic("Basic !")
    (('ann', 'secret'), ('', ''), ('', ''))
    """
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, password


def _digest(text: str) -> bytes:
    """Of one length whatever the text, so that comparing tells not even that."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _is_any_address(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False
