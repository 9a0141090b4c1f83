"""Vedette as it is shipped, as a child process on a home of its own: for tests that kill it, fill its disk, or flood it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

READY_SECONDS: Final = 180.0
#: What the libraries of a process are taken to hold resident, as was seen where the kernel maps them page by page.
LIBRARIES: Final = 190 << 20


class Process:
    """`vedette up` on `folder/home` with the configuration `declared`; started and ended as often as wanted, killed on exit.

    Args:
        folder: an existing one, for the configuration, the home and what the process says on stderr (`log`).
        declared: the text of its `vedette.yaml`.
    """

    def __init__(self, folder: Path, declared: str) -> None:
        self.home = folder / "home"
        self._config = folder / "vedette.yaml"
        self._config.write_text(declared, encoding="utf-8")
        self._said = folder / "log"
        self._child: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.url = f"http://{self.address}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._child is not None and self._child.poll() is None:
            self.end(signal.SIGKILL)

    def start(self, environment: Mapping[str, str] | None = None) -> float:
        """Start it and wait until `/readyz` says 200; the seconds that took.

        Raises:
            TimeoutError: it is not ready in time; the message is the end of what it said.
            ChildProcessError: it ended instead.
        """
        began = time.monotonic()
        self.spawn(environment)
        while time.monotonic() < began + READY_SECONDS:
            with suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/readyz", timeout=2, trust_env=False).status_code == httpx.codes.OK:
                    return time.monotonic() - began
            if self.child.poll() is not None:
                raise ChildProcessError(f"it ended with {self.child.returncode}: {self.said()[-3000:]}")
            time.sleep(0.02)
        raise TimeoutError(f"not ready within {READY_SECONDS:g} s: {self.said()[-3000:]}")

    def spawn(self, environment: Mapping[str, str] | None = None) -> None:
        """Start it and do not wait."""
        program = Path(sys.executable).with_name("vedette")
        options = ["--home", str(self.home), "--config", str(self._config), "--listen", self.address]
        with self._said.open("ab") as said:
            self._child = subprocess.Popen(  # noqa: S603 -- our own program
                [str(program), "up", *options], stdout=said, stderr=said, env={**os.environ, **(environment or {})}
            )

    @property
    def child(self) -> subprocess.Popen[bytes]:
        """The process that was started last."""
        if self._child is None:
            raise RuntimeError("it was not started")
        return self._child

    def end(self, how: int = signal.SIGTERM, seconds: float = 60.0) -> int:
        """Send it a signal and wait for its end; its exit code."""
        self.child.send_signal(how)
        return self.child.wait(seconds)

    def said(self) -> str:
        """Everything it said so far, all starts together."""
        return self._said.read_text(encoding="utf-8", errors="replace") if self._said.exists() else ""

    def status(self) -> dict[str, Any]:
        """What `/api/status` says now."""
        found: dict[str, Any] = httpx.get(f"{self.url}/api/status", timeout=30, trust_env=False).raise_for_status().json()
        return found

    def health(self) -> dict[str, Any]:
        """What `/readyz` says now."""
        found: dict[str, Any] = httpx.get(f"{self.url}/readyz", timeout=30, trust_env=False).json()
        return found

    def metrics(self) -> dict[str, float]:
        """Its own metrics: `name{label="value"}` -> value."""
        text = httpx.get(f"{self.url}/metrics", timeout=30, trust_env=False).text
        rows = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in rows}

    def drain(self, seconds: float = 60.0) -> None:
        """Wait until everything in its log was processed.

        Raises:
            TimeoutError: it was not.
        """
        end = time.monotonic() + seconds
        while self.status()["lag"]:
            if time.monotonic() > end:
                raise TimeoutError(f"the log was not worked off within {seconds:g} s: {self.status()}")
            time.sleep(0.1)

    def memory(self) -> tuple[int, int]:
        """Its resident bytes: now, and at most since it was started; its libraries count as `LIBRARIES`.

        How much of a library is mapped depends on what the kernel has cached of its file: the same process was seen with 190 and
        with 300 MiB of them.
        """
        lines = Path(f"/proc/{self.child.pid}/status").read_text(encoding="ascii").splitlines()
        parts = (line.partition(":") for line in lines)
        kilobytes = {name: int(rest.split()[0]) for name, _, rest in parts if name.startswith(("Vm", "Rss"))}
        own = {name: (kilobytes[name] - kilobytes["RssFile"]) << 10 for name in ("VmRSS", "VmHWM")}
        return own["VmRSS"] + LIBRARIES, own["VmHWM"] + LIBRARIES
