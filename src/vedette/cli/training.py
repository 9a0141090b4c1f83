"""`train`, `validate` and `reproduce`: what makes and judges versions."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from vedette import config
from vedette.app.training import Asked, Trained, Training
from vedette.cli.console import document, paper, say
from vedette.cli.progress import Shown, showing
from vedette.cli.shelf import figures, findings, meant, opened, plain
from vedette.core.errors import Rejected
from vedette.core.types import Card


def train(home: Path, name: str, asked: Asked, *, path: Path | None, json: bool) -> None:
    """Train, judge, register, and take the first step of the rollout; or say why not.

    Raises:
        Rejected: a gate refused the version, in words; or it cannot be trained now.
    """
    declared = config.load(path)
    opened(home, declared)
    with showing(name) as shown:
        training = _training(home, declared, shown)
        trained = training.train(name, asked)
    report = home / "models" / name / str(trained.card.version) / "report.html" if trained.card else None
    if json:
        document(_document(trained, report))
    elif trained.card is not None:
        beside = _champions(training, trained.card)
        paper().print(findings(trained.card.findings))
        paper().print(figures(trained.card.metrics, beside, f"{name}@{trained.card.parent}"))
        say(f"The report: {report}")
    if trained.decision.stage == "refused":
        raise Rejected(f"{name}@{trained.decision.version} is refused, {trained.decision.reason}")
    say(_told(trained))


def validate(home: Path, label: str, out: Path | None, *, path: Path | None, json: bool) -> None:
    """Judge a version again on the data there is now, and leave its report in a folder.

    Raises:
        Rejected: a gate rejects it.
    """
    declared = config.load(path)
    shelves = opened(home, declared)
    with shelves.deployments() as deployments:
        name, version = meant(label, shelves, deployments)
        champion = deployments.standing(name).champion
    with showing(f"{name}@{version}", "Nothing was kept.") as shown:
        judged, found, card, papers = _training(home, declared, shown).validate(name, version)
    folder = out or home / "reports" / f"{name}-{version}"
    _leave(folder, {file: content for file, content in papers.items() if file.startswith("report.")})
    failed = [each for each in found if not each.passed]
    if json:
        told = {"passed": not failed, "metrics": judged.metrics, "champion": judged.champion, "basis": judged.basis}
        document({"label": card.label} | told | {"findings": [asdict(each) for each in found], "report": folder / "report.html"})
    else:
        paper().print(findings(found))
        paper().print(figures(judged.metrics, judged.champion, f"{name}@{champion}"))
        say(f"Judged on {judged.basis}.\nThe report: {folder / 'report.html'}")
    if failed:
        raise Rejected(f"{card.label} does not pass: {'; '.join(f'{each.check}: {each.why}' for each in failed)}")
    say(f"{card.label} passes its {len(found)} checks.")


def reproduce(home: Path, label: str, *, path: Path | None, json: bool) -> None:
    """Fit a version again from its card and its frozen rows, and compare the digests.

    Raises:
        Rejected: they differ.
    """
    declared = config.load(path)
    shelves = opened(home, declared)
    with shelves.deployments() as deployments:
        name, version = meant(label, shelves, deployments)
    with showing(f"{name}@{version}", "Nothing was changed.") as shown:
        kept, again = _training(home, declared, shown).reproduce(name, version)
    if json:
        document({"label": f"{name}@{version}", "kept": kept, "again": again, "same": kept == again})
    if kept != again:
        raise Rejected(f"{name}@{version} is {kept}, and what came out is {again}: its code, its data or its machine is another")
    say(f"{name}@{version} is {kept}, and came out as {again}: the same, to the bit.")


def _training(home: Path, declared: config.Config, shown: Shown) -> Training:
    return Training(home, declared, lambda: time.time_ns() // 1000, shown.tell, shown.show)


def _champions(training: Training, card: Card) -> dict[str, float] | None:
    """What the champion reached in the same exam, as the report has it."""
    told = msgspec.json.decode(training.shelves.registry.file(card.name, card.version, "report.json"))
    return {each["name"]: each["champion"] for each in told["figures"] if each["champion"] is not None} or None


def _told(trained: Trained) -> str:
    decision = trained.decision
    if trained.card is None:
        return decision.reason[:1].upper() + decision.reason[1:] + "."
    stage = "in the shadow of the champion" if decision.stage == "shadow" else decision.stage
    return f"{trained.card.label} is {stage}: {decision.reason}. It took {trained.seconds:.1f} s."


def _document(trained: Trained, report: Path | None) -> dict[str, Any]:
    return {
        "decision": asdict(trained.decision),
        "card": plain(trained.card) if trained.card else None,
        "dataset": asdict(trained.manifest) if trained.manifest else None,
        "estimate": trained.estimate,
        "seconds": trained.seconds,
        "report": report,
    }


def _leave(folder: Path, papers: dict[str, str | bytes]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in papers.items():
            (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    except OSError as error:
        raise Rejected(f"{folder}: the report cannot be written ({error.strerror}); choose another --out") from error
