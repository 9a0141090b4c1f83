"""`vedette import`: history from files or from a Prometheus server."""

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from vedette import config
from vedette.app import history
from vedette.cli.console import document, say
from vedette.cli.times import instant
from vedette.core.errors import BadRecord, ConfigError, Rejected

#: Seconds between two lines about progress where there is no terminal.
LINE_SECONDS = 5.0

Tell = Callable[[int, int], None]


def bring(files: list[Path], told: list[str], *, home: Path, path: Path | None, json: bool) -> None:
    """Files, one after the other; further words KEY=VALUE after a first `--column` are about columns too.

    Raises:
        ConfigError: something is not known of columns; every fault is listed.
        Rejected: it was interrupted; what is committed stays, and the same command brings the rest.
    """
    declared = config.load(path)
    words = [str(each) for each in files if told and _is_word(each)]
    files = [each for each in files if str(each) not in words]
    columns = history.columns([*told, *words])
    if not files:
        raise ConfigError(["name a file to import"])
    answers = []
    for file in files:
        size = file.stat().st_size if file.is_file() else None

        def start(tell: Tell, file: Path = file) -> Iterable[history.Brought]:
            return history.files(home, declared, file, columns, _now, tell)

        answers.append({"file": str(file)} | _follow(file.name, size, start))
    if json:
        document(answers)


def pull(url: str, match: list[str], start: str, end: str, *, home: Path, path: Path | None, json: bool) -> None:
    """Ranges of a Prometheus server."""
    if not match or not start:
        raise BadRecord("--prometheus needs --match SELECTOR and --start TIME (and --end TIME, now by default)")
    span = (instant(start), instant(end) if end else _now())
    answer = _follow(url, None, lambda _: history.ranges(home, config.load(path), url, match, span, _now))
    if json:
        document(answer)


def _follow(name: str, size: int | None, start: Callable[[Tell], Iterable[history.Brought]]) -> dict[str, int]:
    """Show how far it is, a bar on a terminal and a line now and then elsewhere, and the sums at the end."""
    last = history.Brought()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[records]:,} records"), TimeElapsedColumn())
    terminal = sys.stderr.isatty()
    told = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not terminal) as shown:
        task = shown.add_task(name, total=size, records=0)

        def tell(records: int, read: int) -> None:
            nonlocal told
            shown.update(task, completed=read, records=records)
            if not terminal and time.monotonic() >= told + LINE_SECONDS:
                told = time.monotonic()
                say(f"{name}: {records:,} records read, {last.stored:,} stored so far.")

        try:
            for last in start(tell):
                shown.update(task, records=last.received)
        except KeyboardInterrupt as error:
            raise Rejected(f"{name}: interrupted; {last.stored:,} records are stored. The same command brings the rest.") from error
    say(
        f"{name}: {last.received:,} records, {last.stored:,} stored, {last.duplicate:,} there already, "
        f"{last.rejected:,} refused, {last.dead_lettered:,} set aside"
        + (f", {last.windows:,} outages that are new." if last.windows is not None else ".")
    )
    return asdict(last)


def _is_word(path: Path) -> bool:
    key, sign, _ = str(path).partition("=")
    return bool(sign) and key.isidentifier() and not path.exists()


def _now() -> int:
    return time.time_ns() // 1000
