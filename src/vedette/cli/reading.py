"""Verbs that read a home, and the operator's word. They work beside a running process and without one."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import typer

from vedette.app import home as at_home
from vedette.cli.console import document, paper, say, table, visible
from vedette.cli.times import instant, when
from vedette.core.errors import Rejected
from vedette.core.telemetry import BOOKS

#: Books that are shown only where something is in them.
_RARE = ("duplicate", "dead_lettered", "rejected", "shed")


def status(home: Path, *, json: bool) -> None:
    """Sources, lag, models, disk, as the process of this home last said."""
    found = at_home.read_status(home)
    found["disk_bytes"] = sum(each.stat().st_size for each in home.rglob("*") if each.is_file())
    if json:
        document(found)
        return
    console = paper()
    running = "It runs" if found["running"] else "It does not run; this is what it said last"
    for line in (
        f"{running}, at {found['at']}. Its address is {visible(found['address'])}.",
        f"{found['series']:,} series. {found['lag']:,} records wait in the log. {home} takes {found['disk_bytes'] / 1e6:,.1f} MB.",
    ):
        _print(line)
    shown = [book for book in (*BOOKS, "in_log") if book not in _RARE or any(each[book] for each in found["sources"].values())]
    books = table("source", *(book.replace("_", " ") for book in shown), numbers=len(shown))
    for source, counts in found["sources"].items():
        books.add_row(visible(source), *(f"{counts[book]:,}" for book in shown))
    console.print(books)
    models = table("model", "why", "known", "learning", numbers=2)
    for each in found["models"]:
        models.add_row(each["model"], each["why"], f"{each['known']:,}", f"{each['learning']:,}")
    console.print(models)
    if found.get("lifecycle"):
        standings = table("declared model", "champion", "on its way", "since")
        for each in found["lifecycle"]:
            standings.add_row(each["model"], *_stands(each))
        console.print(standings)


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
    listed = table("id", "since", "severity", "what")
    for each in found:
        over = "" if each.status == "open" else f" ({each.status})"
        listed.add_row(each.id, when(each.started_at), each.severity, visible(each.title) + over)
    paper().print(listed if found else "Nothing was raised so far." if every else "Nothing is open; --all shows what is over.")


def verdict(home: Path, incident: str, answer: str, note: str, *, json: bool) -> None:
    """The operator's word on an incident."""
    said = at_home.answer(home, incident, answer, note, time.time_ns() // 1000)
    if json:
        document(vars_of(said))
    else:
        say(f"{incident}: {answer}, noted. It is data for the models now.")


def outage(home: Path, action: str, arguments: list[str], note: str, match: list[str], *, planned: bool) -> None:
    """Windows that are never learnt from; what happens in a planned one is told to nobody."""
    with at_home.store(home) as store:
        match action, arguments:
            case "add", [start, end]:
                window = at_home.outage(instant(start), instant(end), _labels(match), note, planned=planned)
                answer: Any = vars_of(store.add_window(window))
            case "list", []:
                answer = [vars_of(each) for each in store.windows()]
            case "drop", [number] if number.isdigit():
                store.drop_window(int(number))
                answer = {"dropped": int(number)}
            case _:
                raise typer.BadParameter("expected: outage add START END, outage list, or outage drop ID")
    document(answer)


def deadletters(home: Path, *, path: Path | None, replay: bool, json: bool) -> None:
    """What was set aside and why; with `replay` sent again to the push source it came by, each once."""
    rows = at_home.dead_letters(home)
    if replay:
        _replay(home, path, rows)
        return
    shown = rows.with_columns(pl.col("payload").map_elements(lambda raw: raw.decode("utf-8", "backslashreplace"), pl.String))
    if json:
        document(shown.to_dicts())
        return
    listed = table("at", "source", "offset", "reason", "payload")
    for row in shown.tail(50).iter_rows(named=True):
        payload = visible(row["payload"])[:80]
        listed.add_row(f"{row['at']:%F %T}", row["source"], str(row["offset"]), visible(row["reason"]), payload)
    paper().print(listed if shown.height else "Nothing was set aside.")
    if shown.height > 50:
        say(f"The last 50 of {shown.height:,}; all of them with --json.")


def verify(home: Path, *, json: bool) -> None:
    """Whether the lake is readable and whole, and every version of a model what was signed.

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


def _stands(standing: Mapping[str, Any]) -> tuple[str, str, str]:
    champion = f"version {standing['champion']}" if standing["champion"] else "none yet: what is shipped speaks"
    share = f" for {standing['share']:.0%} of the series" if standing["stage"] == "canary" else ""
    other = standing["previous"] if standing["stage"] == "probation" else standing["candidate"]
    coming = f"version {other} beside it" if standing["stage"] == "probation" else f"version {other}, {standing['stage']}{share}"
    return champion, coming if other and standing["stage"] else "", when(standing["since"]) if standing["since"] else ""


def _replay(home: Path, path: Path | None, rows: pl.DataFrame) -> None:
    from vedette.cli.calling import caller

    taken, refused = 0, ""
    with caller(home, path) as client:
        # What was set aside again may be sent again: its count is in the key. What was taken is not, however often it is sent.
        counted = rows.with_columns(times=pl.len().over("digest"))
        for row in counted.unique("digest", maintain_order=True).iter_rows(named=True):
            headers = {"content-type": "application/x-ndjson", "idempotency-key": f"deadletter/{row['digest']}/{row['times']}"}
            answer = client.post(f"/push/{row['partition']}", content=row["payload"], headers=headers)
            if answer.is_success:
                taken += answer.json().get("accepted", 0)
            else:
                refused = f"{row['partition']}: {answer.status_code} {answer.text[:200]}"
    say(f"{taken:,} of {rows.height:,} were taken.")
    if refused:
        raise Rejected(f"some were refused, the last for this: {refused}")
    if taken < rows.height:
        say("What was wrong still was set aside again.")


def _explain(one: at_home.Incident) -> None:
    """What moved in which order, what changed before it, what the logs said, and what to do next."""
    why = one.explanation
    until = f" until {when(one.ended_at)}" if one.ended_at else ""
    _print(one.title, style="bold")
    _print(f"{one.severity}, {one.status}, since {when(one.started_at)}{until}")
    _print(", ".join(f"{key}={value}" for key, value in sorted(one.labels.items())))
    if "merged_into" in why:
        _print(f"It turned out to be part of {why['merged_into']}.")
    _section("What moved, in order", [f"{when(each['since'])}  {each['text']}" for each in why.get("members", ())])
    if (more := why.get("member_count", 0) - len(why.get("members", ()))) > 0:
        _print(f"  and {more:,} more")
    _section("Changed before it", [f"{when(each['at'])}  {each['title']}" for each in why.get("changes", ())])
    _section("Log lines", [f"{when(each['at'])}  {each['body']}" for each in why.get("logs", ())])
    if one.verdict:
        _section("Said of it", [one.verdict])
    else:
        say(f"\nWas it right? vedette verdict {one.id} real|false|known")


def _section(title: str, lines: list[str]) -> None:
    if lines:
        _print(f"\n{title}", style="bold")
    for line in lines:
        _print(f"  {line}")


def _print(text: str, style: str = "") -> None:
    paper().print(visible(text), style=style, soft_wrap=True)


def _labels(pairs: list[str]) -> dict[str, str]:
    wrong = [each for each in pairs if "=" not in each]
    if wrong:
        raise typer.BadParameter(f"expected LABEL=VALUE for --match, got '{wrong[0]}'")
    return dict(each.split("=", 1) for each in pairs)
