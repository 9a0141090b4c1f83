"""How a bench tells a figure: a line now, and a row of the table that `run.py` prints in the end."""

import json
import os
from pathlib import Path
from typing import NamedTuple

FILE = "VEDETTE_BENCH_FIGURES"


class Figure(NamedTuple):
    """What was measured, with its bar and its peers in words; `reached` is None where there is no bar."""

    what: str
    measured: str
    bar: str = ""
    reached: bool | None = None
    peer: str = ""


def at_least(what: str, value: float, unit: str, bar: float, peer: str = "") -> None:
    """Tell a figure that must not be smaller than its bar."""
    tell(Figure(what, f"{value:,.3g} {unit}", f">= {bar:,.4g}", value >= bar, peer))


def at_most(what: str, value: float, unit: str, bar: float, peer: str = "") -> None:
    """Tell a figure that must not be larger than its bar."""
    tell(Figure(what, f"{value:,.3g} {unit}", f"<= {bar:,.4g}", value <= bar, peer))


def tell(figure: Figure) -> None:
    """Print it, and keep it for the table."""
    print(line(figure), flush=True)
    if FILE in os.environ:
        with Path(os.environ[FILE]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(figure) + "\n")


def line(figure: Figure) -> str:
    """One row of the table."""
    word = {None: "", True: "reached", False: "MISSED"}[figure.reached]
    return f"{figure.what:52}{figure.measured:>22}  {figure.bar:>10} {word:8} {figure.peer}".rstrip()


def kept(path: Path) -> list[Figure]:
    """All figures told so far."""
    return [Figure(*json.loads(row)) for row in path.read_text(encoding="utf-8").splitlines()]
