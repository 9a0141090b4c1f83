"""What a verb says: documents on stdout, everything else on stderr, control characters made visible."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table


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


def document(value: Any) -> None:  # noqa: ANN401 -- any JSON value
    """One JSON document on stdout."""
    typer.echo(json.dumps(value, ensure_ascii=False, allow_nan=False, default=str, indent=2))


def visible(text: str) -> str:
    r"""`text` with control and direction characters as escapes, so that an outsider's text cannot steer a terminal.

    >>> visible("a\x1b[2Jb\u202ec")
    'a\\x1b[2Jb\\u202ec'
    """
    return "".join(each if each.isprintable() or each in "\n\t" else each.encode("unicode_escape").decode() for each in text)
