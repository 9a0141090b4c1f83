"""An HTTP client that connects only where it may: each request's address is checked, and exactly that address is connected to."""

from collections.abc import Sequence

import httpx

from vedette.core.errors import ConfigError
from vedette.security.addresses import Resolve, checked, resolve


class Guarded(httpx.BaseTransport):
    """Checks the address of every request before `inner` connects to it; redirects are requests too.

    Raises:
        httpx.ConnectError: the address is refused, and why; nothing was connected to.
    """

    def __init__(self, inner: httpx.BaseTransport, allow: Sequence[str] = (), resolve: Resolve = resolve) -> None:
        self._inner = inner
        self._allow = tuple(allow)
        self._resolve = resolve

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` to the address that was checked; the name stays in the Host header and in TLS."""
        try:
            host, _, address = checked(str(request.url), self._allow, resolve=self._resolve)
        except ConfigError as error:
            raise httpx.ConnectError(str(error), request=request) from error
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=address)
        return self._inner.handle_request(request)

    def close(self) -> None:
        """Close the connections of `inner`."""
        self._inner.close()


def client(allow: Sequence[str] = (), timeout: float = 10.0) -> httpx.Client:
    """A client with time-outs everywhere that follows no redirect, trusts no proxy setting, and connects only where it may."""
    return httpx.Client(transport=Guarded(httpx.HTTPTransport(), allow), timeout=timeout, follow_redirects=False, trust_env=False)
