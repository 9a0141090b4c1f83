"""One POST to an address that was checked first: no redirects, no proxies of the environment, a time for the whole exchange."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import httpx

from vedette.act.receivers import Request
from vedette.core.errors import Transient

Checked = Callable[[str], tuple[str, int, str]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the status, and how many seconds the other side asks us to wait."""

    status: int
    retry_after: float | None = None


Post = Callable[[Request], Reply]


class Poster:
    """Makes requests. The address is checked at each of them, and the connection goes to the very address that was checked.

    Args:
        checked: URL -> host, port, address to connect to; raises `ConfigError` for what must not be connected to.
        context: how certificates are verified; the system's authorities by default.
    """

    def __init__(self, checked: Checked, context: ssl.SSLContext | None = None) -> None:
        self._checked = checked
        self._context = context or httpx.create_ssl_context()

    def __call__(self, request: Request) -> Reply:
        """Post; the body of the answer is not read, so it cannot be too large.

        Raises:
            ConfigError: the address is refused; nothing was sent.
            Transient: no answer in time, or no connection.
        """
        host, port, address = self._checked(request.url)
        parts = urlsplit(request.url)
        literal = f"[{address}]" if ":" in address else address
        url = urlunsplit((parts.scheme, f"{literal}:{port}", parts.path, parts.query, ""))
        headers = {**request.headers, "Host": parts.netloc, "Accept-Encoding": "identity"}
        try:
            return asyncio.run(self._post(url, host, request, headers))
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            why = (
                f"no answer within {request.timeout:g} s"
                if isinstance(error, TimeoutError | httpx.TimeoutException)
                else str(error)
            )
            raise Transient(f"{host}:{port}: {why or type(error).__name__}") from error

    async def _post(self, url: str, host: str, request: Request, headers: dict[str, str]) -> Reply:
        async with (
            asyncio.timeout(request.timeout),
            httpx.AsyncClient(verify=self._context, trust_env=False, follow_redirects=False, timeout=request.timeout) as client,
            client.stream("POST", url, content=request.body, headers=headers, extensions={"sni_hostname": host}) as answer,
        ):
            return Reply(answer.status_code, _seconds(answer.headers.get("retry-after", "")))


def _seconds(text: str) -> float | None:
    return min(float(text), 3600.0) if text.isdecimal() else None
