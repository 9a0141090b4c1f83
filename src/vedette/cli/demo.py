"""`vedette demo`: weeks of a made-up company in time-lapse, through the very code that runs live."""

import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from vedette.app import kernels
from vedette.cli.console import say, visible
from vedette.core.errors import Rejected
from vedette.core.telemetry import configure_logging
from vedette.testing.simulation import DAY, START
from vedette.testing.story import DAYS, DECLARED, Story, Told

STYLES: Final = {
    "chapter": "bold",
    "decision": "green",
    "heard": "cyan",
    "incident": "yellow",
    "operator": "cyan",
    "signal": "magenta",
    "training": "blue",
}
#: Of one line: the reasons of a refusal are long, and kept in full.
LONGEST: Final = 400
OPENING: Final = """\
A small company that does not exist: web, checkout, search, orders and a database, seven hosts, 49 metrics and their logs.
You will see three weeks and a half of it pass. Everything but the company is real: the same detector, incidents, training,
gates, signed registry, shadow, canary, roll-back and monitors that run live. Times are the company's.
"""


def demo(home: Path | None, *, seed: int, look: bool) -> None:
    """Tell the story, then say where to look at what is left of it.

    Raises:
        Rejected: there is something in the folder already.
    """
    place = home or Path(tempfile.mkdtemp(prefix="vedette-demo-"))
    if place.exists() and any(place.iterdir()):
        raise Rejected(f"{place}: there is something here already; name an empty folder with --home")
    configure_logging("error", json=not sys.stderr.isatty())
    kernels.ensure(say)()
    begun, start = time.monotonic(), _monday(time.time_ns() // 1000)
    console = Console(stderr=True, highlight=False)
    console.print(OPENING, markup=False, soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as shown:
        task = shown.add_task("24 days", total=1.0)

        def tell(told: Told) -> None:
            style = STYLES.get(told.kind, "")
            lead = f"\nday {(told.at - start) // DAY + 1}: " if told.kind == "chapter" else f"{_moment(told.at)}  {told.kind:<9} "
            shown.console.print(lead + visible(told.text)[:LONGEST], style=style, markup=False, soft_wrap=True)

        for share in Story(place, seed, tell, start=start).play():
            shown.update(task, completed=share)
    (place / "vedette.yaml").write_text(f"{DECLARED}lake: {{retention_days: {{metrics: 90, verdicts: 90}}}}\n", encoding="utf-8")
    console.print(f"\nThat was 24 days in {time.monotonic() - begun:.0f} s. It is all kept in {place}:", markup=False)
    for line in _next(place):
        console.print(f"  {line}", markup=False, soft_wrap=True)
    if look:
        _serve(place)
    elif home is None:
        say(f"Remove it with: rm -r {place}")


def _monday(now: int) -> int:
    """A Monday, as the company's weeks begin, from which the story ends before `now`, UTC microseconds."""
    weeks = (now - int(DAYS * DAY) - START) // (7 * DAY)
    return START + weeks * 7 * DAY


def _moment(micros: int) -> str:
    return f"{datetime.fromtimestamp(micros / 1e6, UTC):%a %d %b %H:%M}"


def _next(place: Path) -> tuple[str, ...]:
    config = place / "vedette.yaml"
    return (
        f"vedette models services --home {place}     its versions, what each gate found, and every decision",
        f"vedette incidents --all --home {place}     what was raised, and what people said",
        f"vedette up --home {place} --config {config}     the pages: http://127.0.0.1:4680/models",
    )


def _serve(place: Path) -> None:
    from vedette.cli.up import up

    up(place, place / "vedette.yaml", "")
