"""`replay`: the whole alert path over history, and what it would have raised or missed."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from vedette import config
from vedette.app.rehearsal import Rehearsal, rehearse
from vedette.cli.console import document, paper, say, table, visible
from vedette.cli.progress import showing
from vedette.cli.shelf import meant, opened
from vedette.cli.times import instant, when


def replay(home: Path, label: str, span: tuple[str, str], *, path: Path | None, json: bool) -> None:
    """Which incidents a version, or the detector as it is shipped, would have raised; beside those that were."""
    declared = config.load(path)
    start, end = (instant(each) if each else None for each in span)
    card = None
    if label:
        shelves = opened(home, declared)
        with shelves.deployments() as deployments:
            card = shelves.registry.card(*meant(label, shelves, deployments))
    with showing(card.label if card else "replay", "Nothing was changed.") as shown:
        found = rehearse(home, declared, card, (start, end), shown.show)
    if json:
        document(_document(found))
    else:
        _tell(found)


def _document(found: Rehearsal) -> dict[str, Any]:
    weeks = [{"start": start, "would": would, "known": known} for start, would, known in found.weeks()]
    return asdict(found) | {"weeks": weeks}


def _tell(found: Rehearsal) -> None:
    span = f"{when(found.start)} to {when(found.end)}"
    say(f"{found.points:,} points of {found.series:,} series, {span}, scored by {found.label}.")
    would = table("would have been raised", "severity", "what", "raised then")
    for each in found.would:
        would.add_row(when(each.started_at), each.severity, visible(each.title), found.met.get(each.id, ""))
    paper().print(would)
    if found.missed:
        missed = table("would have been missed", "until", "what")
        for gone in found.missed:
            missed.add_row(when(gone.start), when(gone.end), visible(gone.name))
        paper().print(missed)
    weeks = table("week from", "would", "were", numbers=2)
    for start, raised, known in found.weeks():
        weeks.add_row(when(start), str(raised), str(known))
    paper().print(weeks)
    caught = (
        f"{found.confirmed - len(found.missed)} of {found.confirmed} confirmed outages met"
        if found.confirmed
        else "nothing was confirmed"
    )
    say(f"{len(found.would)} would have been raised, {len(found.known)} were; {caught}.")
