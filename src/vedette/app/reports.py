"""The papers that travel with a version: its report for people, for machines and for a pull request, and its recipe."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec
import yaml

from vedette import config
from vedette.app.families import Judged
from vedette.core.types import Card
from vedette.prepare import StandardRecipe
from vedette.train import Found, Manifest
from vedette.validate.intervals import Interval
from vedette.validate.report import Figure, Report, document, html, markdown

SHARES: Final = 5


def report_of(card: Card, manifest: Manifest, judged: Judged, found: Found) -> Report:
    """Everything that was found, in the order in which one would ask for it."""
    champion = judged.champion or {}
    figures = tuple(
        Figure(name, value, Interval(*judged.intervals[name]) if name in judged.intervals else None, champion.get(name))
        for name, value in judged.metrics.items()
    )
    period = f"{_day(manifest.start)} to {_day(manifest.end)}"
    tried = f"{found.tried} candidates, {found.pruned} of them pruned; {found.value:.3f} against {found.usual:.3f} of the usual"
    rival = f"{card.name}@{card.parent}" if card.parent else "none yet: what is shipped speaks"
    facts = {
        "model": f"{card.label} ({card.kind}, {card.family}), trained {_day(card.trained_at)} by Vedette {card.code}",
        "champion": rival,
        "dataset": f"{manifest.label}: {manifest.rows:,} rows of {manifest.series:,} series, {period}",
        "never learnt": _left_out(manifest),
        "sources": _sources(manifest),
        "parameters": ", ".join(f"{name} {_short(value)}" for name, value in card.parameters.items()),
        "search": tried if found.tried else "none: nothing is left to search",
        "judged on": judged.basis,
        "digest": f"{card.dataset_digest} (data), {card.recipe} (recipe), seed {card.seed}",
    }
    return Report(card.label, facts, card.findings, figures, judged.groups, tuple(judged.charts))


def papers(card: Card, manifest: Manifest, judged: Judged, found: Found, declared: config.Config) -> Mapping[str, str | bytes]:
    """The files of a version by name."""
    told = report_of(card, manifest, judged, found)
    recipe = {
        "digest": card.recipe,
        "stages": list(StandardRecipe.stages),
        "prepare": declared.prepare.model_dump(mode="json"),
        "selection": dict(manifest.selection),
    }
    return {
        "report.html": html(told),
        "report.json": msgspec.json.format(msgspec.json.encode(document(told))),
        "report.md": markdown(told),
        "recipe.yaml": yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True),
    }


def _left_out(manifest: Manifest) -> str:
    if not manifest.left_out:
        return "nothing: no outage was declared, no incident is open, no alert fired"
    count: dict[str, int] = {}
    for each in manifest.left_out:
        count[str(each["why"])] = count.get(str(each["why"]), 0) + 1
    told = ", ".join(f"{number} {why}" for why, number in sorted(count.items()))
    return f"{manifest.removed:,} rows in {len(manifest.left_out)} windows ({told})"


def _sources(manifest: Manifest) -> str:
    ordered = sorted(manifest.sources.items(), key=lambda pair: (-pair[1], pair[0]))
    told = ", ".join(f"{source} {share:.1%}" for source, share in ordered[:SHARES])
    more = f", and {len(ordered) - SHARES} more" if len(ordered) > SHARES else ""
    thinned = f"; {manifest.thinned:,} rows left out by the cap on a source" if manifest.thinned else ""
    return told + more + thinned


def _day(micros: int) -> str:
    return f"{datetime.fromtimestamp(micros / 1e6, UTC):%F %H:%M} UTC"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
