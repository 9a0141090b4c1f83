"""What a verb says: documents on stdout, everything else on stderr, control characters made visible."""

import json
from typing import Any

import typer


def say(text: str) -> None:
    """One line for people, on stderr."""
    typer.echo(visible(text), err=True)


def document(value: Any) -> None:  # noqa: ANN401 -- any JSON value
    """One JSON document on stdout."""
    typer.echo(json.dumps(value, ensure_ascii=False, allow_nan=False, default=str, indent=2))


def visible(text: str) -> str:
    r"""`text` with control and direction characters as escapes, so that an outsider's text cannot steer a terminal.

    >>> visible("a\x1b[2Jb\u202ec")
    'a\\x1b[2Jb\\u202ec'
    """
    return "".join(each if each.isprintable() or each in "\n\t" else each.encode("unicode_escape").decode() for each in text)
