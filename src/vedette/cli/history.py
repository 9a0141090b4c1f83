"""`vedette import`: history from files or from a Prometheus server."""

import sys
import time
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from vedette import config
from vedette.app import history
from vedette.cli.console import document, say
from vedette.core.errors import BadRecord


def bring(files: list[Path], mapping: dict[str, str], *, home: Path, path: Path | None, json: bool) -> None:
    """Files, one after the other."""
    declared = config.load(path)
    columns = history.columns(mapping)
    answers = [{"file": str(file)} | _follow(file.name, history.files(home, declared, file, columns, _now)) for file in files]
    if json:
        document(answers)


def pull(url: str, match: list[str], start: str, end: str, *, home: Path, path: Path | None, json: bool) -> None:
    """Ranges of a Prometheus server."""
    if not match or not start:
        raise BadRecord("--prometheus needs --match SELECTOR and --start TIME (and --end TIME, now by default)")
    span = (_instant(start), _instant(end) if end else _now())
    answer = _follow(url, history.ranges(home, config.load(path), url, match, span, _now))
    if json:
        document(answer)


def _follow(name: str, progress: Iterable[history.Brought]) -> dict[str, int]:
    """Show how far it is: a bar on a terminal, nothing in between elsewhere, and the sums at the end."""
    last = history.Brought()
    console = Console(stderr=True)
    shown = Progress(TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True)
    with shown if sys.stderr.isatty() else nullcontext():
        task = shown.add_task(name)
        for last in progress:
            shown.update(task, description=f"{name}: {last.received:,} records")
    say(
        f"{name}: {last.received:,} records, {last.stored:,} stored, {last.duplicate:,} there already, "
        f"{last.rejected:,} refused, {last.dead_lettered:,} set aside."
    )
    return asdict(last)


def _instant(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRecord(f"expected a time such as 2026-11-20T10:00Z, got '{text}'") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e6)


def _now() -> int:
    return time.time_ns() // 1000
