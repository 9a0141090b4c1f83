"""When a version takes a step, and when it goes back: a pure function of what was seen of it beside the champion.

The vocabulary is that of progressive delivery: in the *shadow* it scores and nobody hears it; as *canary* it speaks for a share of
the series; as *champion* for all of them, at first on probation, with its predecessor in the shadow. Everything that is bad sends
it back at once, everything that is good has to last.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from vedette.core.settings import Settings
from vedette.core.types import Decision

HOUR: Final = 3_600_000_000
Stage = Literal["", "shadow", "canary", "probation"]
Share = Annotated[float, Field(gt=0, lt=1)]
#: An error of that many half widths is none: two versions of constant series differ by rounding alone.
NO_ERROR: Final = 0.01


class RolloutSettings(Settings):
    """How a version comes to speak, and what sends it back.

    Attributes:
        automatic: whether steps forward are taken without a person; steps back always are.
        shadow_hours: how long it is compared before it speaks.
        canary_shares: the shares of the series it speaks for on its way.
        canary_hours: how long at each share.
        probation_hours: how long its predecessor is kept beside it as champion.
        least_points: scores without which nothing is said of it.
        most_alarms_ratio: how many times the champion's alarms it may raise.
        least_alarms: alarms that are too few to be compared.
        most_nulls: the share of its scores that may be missing beyond the champion's.
        most_time_ratio: how many times the champion's time it may take for a point.
        most_error_ratio: how many times the champion's error its expectation may have.
        false_verdicts: false alarms, confirmed by operators during probation and more than those that were real, that are too many.
    """

    automatic: bool = True
    shadow_hours: Annotated[float, Field(ge=0)] = 24.0
    canary_shares: tuple[Share, ...] = (0.1, 0.5)
    canary_hours: Annotated[float, Field(ge=0)] = 24.0
    probation_hours: Annotated[float, Field(ge=0)] = 72.0
    least_points: Annotated[int, Field(gt=0)] = 500
    most_alarms_ratio: Annotated[float, Field(gt=1)] = 2.0
    least_alarms: Annotated[int, Field(ge=0)] = 5
    most_nulls: Share = 0.05
    most_time_ratio: Annotated[float, Field(gt=1)] = 5.0
    most_error_ratio: Annotated[float, Field(gt=1)] = 1.5
    false_verdicts: Annotated[int, Field(gt=0)] = 2


@dataclass(frozen=True, slots=True)
class Side:
    """What was seen of one version: points, scores missing and broken, the least and largest score, alarms, error, seconds."""

    points: int = 0
    nulls: int = 0
    broken: int = 0
    least: float = 0.0
    largest: float = 0.0
    alarms: int = 0
    error: float = 0.0
    errors: int = 0
    seconds: float = 0.0

    @property
    def constant(self) -> bool:
        """Whether all of its scores are the same number."""
        return self.points > self.nulls and self.least == self.largest

    @property
    def mean_error(self) -> float:
        """How far from what was seen its expectation is, in half widths of the champion's bounds."""
        return self.error / self.errors if self.errors else 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two versions over the same points since a stage began: `own` of the one that is judged, `other` of the one beside it."""

    own: Side = Side()
    other: Side = Side()
    real: int = 0
    false: int = 0

    def plain(self) -> dict[str, Any]:
        """For a decision."""
        return asdict(self)


def faults(seen: Evidence, settings: RolloutSettings) -> Iterator[str]:
    """Everything that is wrong with the version, in words; what cannot be said yet is not said.

    >>> seen = Evidence(Side(points=1000, largest=9.0, alarms=40), Side(points=1000, largest=9.0, alarms=10))
    >>> list(faults(seen, RolloutSettings()))
    ['it raised 40 alarms where the other version raised 10, more than 2 times as many']
    """
    own, other = seen.own, seen.other
    if own.broken:
        yield f"{own.broken} of its {own.points} scores are no numbers"
    if seen.false >= settings.false_verdicts and seen.false > seen.real:
        yield f"operators called {seen.false} of its incidents false, and {seen.real} real"
    if own.points < settings.least_points:
        return
    missing = own.nulls / own.points - (other.nulls / other.points if other.points else 0.0)
    if missing > settings.most_nulls:
        yield f"it gives no score for {missing:.0%} more of the points than the other version"
    elif own.constant and not other.constant:
        yield f"all of its {own.points - own.nulls} scores are {own.least:g}"
    allowed = settings.most_alarms_ratio * max(other.alarms, settings.least_alarms)
    if own.alarms > allowed:
        times = f"more than {settings.most_alarms_ratio:g} times as many"
        yield f"it raised {own.alarms} alarms where the other version raised {other.alarms}, {times}"
    if other.seconds > 0 and other.points:
        ratio = (own.seconds / own.points) / (other.seconds / other.points)
        if ratio > settings.most_time_ratio:
            yield f"it takes {ratio:.1f} times as long for a point"
    usual = max(other.mean_error, NO_ERROR)
    if other.errors >= settings.least_points and own.mean_error > settings.most_error_ratio * usual:
        yield f"its expectation is {own.mean_error / usual:.1f} times as far from what is seen"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the versions of a model stand.

    Attributes:
        model: its name.
        champion: the version that speaks; 0 where none does yet.
        previous: the one before it, to go back to; 0 for none.
        candidate: the one that is on its way; 0 for none.
        stage: of the candidate `shadow` or `canary`; `probation` of a champion whose predecessor is compared; else empty.
        share: of the series that the canary speaks for.
        since: when the stage began, UTC microseconds.
        revision: counted up with every change, so that of two changes at once one wins.
    """

    model: str
    champion: int = 0
    previous: int = 0
    candidate: int = 0
    stage: Stage = ""
    share: float = 0.0
    since: int = 0
    revision: int = 0

    @property
    def judged(self) -> int:
        """The version that evidence is gathered of."""
        return self.champion if self.stage == "probation" else self.candidate


def next_step(standing: Standing, seen: Evidence, at: int, settings: RolloutSettings) -> Decision | None:
    """What is to be done at `at` (UTC microseconds); None where the time has not come."""
    if not standing.stage:
        return None
    wrong = list(faults(seen, settings))
    evidence = seen.plain() | {"stage": standing.stage, "share": standing.share, "hours": round((at - standing.since) / HOUR, 2)}
    if wrong:
        stage = "retired" if standing.stage == "probation" else "rejected"
        return Decision(at, standing.model, standing.judged, "ROLL_BACK", stage, "; ".join(wrong), evidence)
    if seen.own.points < settings.least_points:
        return None
    lasted = (at - standing.since) / HOUR
    told = f"after {lasted:.1f} h and {seen.own.points:,} points: {seen.own.alarms} alarms, the other version {seen.other.alarms}"
    if standing.stage == "probation":
        over = lasted >= settings.probation_hours
        reason = f"its probation is over {told}"
        return Decision(at, standing.model, standing.champion, "HOLD", "champion", reason, evidence) if over else None
    wanted = settings.shadow_hours if standing.stage == "shadow" else settings.canary_hours
    if not settings.automatic or lasted < wanted:
        return None
    higher = sorted(share for share in settings.canary_shares if share > standing.share)
    stage, where = ("canary", f"speaks for {higher[0]:.0%} of the series") if higher else ("champion", "speaks for all series")
    evidence |= {"next_share": higher[0] if higher else 1.0}
    return Decision(at, standing.model, standing.candidate, "PROMOTE", stage, f"it {where} now, {told}", evidence)


def after(standing: Standing, decision: Decision, probation: bool) -> Standing:  # noqa: FBT001 -- whether a champion is watched at first
    """Where the versions stand once `decision` is carried out; where they are, where it fits nothing that stands.

    A version is in one place at most: what speaks for all series is no candidate, and a candidate nothing to go back to.

    >>> first = after(Standing("web"), Decision(7, "web", 1, "PROMOTE", "champion", "the first"), True)
    >>> first.champion, first.stage, first.revision
    (1, '', 1)
    >>> second = after(first, Decision(8, "web", 2, "PROMOTE", "champion", "better"), True)
    >>> second.champion, second.previous, second.stage
    (2, 1, 'probation')
    >>> after(second, Decision(9, "web", 2, "ROLL_BACK", "retired", "worse"), True).champion
    1
    """
    moved = replace(standing, since=decision.at, revision=standing.revision + 1)
    version = decision.version
    match decision.move, decision.stage:
        case "PROMOTE", ("shadow" | "canary") as stage if version != standing.champion:
            share = float(decision.evidence.get("next_share", 0.1)) if stage == "canary" else 0.0
            previous = 0 if version == standing.previous else standing.previous
            moved = replace(moved, previous=previous, candidate=version, stage=stage, share=share)
        case "PROMOTE", "champion" if version != standing.champion:
            watched: Stage = "probation" if probation and standing.champion else ""
            moved = replace(moved, champion=version, previous=standing.champion, candidate=0, stage=watched, share=0.0)
        case "ROLL_BACK", "rejected" if version == standing.candidate:
            moved = replace(moved, candidate=0, stage="", share=0.0)
        case "ROLL_BACK", "retired" if version == standing.champion:
            moved = replace(moved, champion=standing.previous, previous=0, candidate=0, stage="", share=0.0)
        case "HOLD", "champion" if standing.stage == "probation":
            moved = replace(moved, stage="")
        case _:
            return standing
    return moved
