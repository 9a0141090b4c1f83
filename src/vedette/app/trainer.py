"""A training in a process of its own, so that the stream keeps its processor, its memory and its life."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import structlog

#: What the child is told to run: the command line's own front door.
_ENTRY: Final = "from vedette.cli import main; main()"
_MIRROR: Final = """
import sys
from pathlib import Path
from vedette import config
from vedette.app.shelves import Shelves
Shelves(Path(sys.argv[1]), config.load(Path(sys.argv[2]) if sys.argv[2] else None)).mirror(print)
"""
#: Seconds in which a training that is told to stop has to.
_PATIENCE: Final = 10.0

log = structlog.get_logger()


class Trainer:
    """Starts `vedette train NAME` for the policy; one a model at a time.

    Args:
        home: where everything is kept.
        path: of the configuration; None for the defaults.
    """

    def __init__(self, home: Path, path: Path | None) -> None:
        self._home = home.resolve()
        self._path = path.resolve() if path else None
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._mirror: subprocess.Popen[bytes] | None = None

    def start(self, name: str, reason: str) -> None:
        """Begin a training of `name`; what it says goes to `training/NAME/log`."""
        folder = self._home / "training" / name
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-c", _ENTRY, "train", name, "--home", str(self._home), "--because", reason, "--actor", "policy"]
        if self._path:
            command += ["--config", str(self._path)]
        with (folder / "log").open("ab") as told:
            # In the home, where no other vedette.yaml lies that would be taken for ours.
            self._running[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=told, stderr=told, cwd=self._home)  # noqa: S603 -- our own command
        os.setpriority(os.PRIO_PROCESS, self._running[name].pid, 10)

    def mirror(self) -> None:
        """Tell MLflow where versions stand, in a process of its own: its client takes more memory than all the rest."""
        told = [sys.executable, "-c", _MIRROR, str(self._home), str(self._path or "")]
        # One at a time: the next look finds again what this one leaves.
        if self._mirror is None or self._mirror.poll() is not None:
            self._mirror = subprocess.Popen(told, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603

    def running(self, name: str) -> bool:
        """Whether a training of `name` runs; how one ended is told once."""
        process = self._running.get(name)
        if process is None:
            return False
        code = process.poll()
        if code is None:
            return True
        del self._running[name]
        if code:
            log.warning("a training ended badly", model=name, status=code, log=str(self._home / "training" / name / "log"))
        return False

    def close(self) -> None:
        """End what runs: it leaves no half version, and the next one goes on where it was."""
        started = [*self._running.values(), *([self._mirror] if self._mirror else [])]
        for process in started:
            process.terminate()
        for process in started:
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
