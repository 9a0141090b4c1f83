"""How far long work is: a bar on a terminal, a line now and then elsewhere, both on stderr."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from vedette.cli.console import say, visible
from vedette.core.errors import Rejected

#: Seconds between two lines about the same stage.
LINE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Shown:
    """Where work tells how it goes: `tell` in words, `show` a stage and the share of it that is done."""

    tell: Callable[[str], None]
    show: Callable[[str, float], None]


@contextmanager
def showing(name: str, again: str = "The same command goes on where it was.") -> Iterator[Shown]:
    """Show progress under `name` while inside.

    Raises:
        Rejected: it was interrupted; what to do then is `again`.
    """
    try:
        if sys.stderr.isatty():
            with _bar(name) as shown:
                yield shown
        else:
            yield _lines(name)
    except KeyboardInterrupt as error:
        raise Rejected(f"{name}: interrupted. {again}") from error


@contextmanager
def _bar(name: str) -> Iterator[Shown]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(visible(name), total=1.0)

        def tell(text: str) -> None:
            console.print(visible(text), markup=False, highlight=False, soft_wrap=True)

        def show(what: str, share: float) -> None:
            progress.update(task, description=visible(f"{name}: {what}"), completed=share)

        yield Shown(tell, show)


def _lines(name: str) -> Shown:
    stage, told = "", 0.0

    def show(what: str, share: float) -> None:
        nonlocal stage, told
        now = time.monotonic()
        if what.partition(",")[0] != stage or now >= told + LINE_SECONDS:
            stage, told = what.partition(",")[0], now
            say(f"{name}: {what} {share:.0%}" if share else f"{name}: {what}")

    return Shown(say, show)
