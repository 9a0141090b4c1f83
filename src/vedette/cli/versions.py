"""`models`, `compare`, `promote`, `rollback`, `keys` and `datasets`: what there is, and what people decide of it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console

from vedette import config
from vedette.app.comparison import Points, compared
from vedette.app.models import Models, ModelView
from vedette.app.shelves import Shelves
from vedette.cli.console import document, paper, say, table, visible
from vedette.cli.progress import showing
from vedette.cli.shelf import meant, opened, plain, who
from vedette.cli.times import when
from vedette.core.types import Card, Decision
from vedette.deploy import Deployments
from vedette.validate.vocabulary import written

#: The figures by which a version is known at a glance, by family.
KEY: Final = {
    "anomalies": ("event_f1", "must_catch_recall", "false_alarms_per_series_week"),
    "forecasts": ("mase", "coverage_80", "wql"),
    "classes": ("macro_f1", "calibration_error"),
}
DECISIONS: Final = 10


def models(home: Path, name: str, *, path: Path | None, json: bool) -> None:
    """All models, or one with its versions and what was decided of them."""
    with _models(home, path) as (known, _, _):
        views = [known.model(name)] if name else [known.model(each) for each in known.names()]
    if json:
        told = [_view(each) for each in views]
        document(told[0] if name else told)
    elif name:
        _explain(views[0])
    else:
        _list(views)


def compare(home: Path, first: str, second: str, *, path: Path | None, json: bool) -> None:
    """Two versions side by side; detectors point by point."""
    with _models(home, path) as (_, shelves, deployments):
        cards = [shelves.registry.card(*meant(label, shelves, deployments)) for label in (first, second)]
    with showing(f"{cards[0].label} and {cards[1].label}", "Nothing was changed.") as shown:
        found = compared(home, config.load(path), cards[0], cards[1], shown.show)
    if json:
        document(asdict(found))
        return
    for what, rows in (("parameter", found.parameters), ("finding", found.findings)):
        shown_rows = table(what, found.first, found.second)
        for name, own, other in rows:
            shown_rows.add_row(visible(name), *(visible("" if each is None else _short(each)) for each in (own, other)))
        paper().print(shown_rows)
    measured = table("figure", found.first, found.second, numbers=2)
    for name, own, other in found.metrics:
        measured.add_row(name.replace("_", " "), *("" if each is None else written(name, each) for each in (own, other)))
    paper().print(measured)
    if found.points is not None:
        _differences(found.first, found.second, found.points)


def promote(home: Path, label: str, reason: str, *, anyway: bool, path: Path | None, json: bool) -> None:
    """Make a version the champion.

    Raises:
        Rejected: it may not be, in words.
    """
    if "@" not in label:
        raise typer.BadParameter(f"say which version: {label}@NUMBER, {label}@challenger or {label}@latest")
    with _models(home, path) as (known, shelves, deployments):
        name, version = meant(label, shelves, deployments)
        decision = known.promote(name, version, who(), reason, anyway=anyway)
        _decided(decision, f"{name}@{version} is the champion now", shelves, json=json)


def rollback(home: Path, name: str, reason: str, *, path: Path | None, json: bool) -> None:
    """Send back the candidate on its way, or the champion to the one before it.

    Raises:
        Rejected: there is nothing to go back from.
    """
    if "@" in name:
        raise typer.BadParameter(f"expected the name of a model, got '{name}': it goes back to the one before, whichever that is")
    with _models(home, path) as (known, shelves, deployments):
        known.model(name)
        decision = known.rollback(name, who(), reason)
        champion = deployments.standing(name).champion
        there = f"{name}@{champion} is the champion" if champion else "the detector as it is shipped speaks again"
        _decided(decision, f"{name}@{decision.version} was sent back; {there}", shelves, json=json)


def keys(home: Path, action: str, arguments: list[str], *, json: bool) -> None:
    """The key that signs versions, and those that are trusted."""
    kept = opened(home, config.Config()).keys
    match action, arguments:
        case "list", []:
            pass
        case "rotate", []:
            say(f"{kept.rotate()} signs from now on. What was signed before stays trusted.")
        case "trust", [file]:
            say(f"{kept.trust(Path(file))} is trusted.")
        case "distrust", [key]:
            kept.distrust(key)
            say(f"{key} is trusted no longer: what it signed is not loaded again.")
        case _:
            raise typer.BadParameter("expected: keys list, keys rotate, keys trust FILE, or keys distrust ID")
    if json:
        document([asdict(each) for each in kept.list()])
    elif action == "list":
        shown = table("key", "", "file")
        for each in kept.list():
            shown.add_row(each.id, "signs" if each.signs else "trusted", str(each.path))
        paper().print(shown)


def datasets(home: Path, name: str, *, path: Path | None, json: bool) -> None:
    """What models learnt from, the newest first."""
    with _models(home, path) as (known, _, _):
        if name:
            known.model(name)
        found = [each for each in known.datasets() if name in {"", each["name"]}]
    if json:
        document(found)
        return
    shown = table("dataset", "made", "from", "to", "sources", "rows", "series", "never learnt", numbers=3)
    for each in found:
        made, start, end = (when(each[moment]) for moment in ("made_at", "start", "end"))
        counts = (f"{each[count]:,}" for count in ("rows", "series", "removed"))
        sources = ", ".join(f"{source} {share:.0%}" for source, share in list(each["sources"].items())[:3])
        shown.add_row(f"{each['name']}@{each['version']}", made, start, end, visible(sources), *counts)
    paper().print(shown if found else "No dataset yet: the first training makes one.")


@contextmanager
def _models(home: Path, path: Path | None) -> Iterator[tuple[Models, Shelves, Deployments]]:
    declared = config.load(path)
    shelves = opened(home, declared)
    with shelves.deployments() as deployments:
        yield Models(declared, shelves, deployments, lambda: time.time_ns() // 1000), shelves, deployments


def _decided(decision: Decision, told: str, shelves: Shelves, *, json: bool) -> None:
    shelves.mirror(say)
    if json:
        document(asdict(decision))
    say(f"{told}: {decision.reason}. Where it runs, it is so within seconds.")


def _view(view: ModelView) -> dict[str, Any]:
    return asdict(view) | {"versions": [plain(each) for each in view.versions]}


def _list(views: list[ModelView]) -> None:
    shown = table("model", "family", "champion", "on its way", "versions", "key figures of the champion")
    for each in views:
        card = each.card(each.champion)
        candidate = f"{each.candidate}, {each.stage}" if each.candidate else ""
        champion = str(each.champion) if each.champion else "none yet"
        shown.add_row(each.name, each.family, champion, candidate, str(len(each.versions)), _key(card) if card else each.learning)
    paper().print(shown if views else "No model is declared, and none has a version.")


def _explain(view: ModelView) -> None:
    console = paper()
    share = f" for {view.share:.0%} of the series" if view.stage == "canary" else ""
    candidate = f"; version {view.candidate} is on its way, {view.stage}{share}" if view.candidate else ""
    champion = f"version {view.champion} speaks" if view.champion else view.learning
    console.print(f"{view.name}, {view.family}: {champion}{candidate}.", soft_wrap=True)
    versions = table("version", "", "trained", "by", "checks", "key figures", "learnt from", "parent", "digest")
    for card in view.versions:
        alias = {view.champion: "champion", view.candidate: view.stage}.get(card.version, "")
        parent = str(card.parent) if card.parent else ""
        lineage = (f"{card.dataset} {card.dataset_digest[:12]}", parent, card.digest[:12])
        versions.add_row(
            str(card.version), alias, when(card.trained_at), visible(card.trained_by), _checks(card), _key(card), *lineage
        )
    _section(console, "Versions", versions)
    if view.decisions:
        decided = table("when", "version", "what", "by", "why")
        for each in view.decisions[:DECISIONS]:
            version = str(each.version) if each.version else ""
            decided.add_row(when(each.at), version, f"{each.move} {each.stage}", visible(each.actor), visible(each.reason))
        _section(console, "Decisions, the newest first", decided)
    if view.signals:
        signals = table("when", "severity", "what monitors said", "what to do")
        for said in view.signals[:DECISIONS]:
            signals.add_row(when(said.at), said.severity, visible(f"{said.subject}: {said.reason}"), visible(said.advice))
        _section(console, "Signals, the newest first", signals)


def _section(console: Console, title: str, content: Any) -> None:  # noqa: ANN401 -- whatever Rich prints
    console.print(f"\n{title}", style="bold")
    console.print(content)


def _checks(card: Card) -> str:
    failed = [each.check for each in card.findings if not each.passed]
    return f"failed: {', '.join(failed)}" if failed else f"all {len(card.findings)} passed"


def _key(card: Card) -> str:
    known = ((name, card.metrics[name]) for name in KEY[card.family] if name in card.metrics)
    return ", ".join(f"{name.replace('_', ' ')} {written(name, value)}" for name, value in known)


def _differences(first: str, second: str, points: Points) -> None:
    say(f"Of {points.points:,} points exactly one alarms at {points.one_alarms:.4%}, both at {points.both_alarm:.4%}.")
    if not points.differences:
        say("They say the same everywhere.")
        return
    shown = table("series", "when", "value", first, second, numbers=3)
    for each in points.differences:
        scores = ("learning" if score is None else f"{score:.2f}" for score in (each.first, each.second))
        shown.add_row(visible(each.series), when(each.at), f"{each.value:g}", *scores)
    paper().print(shown)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
