"""Starts real servers for the tests of this folder: on free loopback ports, with the configurations that `deploy/` ships."""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"


class Town:
    """Servers by name, each with the addresses that it got instead of those in its example; all in one folder.

    A process is started by `start` and killed or stopped by its name. What listens where is decided once, so that a
    server that is started anew is found where it was.
    """

    def __init__(self, folder):
        self.folder = folder
        self.http = httpx.Client(trust_env=False, timeout=10)
        self._ports = {}
        self._running = {}
        self._undo = ExitStack()
        self._undo.callback(self.http.close)

    def address(self, usual):
        """Where that which usually listens on `usual` listens here."""
        if usual not in self._ports:
            with socket.socket() as made:
                made.bind(("127.0.0.1", 0))
                self._ports[usual] = made.getsockname()[1]
        return f"127.0.0.1:{self._ports[usual]}"

    def configuration(self, example, **instead):
        """The path of a copy of `deploy/senders/{example}` with our ports, and with each text of `instead` replaced."""
        text = (DEPLOY / "senders" / example).read_text(encoding="utf-8")
        for usual in (4680, 5514, 9090, 9093, 9100):
            ours = self.address(usual).rpartition(":")[2]
            text = text.replace(f"127.0.0.1:{usual}", f"127.0.0.1:{ours}").replace(f'port="{usual}"', f'port="{ours}"')
        for old, new in instead.items():
            assert old in text, f"{example} no longer says {old!r}"
            text = text.replace(old, new)
        path = self.folder / example
        path.write_text(text, encoding="utf-8")
        return path

    def start(self, name, *command):
        """Start a server; its output is kept in a file of its name."""
        if shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not installed; `make servers` installs it")
        log = self._undo.enter_context((self.folder / f"{name}.log").open("ab"))
        quiet = {each: os.environ[each] for each in ("PATH", "HOME", "LANG") if each in os.environ}
        process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, env=quiet)
        self._running[name] = process

    def start_vedette(self, **instead):
        """Vedette with `deploy/senders/vedette.yaml`; returns when it is ready."""
        path = self.configuration("vedette.yaml", **instead)
        vedette = str(Path(sys.executable).with_name("vedette"))
        self.start("vedette", vedette, "up", "--home", self.folder / "home", "--config", path, "--listen", self.address(4680))
        self.wait_for(lambda: self.get(4680, "/readyz")["ready"], 180)

    def kill(self, name):
        """End a server as a power cut would."""
        self._running[name].kill()
        self._running[name].wait(20)

    def get(self, usual, path, **query):
        """The JSON answer of what usually listens on `usual`."""
        return self.http.get(f"http://{self.address(usual)}{path}", params=query).raise_for_status().json()

    def post(self, usual, path, document):
        """Hand a JSON document to what usually listens on `usual`."""
        self.http.post(f"http://{self.address(usual)}{path}", json=document).raise_for_status()

    def wait_for(self, what, seconds=90.0):
        """The first true answer of `what`, which may find nobody until then."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if found := what():
                    return found
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        logs = "\n".join(f"{path.name}: {path.read_text(errors='replace')[-2000:]}" for path in self.folder.glob("*.log"))
        pytest.fail(f"nothing came within {seconds:g} s\n{logs}")

    def close(self):
        """End every server, senders before what they send to."""
        with self._undo:
            for process in reversed(self._running.values()):
                self._undo.callback(process.kill)  # where it does not end by itself
                process.terminate()
                process.wait(30)


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """An empty town; what a module's tests start in it is ended after the last of them."""
    made = Town(tmp_path_factory.mktemp("town"))
    yield made
    made.close()
