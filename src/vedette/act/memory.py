"""What is remembered of what moves: plain structures that a checkpoint keeps as JSON."""

import math

from msgspec import Struct

from vedette.act.rules import Rule
from vedette.act.settings import ActSettings

SECOND = 1_000_000


class Sight(Struct, array_like=True):
    """One verdict: time, what was seen, and what was expected."""

    at: int
    value: float
    yhat: float | None
    lower: float | None
    upper: float | None
    score: float

    @property
    def expected(self) -> float:
        """What was expected; the value itself where the model does not say."""
        return self.value if self.yhat is None else self.yhat


class Member(Struct, omit_defaults=True):
    """A series, alert or kind of log line that moves, or may begin to.

    Attributes:
        key: `metric:ID`, `silence:ID`, `template:ID` or `alert:KEY`.
        series: the series it is about; 0 for an alert.
        since: its first odd point. `last`: its latest; `seen`: its latest point of any kind.
        first, peak: the first odd sight (whose bounds it must return to) and the oddest.
        odd, calm: odd and calm points in a row.
        drifting: since when it is calm outside of the bounds it left.
        due: when a silence counts that began while we were away ourselves; 0 for all else.
        active: it counts now. `alone`: it is an incident without any other.
        incident: the incident it belongs to.
        model: which model scored it; empty for what no model scores.
    """

    key: str
    series: int
    since: int
    last: int
    seen: int
    first: Sight | None = None
    peak: Sight | None = None
    odd: int = 0
    calm: int = 0
    drifting: int = 0
    due: int = 0
    active: bool = False
    alone: bool = False
    incident: str = ""
    title: str = ""
    severity: str = ""
    labels: dict[str, str] = {}
    model: str = ""

    @property
    def kind(self) -> str:
        """`metric`, `silence`, `template` or `alert`."""
        return self.key.partition(":")[0]

    @property
    def rises(self) -> bool:
        """Whether it is above what was expected."""
        return self.peak is not None and self.peak.value >= self.peak.expected


def follow(member: Member, sight: Sight | None, at: int, rule: Rule, settings: ActSettings) -> None:
    """Take one point of a metric into account; `sight` is None while its model is still learning, which changes nothing."""
    member.seen = max(member.seen, at)
    if sight is None:
        return
    if sight.score > settings.enter and (member.active or rule.counts(sight.value, sight.expected)):
        _odd(member, sight, rule, settings)
    elif sight.score >= settings.leave:
        member.last = at if member.active else member.last
    else:
        _calm(member, sight, rule, settings)
    if member.active and (member.last - member.since) * rule.weight >= settings.alone_seconds * SECOND:
        member.alone = True


def _odd(member: Member, sight: Sight, rule: Rule, settings: ActSettings) -> None:
    member.calm = member.drifting = 0
    turned = member.peak is not None and (sight.value >= sight.expected) != member.rises
    if not member.active and (member.odd == 0 or turned):
        member.odd = 0
        if not member.incident:
            member.since, member.first, member.peak = sight.at, sight, sight
    member.odd += 1
    member.last = sight.at
    if member.peak is None or sight.score > member.peak.score:
        member.peak = sight
    span = (member.last - member.since) / SECOND
    held = member.odd >= settings.points and (span >= settings.seconds or bool(member.incident))
    extreme = member.peak.score > settings.extreme
    jumped = extreme and (member.odd >= 2 and span >= settings.seconds / 2)
    if held or jumped or member.odd >= (rule.points or math.inf):
        member.active = True
        member.alone = member.alone or (rule.points is not None and extreme)


def _calm(member: Member, sight: Sight, rule: Rule, settings: ActSettings) -> None:
    member.odd = 0
    if not member.active:
        return
    if _back(member, sight):
        member.drifting = 0
        member.calm += 1
    else:
        member.drifting = member.drifting or sight.at
        if rule.settles and sight.at - member.drifting >= settings.settle_seconds * SECOND:
            member.calm += 1
        else:
            member.calm = 0
            member.last = sight.at
    if member.calm >= 2:
        member.active = False


def _back(member: Member, sight: Sight) -> bool:
    """Whether it has returned to where it left from, give or take half the width of what was expected then."""
    first = member.first
    if first is None or first.lower is None or first.upper is None:
        return True
    slack = 0.5 * (first.upper - first.lower)
    gone = abs(first.value - first.expected)
    slack = max(slack, 0.25 * gone)
    return first.lower - slack <= sight.value <= first.upper + slack


def finite(value: float | None) -> float | None:
    """`value` where it is a number that JSON can hold."""
    return value if value is not None and math.isfinite(value) else None


class Line(Struct, array_like=True):
    """The latest log line of a template."""

    template: int
    at: int
    series: int
    severity: int
    body: str


class Change(Struct):
    """A deployment or another change that somebody reported."""

    at: int
    key: str
    title: str
    labels: dict[str, str]


class Case(Struct):
    """An incident as it grows.

    Attributes:
        opened: the beat in which it was opened. `joined`: that in which the last member came, or came back.
        members: keys. `ties`: what binds others to them.
        severity: index into SEVERITIES, never falling. `told`: the peak score when it was last handed out.
        ended: when the last member came to rest; 0 while it is open.
    """

    id: str
    started: int
    opened: int
    joined: int
    ended: int = 0
    severity: int = 0
    told: float = 0.0
    members: list[str] = []
    ties: list[str] = []
    lines: list[Line] = []
    merged: list[str] = []


class Memory(Struct):
    """All of it. `at`: the latest beat; `resumed`: the first after we were away."""

    at: int = 0
    resumed: int = 0

    members: dict[str, Member] = {}
    cases: dict[str, Case] = {}
    lines: dict[int, Line] = {}
    changes: list[Change] = []
