"""What a verb says: documents on stdout, everything else on stderr, control characters made visible."""

import json
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table

#: Where there is no terminal, lines are as long as they are; this is more than anybody has.
WIDE: Final = 240


def say(text: str) -> None:
    """One line for people, on stderr."""
    typer.echo(visible(text), err=True)


@contextmanager
def working(text: str) -> Iterator[None]:
    """On a terminal, show that something is being done while inside; elsewhere nothing."""
    with Console(stderr=True).status(visible(text)):
        yield


def table(*columns: str, numbers: int = 0) -> Table:
    """An empty table; its last `numbers` columns hold numbers."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for place, name in enumerate(columns):
        made.add_column(name, justify="right" if place >= len(columns) - numbers else "left", overflow="fold")
    return made


def paper() -> Console:
    """Stdout for people: what an outsider wrote is text in it, and no markup."""
    return Console(markup=False, highlight=False, emoji=False, width=None if sys.stdout.isatty() else WIDE)


def document(value: Any) -> None:  # noqa: ANN401 -- any JSON value
    """One JSON document on stdout; what is not a finite number is null."""
    typer.echo(json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, default=str, indent=2))


def visible(text: str) -> str:
    r"""`text` with control and direction characters as escapes, so that an outsider's text cannot steer a terminal.

    >>> visible("a\x1b[2Jb\u202ec")
    'a\\x1b[2Jb\\u202ec'
    """
    return "".join(each if each.isprintable() or each in "\n\t" else each.encode("unicode_escape").decode() for each in text)


def _finite(value: Any) -> Any:  # noqa: ANN401 -- any JSON value
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {key: _finite(each) for key, each in value.items()}
        case list() | tuple():
            return [_finite(each) for each in value]
        case _:
            return value
