"""R14: MLflow hangs, refuses or is broken. A training ends with a version all the same, and what is served does not notice."""

import socket
import threading
import time
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import polars as pl
import pytest

from vedette.app.training import Asked, Training
from vedette.config import Config
from vedette.core.document import read
from vedette.core.types import Decision

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.xdist_group("mlflow")]


class Broken(BaseHTTPRequestHandler):
    """Answers 500 to everything."""

    def do_GET(self):
        self.send_response(500)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_POST(self):
        self.do_GET()

    def log_message(self, *_):
        pass


@contextmanager
def hangs():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


@contextmanager
def broken():
    with ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@contextmanager
def refuses():
    yield 9


@pytest.mark.parametrize("how", [hangs, broken, refuses])
def test_a_training_ends_with_a_version_and_the_champion_is_served_without_mlflow(going_on, settings, monkeypatch, how):
    for name, value in (("REQUEST_TIMEOUT", "1"), ("REQUEST_MAX_RETRIES", "1"), ("REQUEST_BACKOFF_FACTOR", "0")):
        monkeypatch.setenv(f"MLFLOW_HTTP_{name}", value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with how() as port:
        declared = settings + f"registry: {{tracking_uri: 'http://user:hunter2@127.0.0.1:{port}'}}\n"
        began = time.monotonic()
        running = going_on(declared=declared)
        running.live(0.25)
        assert time.monotonic() - began < 10
        said = running.said_of().filter(pl.col("at") == pl.col("at").max(), pl.col("model") == "services")
        assert set(said["version"]) == {"1"}
        told = []
        training = Training(running.home, read(declared, Config), running.now, told.append)
        trained = training.train("services", Asked("MLflow is away", until=running.at))
        assert trained.card.version == 2
        assert running.loop.shelves.registry.load("services", 2)
        assert "MLflow was not told" in told[-1]
        assert "hunter2" not in told[-1]
        running.loop.deployments.decide(
            Decision(running.at, "services", 2, "PROMOTE", "champion", "by the test"), running.standing()
        )
        running.live(0.5)
        last = running.said_of().filter(pl.col("at") == pl.col("at").max(), pl.col("model") == "services")
        assert set(last["version"]) == {"2"}
        assert time.monotonic() - began < 60
