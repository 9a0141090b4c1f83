"""Verbs that read a home, and the operator's word. They work beside a running process and without one."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import polars as pl
from rich.console import Console
from rich.table import Table

from vedette.app import home as at_home
from vedette.cli.console import document, say, visible
from vedette.core.errors import BadRecord, Rejected
from vedette.core.telemetry import BOOKS


def status(home: Path, *, json: bool) -> None:
    """Sources, lag, models, disk, as the process of this home last said."""
    found = at_home.read_status(home)
    found["disk_bytes"] = sum(each.stat().st_size for each in home.rglob("*") if each.is_file())
    if json:
        document(found)
        return
    console = Console()
    running = "runs" if found["running"] else "does not run; this is what it said last"
    console.print(
        f"{visible(found['address'])} {running}, {found['at']}. {found['series']} series, {found['lag']} records in the log."
    )
    console.print(f"{found['disk_bytes'] / 1e6:.1f} MB in {home}.")
    books = Table("source", *BOOKS, "in_log", title="Books")
    for source, counts in found["sources"].items():
        books.add_row(visible(source), *(str(counts[book]) for book in (*BOOKS, "in_log")))
    console.print(books)
    models = Table("model", "known", "learning", "why", title="Models")
    for each in found["models"]:
        models.add_row(each["model"], str(each["known"]), str(each["learning"]), each["why"])
    console.print(models)


def incidents(home: Path, incident: str, *, every: bool, json: bool) -> None:
    """All open ones, or one with everything that is known of it."""
    with at_home.store(home) as store:
        if incident:
            one = store.get(incident)
            said = [vars_of(each) for each in store.answers(incident)]
            if json:
                document(one.to_dict() | {"answers": said})
            else:
                _explain(one)
            return
        found = store.list(status=None if every else "open", limit=1000)
    if json:
        document([each.to_dict() for each in found])
        return
    table = Table("id", "since", "severity", "status", "what")
    for each in found:
        table.add_row(each.id, _when(each.started_at), each.severity, each.status, visible(each.title))
    Console().print(table if found else "Nothing is open.")


def verdict(home: Path, incident: str, answer: str, note: str, *, json: bool) -> None:
    """The operator's word on an incident."""
    said = at_home.answer(home, incident, answer, note, time.time_ns() // 1000)
    if json:
        document(vars_of(said))
    else:
        say(f"{incident}: {answer}, noted. It is data for the models now.")


def outage(home: Path, action: str, arguments: list[str], note: str, match: list[str]) -> None:
    """Windows that are never learnt from."""
    with at_home.store(home) as store:
        match action, arguments:
            case "add", [start, end]:
                window = at_home.outage(_instant(start), _instant(end), _labels(match), note)
                answer: Any = vars_of(store.add_window(window))
            case "list", []:
                answer = [vars_of(each) for each in store.windows("outage")]
            case "drop", [number] if number.isdigit():
                store.drop_window(int(number))
                answer = {"dropped": int(number)}
            case _:
                raise BadRecord("expected: outage add START END, outage list, or outage drop ID")
    document(answer)


def deadletters(home: Path, *, replay: bool, json: bool) -> None:
    """What was set aside and why; with `replay` sent again to the push source it came by, each once."""
    rows = at_home.dead_letters(home)
    if replay:
        _replay(home, rows)
        return
    shown = rows.with_columns(pl.col("payload").map_elements(lambda raw: raw.decode("utf-8", "backslashreplace"), pl.String))
    if json:
        document(shown.to_dicts())
        return
    table = Table("at", "source", "offset", "reason", "payload")
    for row in shown.tail(50).iter_rows(named=True):
        table.add_row(f"{row['at']:%F %T}", row["source"], str(row["offset"]), visible(row["reason"]), visible(row["payload"])[:80])
    Console().print(table if shown.height else "Nothing was set aside.")


def verify(home: Path, *, json: bool) -> None:
    """Whether the lake is readable and whole.

    Raises:
        Rejected: with every check that failed.
    """
    findings = at_home.verify(home)
    failed = [each for each in findings if not each.passed]
    if json:
        document([vars_of(each) for each in findings])
    else:
        say(f"{len(findings) - len(failed)} checks passed, {len(failed)} failed.")
    if failed:
        raise Rejected("\n".join(f"{each.check}: {each.measured}, required {each.required}. {each.why}" for each in failed))


def vars_of(value: Any) -> dict[str, Any]:  # noqa: ANN401 -- any dataclass with slots
    """A frozen value as a plain dictionary."""
    return {name: getattr(value, name) for name in value.__slots__}


def _replay(home: Path, rows: pl.DataFrame) -> None:
    found = at_home.read_status(home)
    if not found["running"]:
        raise Rejected(f"{home}: it does not run; start it with `vedette up`, then replay")
    taken = 0
    with httpx.Client(base_url=f"http://{found['address']}", trust_env=False) as client:
        for row in rows.unique("digest", maintain_order=True).iter_rows(named=True):
            headers = {"content-type": "application/x-ndjson", "idempotency-key": f"deadletter/{row['digest']}"}
            answer = client.post(f"/push/{row['partition']}", content=row["payload"], headers=headers)
            taken += answer.is_success
    say(f"{taken} of {rows.height} were taken; what is still wrong was set aside again.")


def _explain(one: at_home.Incident) -> None:
    console = Console()
    console.print(f"[bold]{visible(one.title)}[/bold]", markup=True)
    console.print(f"{one.severity}, {one.status}, since {_when(one.started_at)}", markup=False)
    for key, value in one.explanation.items():
        console.print(f"{key}:", style="bold")
        for line in value if isinstance(value, list) else [value]:
            console.print(f"  {visible(str(line))}", markup=False)


def _labels(pairs: list[str]) -> dict[str, str]:
    wrong = [each for each in pairs if "=" not in each]
    if wrong:
        raise BadRecord(f"expected LABEL=VALUE, got '{wrong[0]}'", field="--match")
    return dict(each.split("=", 1) for each in pairs)


def _instant(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRecord(f"expected a time such as 2026-11-20T10:00Z, got '{text}'") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e6)


def _when(micros: int) -> str:
    return f"{datetime.fromtimestamp(micros / 1e6, UTC):%F %T} UTC"
