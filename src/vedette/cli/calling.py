"""How a verb speaks to the process that runs on a home."""

import ssl
from pathlib import Path

import httpx

from vedette import config
from vedette.app import home as at_home
from vedette.core.errors import Rejected


def caller(home: Path, path: Path | None) -> httpx.Client:
    """A client of the running process, with the token and the certificate that the configuration in `path` names.

    Raises:
        Rejected: nothing runs on this home.
    """
    web = config.load(path).web
    status = at_home.read_status(home)
    if not status["running"]:
        raise Rejected(f"{home}: it does not run; start it with: vedette up --home {home}")
    scheme, trusted = ("https", ssl.create_default_context(cafile=web.tls.certificate)) if web.tls else ("http", True)
    headers = {"authorization": f"Bearer {web.token}"} if web.token else {}
    return httpx.Client(base_url=f"{scheme}://{status['address']}", timeout=10, trust_env=False, headers=headers, verify=trusted)
