"""What the verbs of models have in common: the home they work on, who asks, which version is meant, and how it is shown."""

import getpass
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from vedette import config
from vedette.app.models import resolved
from vedette.app.shelves import Shelves
from vedette.cli.console import table, visible
from vedette.core.errors import BadRecord, ConfigError, NotFound
from vedette.core.types import Card, Finding
from vedette.deploy import Deployments
from vedette.validate.vocabulary import written


def opened(home: Path, declared: config.Config) -> Shelves:
    """The shelves of a home that is there.

    Raises:
        NotFound: it is not.
        ConfigError: it cannot be written.
    """
    if not home.is_dir():
        raise NotFound(f"{home}: nothing has run here yet; name the folder with --home, or bring data in with: vedette import")
    try:
        return Shelves(home, declared)
    except OSError as error:
        raise ConfigError([f"--home {home}: it cannot be written ({error.strerror}); models are kept and signed there"]) from error


def who() -> str:
    """Who asks: the name of whoever runs this, or their number where they have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def meant(label: str, shelves: Shelves, deployments: Deployments) -> tuple[str, int]:
    """The name and version of a label such as `web@3`, `web@champion` or `web`; what is no such label is bad usage."""
    try:
        return resolved(label, shelves, deployments)
    except BadRecord as error:
        raise typer.BadParameter(f"{label}: {error.reason}") from error


def findings(found: Iterable[Finding]) -> Table:
    """What was found, what failed first."""
    shown = table("", "check", "measured", "required", "why")
    for each in sorted(found, key=lambda finding: finding.passed):
        shown.add_row("passed" if each.passed else "FAILED", *map(visible, (each.check, each.measured, each.required, each.why)))
    return shown


def figures(own: Mapping[str, float], champion: Mapping[str, float] | None, label: str) -> Table:
    """Figures, beside those of the champion of that label where there is one."""
    columns = ["figure", "measured", *([label] if champion else [])]
    shown = table(*columns, numbers=len(columns) - 1)
    for name, value in own.items():
        beside = [] if not champion else [written(name, champion[name]) if name in champion else ""]
        shown.add_row(name.replace("_", " "), written(name, value), *beside)
    return shown


def plain(card: Card) -> dict[str, Any]:
    """A card for JSON."""
    return asdict(card) | {"label": card.label, "passed": card.passed}
