"""What MLflow's own client sees of us, and that nothing depends on it."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from vedette.core.errors import Rejected, Transient
from vedette.registry import RegistrySettings

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.xdist_group("mlflow")]


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """An empty database of MLflow's, which takes seconds to make."""
    from mlflow import MlflowClient

    from vedette.registry import mirror

    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == mirror.LIMITS["MLFLOW_DISABLE_TELEMETRY"]
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}", f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def pointers():
    return {}


@pytest.fixture
def mirror(tmp_path, registry, pointers, empty):
    from vedette.registry.mirror import Mirror

    shutil.copy(empty, tmp_path / "mlflow.db")
    return Mirror(tmp_path, registry, lambda _name: dict(pointers))


@pytest.fixture
def client(mirror):
    """MLflow's client alone, as a data scientist has it."""
    from mlflow import MlflowClient

    return MlflowClient(mirror.uri, mirror.uri)


def point(pointers, alias, version, _before=None):
    if version is None:
        del pointers[alias]
    else:
        pointers[alias] = version


def test_mlflows_client_sees_runs_versions_and_aliases(registry, make, papers, pointers, mirror, client):
    card = registry.add(make(), papers)
    registry.add(make(2), papers)
    point(pointers, "champion", 1)
    point(pointers, "challenger", 2)
    assert mirror.reconcile() == ("web@1: mirrored", "web@2: mirrored", "web: challenger is 2", "web: champion is 1")
    champion = client.get_model_version_by_alias("web", "champion")
    assert (int(champion.version), champion.tags["vedette.digest"]) == (1, card.digest)
    assert champion.tags["vedette.stage"] == "champion"
    assert champion.tags["vedette.dataset"] == "days@3"
    assert champion.tags["vedette.gates"] == "passed"
    run = client.get_run(champion.run_id)
    assert (run.info.run_name, run.info.status) == ("web@1", "FINISHED")
    assert run.data.metrics == {"alarms_per_week": 0.4, "delay_seconds": 12.5}
    assert run.data.params["kind"] == "envelope"
    assert run.data.params["parameters.seasons"] == "[24,168]"
    assert {each.path for each in client.list_artifacts(champion.run_id, "model")} >= {"model/MLmodel", "model/report.html"}
    assert int(client.get_model_version_by_alias("web", "challenger").version) == 2


def test_again_and_again_changes_nothing(registry, make, papers, pointers, mirror):
    registry.add(make(), papers)
    point(pointers, "champion", 1)
    assert mirror.reconcile()
    assert mirror.reconcile() == ()


def test_aliases_follow(registry, make, papers, pointers, mirror, client):
    registry.add(make(), papers)
    registry.add(make(2), papers)
    point(pointers, "champion", 1)
    point(pointers, "challenger", 2)
    mirror.reconcile()
    point(pointers, "challenger", None, 2)
    point(pointers, "champion", 2, 1)
    assert set(mirror.reconcile()) == {"web@1: no alias", "web@2: champion", "web: champion is 2", "web: challenger is nowhere"}
    assert {alias: int(version) for alias, version in client.get_registered_model("web").aliases.items()} == {"champion": 2}
    assert client.get_model_version("web", "1").tags["vedette.stage"] == "none"


def test_versions_keep_their_numbers_whatever_mlflow_missed(registry, make, papers, mirror, client, tmp_path):
    for _ in range(5):
        registry.add(make(), papers)
    registry.prune("web", ())
    assert mirror.reconcile() == ("web@3: mirrored", "web@4: mirrored", "web@5: mirrored")
    assert sorted(int(each.version) for each in client.search_model_versions("name = 'web'")) == [3, 4, 5]
    copy = Path(client.get_model_version("web", "3").source.removeprefix("file://"))
    assert (copy / "card.json").exists()
    registry.add(make(), papers)
    registry.prune("web", ())
    assert mirror.reconcile() == ("web@6: mirrored", "web@3: let go")
    assert not copy.exists()
    assert registry.load("web", 4)


def test_a_round_that_died_half_way_is_completed(registry, make, papers, mirror, client, monkeypatch):
    registry.add(make(), papers)
    monkeypatch.setattr(type(mirror), "_version", lambda *_: (_ for _ in ()).throw(OSError("killed")))
    with pytest.raises(Transient, match="the versions are safe"):
        mirror.reconcile()
    monkeypatch.undo()
    assert mirror.reconcile() == ("web@1: mirrored",)
    assert len(client.search_runs([client.get_experiment_by_name("web").experiment_id])) == 1


def test_versions_that_are_not_ours_are_left_alone_and_told(registry, make, papers, mirror, client):
    client.create_registered_model("web")
    client.create_model_version("web", "file:///elsewhere", await_creation_for=0)
    registry.add(make(), papers)
    registry.add(make(name="xyz"), papers)
    with pytest.raises(Rejected, match="MLflow holds another web@1 than ours"):
        mirror.reconcile()
    assert client.get_model_version("web", "1").source == "file:///elsewhere"
    assert client.get_model_version("xyz", "1").tags["vedette.label"] == "xyz@1"


def test_what_mlflow_would_not_take_is_taken_even_so(registry, make, mirror):
    odd = make()
    card = replace(odd.card, parameters={"a b/c:d": "x" * 9000, "ü": None}, metrics={f"m{n}é": float(n) for n in range(300)})
    registry.add(replace(odd, card=card), {})
    assert mirror.reconcile() == ("web@1: mirrored",)


@pytest.fixture
def black_hole():
    """The address of somebody who takes every connection and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"http://user:hunter2@127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def broken():
    """The address of a server that answers 500."""

    class Broken(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(500)
            self.send_header("content-length", "0")
            self.end_headers()

        def do_POST(self):
            self.do_GET()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("how", ["black_hole", "broken", "nobody"])
def test_while_mlflow_is_away_all_goes_on_and_every_call_ends(
    request, how, tmp_path, registry, make, papers, pointers, mirror, monkeypatch
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    uri = "http://127.0.0.1:9" if how == "nobody" else request.getfixturevalue(how)
    away = type(mirror)(tmp_path, registry, lambda _name: dict(pointers), RegistrySettings(tracking_uri=uri))
    registry.add(make(), papers)
    began = time.monotonic()
    with pytest.raises(Transient, match="mirrored later") as told:
        away.reconcile()
    assert time.monotonic() - began < 15
    assert "hunter2" not in str(told.value)
    point(pointers, "champion", 1)
    assert registry.load("web", 1)
    assert registry.add(make(2), papers).version == 2
    assert mirror.reconcile() == ("web@1: mirrored", "web@2: mirrored", "web: champion is 1")


def test_the_limits_bind_by_default():
    from vedette.registry import mirror

    assert int(mirror.LIMITS["MLFLOW_HTTP_REQUEST_TIMEOUT"]) * (1 + int(mirror.LIMITS["MLFLOW_HTTP_REQUEST_MAX_RETRIES"])) <= 10


@pytest.mark.servers
def test_a_real_mlflow_server_takes_it(tmp_path, registry, make, papers, pointers, monkeypatch):
    program = os.environ.get("VEDETTE_MLFLOW")
    if program is None:
        pytest.skip("set VEDETTE_MLFLOW to the `mlflow` program of a full MLflow, which is a server too")
    from mlflow import MlflowClient

    from vedette.registry.mirror import Mirror

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    stores = ["--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}", "--artifacts-destination", str(tmp_path / "artefacts")]
    command = [program, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", *stores]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    uri = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                if httpx.get(f"{uri}/health", trust_env=False).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.25)
        registry.add(make(), papers)
        registry.add(make(2), papers)
        point(pointers, "champion", 2)
        mirror = Mirror(tmp_path, registry, lambda _name: dict(pointers), RegistrySettings(tracking_uri=uri))
        assert mirror.reconcile() == ("web@1: mirrored", "web@2: mirrored", "web: champion is 2")
        assert mirror.reconcile() == ()
        champion = MlflowClient(uri, uri).get_model_version_by_alias("web", "champion")
        assert int(champion.version) == 2
        assert {path.name for path in (tmp_path / "artefacts").rglob("*.safetensors")} == {"state.safetensors"}
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


def test_nobody_else_imports_mlflow():
    script = "import sys, vedette.registry, vedette.registry.pyfunc, vedette.registry.signing; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": ":".join(sys.path)}, check=False).returncode == 0
