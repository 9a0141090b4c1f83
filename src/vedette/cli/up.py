"""`vedette up`: everything in one process."""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
import uvloop

from vedette import __version__, config
from vedette.app import kernels
from vedette.app.stream import App
from vedette.cli.console import say
from vedette.core.errors import ConfigError
from vedette.core.telemetry import configure_logging
from vedette.web import build


def up(home: Path, path: Path | None, listen: str) -> None:
    """Start, say where, run until a signal, stop."""
    declared = config.load(path, listen)
    configure_logging(json=not sys.stderr.isatty())
    address = declared.web.listen
    compiled = kernels.ensure(say)
    with _bound(address) as port, App(declared, home, lambda: time.time_ns() // 1000, compiled, path) as app:
        tls = declared.web.tls
        settings = uvicorn.Config(
            build(app),
            http="httptools",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
            ssl_certfile=str(tls.certificate) if tls else None,
            ssl_keyfile=str(tls.key) if tls else None,
        )
        watched = ", ".join(declared.sources) or "what is sent to it"
        greeting = (
            f"Vedette {__version__} watches {watched}, and keeps everything in {home}.\n"
            f"Look at {'https' if tls else 'http'}://{address}/ and stop it with Ctrl-C.\n"
            "A new series has its first scores after about five minutes; until then nothing is said of it."
        )
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            loop.run(_serve(app, _Server(settings, lambda: say(greeting)), port))


class _Server(uvicorn.Server):
    """Says when it can be asked, and ends when told by a signal; the rest of the process then ends in order.

    uvicorn itself would send the signal to the process once more.
    """

    def __init__(self, settings: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(settings)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, self.handle_exit, each, None)
        yield


async def _serve(app: App, server: uvicorn.Server, port: socket.socket) -> None:
    async with app.listeners():
        await server.serve(sockets=[port])


def _bound(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, int(port)))
    except OSError as error:
        listener.close()
        raise ConfigError(
            [f"web.listen: {address} cannot be listened on ({error.strerror}); choose another with --listen"]
        ) from error
    return listener
