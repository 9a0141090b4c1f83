"""The speed table of docs/performance.md: one bench after the other, then all figures beside their bars and peers.

`python bench/run.py wire stream` runs only those. Quality (`detector.py`, `templates.py`) is measured by those scripts themselves.
"""

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from figures import FILE, kept, line

BENCHES = {
    "peers": (),
    "wire": (),
    "detector": ("speed",),
    "stream": (),
    "footprint": (),
    "log": (),
    "prepare": (),
    "push": (),
    "files": (),
    "inference": (),
}


def main() -> None:
    """Run them all, or those named."""
    folder = Path(__file__).parent
    with tempfile.TemporaryDirectory(prefix="vedette-bench-") as scratch:
        figures = Path(scratch) / "figures"
        figures.touch()
        for name in sys.argv[1:] or BENCHES:
            print(f"== {name}", flush=True)
            subprocess.run(
                [sys.executable, str(folder / f"{name}.py"), *BENCHES.get(name, ())],
                check=True,
                env={**os.environ, FILE: str(figures)},
            )
        print(f"\n{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}")
        for figure in kept(figures):
            print(line(figure))


def processor() -> str:
    """The name of the processor."""
    named = [
        row.partition(":")[2].strip() for row in Path("/proc/cpuinfo").read_text().splitlines() if row.startswith("model name")
    ]
    return named[0] if named else platform.machine()


if __name__ == "__main__":
    main()
