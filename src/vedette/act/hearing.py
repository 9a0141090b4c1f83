"""What operators' answers change: a false alarm that was confirmed twice is not raised a third time.

A series that was odd on the same side in two incidents that people called false is tolerated up to a little more than it reached in
them, for a month. What reaches much more is raised all the same, one answer of `real` ends the tolerance, and one person alone can
make only so many series tolerated.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Final

import polars as pl
from pydantic import Field

from vedette.act.incident import Incident
from vedette.act.store import Answer
from vedette.core.settings import Settings

DAY: Final = 86_400_000_000
ROWS: Final = {"series": pl.Int64, "side": pl.Int8, "factor": pl.Float64, "until": pl.Int64}


class HearingSettings(Settings):
    """How far operators' answers reach.

    Attributes:
        confirmed: incidents called false that it takes.
        beyond: how many times the largest score in them is tolerated.
        most: the largest tolerance; a score above it is raised whatever was said.
        days: how long an answer counts.
        per_person: series that one person alone can make tolerated.
    """

    confirmed: Annotated[int, Field(ge=2)] = 2
    beyond: Annotated[float, Field(ge=1)] = 1.3
    most: Annotated[float, Field(gt=1)] = 10.0
    days: Annotated[float, Field(gt=0)] = 30.0
    per_person: Annotated[int, Field(gt=0)] = 50


def tolerated(incidents: Iterable[Incident], answers: Iterable[Answer], settings: HearingSettings) -> pl.DataFrame:
    """What is tolerated now: columns `series, side, factor, until`, sorted by them.

    Args:
        incidents: those that were answered.
        answers: everything that was said of them; the last word on an incident counts.
        settings: how far it reaches.
    """
    last: dict[str, Answer] = {}
    for each in sorted(answers, key=lambda said: (said.at, said.incident)):
        last[each.incident] = each
    heard: dict[tuple[int, int], list[tuple[Answer, float]]] = {}
    for incident in incidents:
        said = last.get(incident.id)
        if said is not None:
            for key, score in _odd(incident).items():
                heard.setdefault(key, []).append((said, score))
    rows = []
    charged: dict[str, set[int]] = {}
    for (series, side), told in sorted(heard.items(), key=lambda item: (max(each.at for each, _ in item[1]), item[0])):
        false = _unbroken(told)
        if len(false) < settings.confirmed:
            continue
        actors = {each.actor for each, _ in false}
        if len(actors) == 1:
            mine = charged.setdefault(actors.pop(), set())
            if len(mine | {series}) > settings.per_person:
                continue
            mine.add(series)
        factor = min(settings.beyond * max(score for _, score in false), settings.most)
        rows.append((series, side, factor, max(each.at for each, _ in false) + int(settings.days * DAY)))
    return pl.DataFrame(rows, schema=ROWS, orient="row").sort("series", "side")


def _unbroken(said: list[tuple[Answer, float]]) -> list[tuple[Answer, float]]:
    """The answers of `false` and `known` since the last of `real`."""
    ordered = sorted(said, key=lambda pair: (pair[0].at, pair[0].incident))
    real = max((place for place, (each, _) in enumerate(ordered) if each.verdict == "real"), default=-1)
    return [pair for pair in ordered[real + 1 :] if pair[0].verdict in {"false", "known"}]


def _odd(incident: Incident) -> Mapping[tuple[int, int], float]:
    """(series, side) -> the largest score of the metrics in an incident."""
    found: dict[tuple[int, int], float] = {}
    for member in incident.explanation.get("members", ()):
        score = member.get("score")
        if member.get("kind") == "metric" and member.get("series") and score and score > 1:
            key = (int(member["series"]), 1 if member.get("direction") == "up" else -1)
            found[key] = max(found.get(key, 0.0), float(score))
    return found
