"""Other projects, measured in the same run: in an environment of their own below `.venv`, and never needed by ours.

Without arguments it makes that environment, if it can; `peers.ask` measures in it.
"""

import json
import subprocess
import sys
import time
import venv
from pathlib import Path

HOME = Path(sys.prefix) / "peers"
PYTHON = HOME / "bin" / "python"
WANTED = ("river==0.23.0", "drain3==0.9.11", "typing-extensions")


def install() -> None:
    """Make the environment; without a registry there are no peers."""
    if (HOME / "made").exists():
        return
    venv.create(HOME, with_pip=True)
    made = subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *WANTED], check=False)
    if made.returncode == 0:
        (HOME / "made").touch()
    else:
        print("the peers could not be installed; their columns stay empty")


def ask(name: str, *arguments: str) -> float | None:
    """Records a second of a peer, or None where it is not installed."""
    if not (HOME / "made").exists():
        return None
    told = subprocess.run([PYTHON, __file__, name, *arguments], check=True, capture_output=True, text=True)
    return float(json.loads(told.stdout))


def river() -> float:
    """Points a second of river's StandardAbsoluteDeviation, scored and learnt one by one."""
    import random

    from river.anomaly import StandardAbsoluteDeviation

    values = [random.gauss(0, 1) for _ in range(300_000)]
    model = StandardAbsoluteDeviation()
    began = time.process_time()
    for value in values:
        model.score_one(None, value)
        model.learn_one(None, value)
    return len(values) / (time.process_time() - began)


def drain3(path: str) -> float:
    """Lines a second of drain3 with its default setting: templates alone, without a wire, a log or tables."""
    from drain3 import TemplateMiner

    lines = Path(path).read_text(encoding="utf-8").splitlines()
    miner = TemplateMiner()
    began = time.process_time()
    for line in lines:
        miner.add_log_message(line)
    return len(lines) / (time.process_time() - began)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        install()
    else:
        print(json.dumps({"river": river, "drain3": drain3}[sys.argv[1]](*sys.argv[2:])))
