"""Two versions side by side: what they were made with, what was measured of them, and of detectors point by point what they say."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from vedette import config
from vedette.app import ground as grounds
from vedette.app.ownership import owns
from vedette.core.errors import Rejected
from vedette.core.types import Card
from vedette.models import Envelope

#: Differences that are told one by one.
SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two detectors differ most in a series: when (UTC microseconds), and the score of either; None while learning."""

    series: str
    at: int
    value: float
    first: float | None
    second: float | None


@dataclass(frozen=True, slots=True)
class Points:
    """What two detectors said of the same points.

    Attributes:
        points: that both look at.
        one_alarms: the share of them where exactly one of the two alarms.
        both_alarm: the share where both do.
        differences: where they differ most, a row a series, the largest first.
    """

    points: int
    one_alarms: float
    both_alarm: float
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions side by side; a row holds a name, and what the first and the second have, None where they have nothing.

    Attributes:
        first, second: their labels.
        parameters, metrics: rows.
        findings: rows of what was measured, and whether it passed.
        points: what they say of common points; None where they are no detectors.
    """

    first: str
    second: str
    parameters: tuple[tuple[str, Any, Any], ...]
    metrics: tuple[tuple[str, float | None, float | None], ...]
    findings: tuple[tuple[str, str | None, str | None], ...]
    points: Points | None


def compared(
    home: Path, declared: config.Config, first: Card, second: Card, show: Callable[[str, float], None] = lambda _what, _share: None
) -> Comparison:
    """Compare two versions; detectors on the points there are now.

    Args:
        home: where everything is kept; only read.
        declared: what the user declared.
        first: the card of a version.
        second: that of another one of the same family.
        show: told how far it is.

    Raises:
        Rejected: they are of different families, or have no series in common.
    """
    if first.family != second.family:
        raise Rejected(f"{first.label} is of the family {first.family}, {second.label} of {second.family}: nothing compares")
    said = [
        {each.check: f"{'passed' if each.passed else 'failed'}: {each.measured}" for each in card.findings}
        for card in (first, second)
    ]
    return Comparison(
        first=first.label,
        second=second.label,
        parameters=_beside(dict(first.parameters), dict(second.parameters)),
        metrics=_beside(dict(first.metrics), dict(second.metrics)),
        findings=_beside(*said),
        points=_point_by_point(home, declared, (first, second), show) if first.family == "anomalies" else None,
    )


def _beside(first: dict[str, Any], second: dict[str, Any]) -> tuple[tuple[str, Any, Any], ...]:
    return tuple((name, first.get(name), second.get(name)) for name in dict.fromkeys([*first, *second]))


def _point_by_point(
    home: Path, declared: config.Config, cards: tuple[Card, Card], show: Callable[[str, float], None]
) -> Points | None:
    models = [declared.models[card.name] for card in cards if card.name in declared.models]
    if len(models) < len(cards):
        return None
    show("points", 0.0)
    days = max(each.window_days for each in models)
    loaded = grounds.load(home / "lake", declared.prepare, models[0].match, days)
    infos = {
        each: info for each, info in loaded.infos().items() if all(owns(model.match, info.name, info.labels) for model in models)
    }
    if not infos:
        raise Rejected(f"{cards[0].label} and {cards[1].label} have no series in common")
    rows = loaded.frame.filter(pl.col("series").is_in(list(infos))).select("series", "at", "value")
    scores: list[pl.Series] = []
    for card in cards:
        show(f"scores of {card.label}", len(scores) / len(cards))
        scores.append(Envelope(**card.parameters).score(rows, 0)["anomaly_score"])
    both = rows.with_columns(first=scores[0], second=scores[1])
    one, other = pl.col("first").fill_null(0.0), pl.col("second").fill_null(0.0)
    shares = both.select(one=((one > 1) != (other > 1)).mean(), both=((one > 1) & (other > 1)).mean()).row(0)
    # A score is a ratio to what is borne: between 9 and 10 there is less of a difference than between 0.5 and 1.5.
    apart = both.with_columns(apart=((one + 0.1) / (other + 0.1)).log().abs(), split=(one > 1) != (other > 1))
    largest = apart.sort("split", "apart", descending=True).unique("series", keep="first", maintain_order=True).head(SHOWN)
    differences = tuple(
        Difference(str(infos[series]), at, value, own, its)
        for series, at, value, own, its in largest.filter(pl.col("apart") > 0)
        .select("series", pl.col("at").dt.timestamp("us"), "value", "first", "second")
        .iter_rows()
    )
    return Points(rows.height, float(shares[0]), float(shares[1]), differences)
