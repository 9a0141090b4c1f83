"""What belongs together becomes one case: opened when there is enough of it, merged, closed when all of it is at rest."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import Final

from vedette.act.explain import illustrate, incident
from vedette.act.grouping import ties
from vedette.act.incident import Incident
from vedette.act.known import Known
from vedette.act.memory import SECOND, Case, Member, Memory
from vedette.act.settings import ActSettings
from vedette.act.watch import MINOR

_LOUD: Final = frozenset(("critical", "page", "emergency", "fatal", "disaster", "high", "error", "p1"))


class Cases:
    """Keeps the cases in `memory`."""

    def __init__(self, memory: Memory, known: Known, settings: ActSettings) -> None:
        self._memory = memory
        self._known = known
        self._settings = settings
        self._near = int(settings.near_seconds * SECOND)
        self._close = int(settings.close_seconds * SECOND)
        self._grace = int((settings.close_seconds + settings.grace_seconds) * SECOND)

    def update(self, at: int, touched: Iterable[str]) -> list[Incident]:
        """Group what is loose, close what is over; the incidents of all cases that changed, those of `touched` among them."""
        changed = {each for each in touched if each in self._memory.cases}
        merged: list[Incident] = []
        self._reopen(at, changed)
        self._group(at, changed, merged)
        for case in list(self._memory.cases.values()):
            together = self._members(case)
            if self._rise(case, together) | self._end(case, together, at):
                changed.add(case.id)
            elif case.ended and case.id not in changed and at - case.ended > self._grace:
                self._forget(case)
        told = [self.incident(self._memory.cases[each], at) for each in sorted(changed) if each in self._memory.cases]
        return [*merged, *told]

    def incident(self, case: Case, at: int) -> Incident:
        """The case as a person is told of it at `at`."""
        return incident(case, self._members(case), self._memory.changes, self._known, at, self._settings)

    def _members(self, case: Case) -> list[Member]:
        return [self._memory.members[key] for key in case.members]

    def _reopen(self, at: int, changed: set[str]) -> None:
        for member in self._memory.members.values():
            case = self._memory.cases.get(member.incident)
            if case is not None and case.ended and member.active:
                case.ended, case.joined = 0, at
                changed.add(case.id)

    def _group(self, at: int, changed: set[str], merged: list[Incident]) -> None:
        loose = [each for each in self._memory.members.values() if not each.incident and (each.active or each.kind == "template")]
        if not loose:
            return
        homes = self._homes(at)
        rest: list[tuple[Member, frozenset[str]]] = []
        for member in sorted(loose, key=lambda each: (each.since, each.key)):
            bonds = self._ties(member)
            found = {home.id: home for bond in bonds for home in homes.get(bond, {}).values() if home.id in self._memory.cases}
            near = [home for home in found.values() if member.since - home.joined <= self._near]
            if not near:
                rest.append((member, bonds))
                continue
            home, *others = sorted(near, key=lambda each: (each.ended > 0, each.started, each.id))
            merged.extend([self._merge(home, other, at) for other in others if not other.ended])
            self._join(home, member, bonds, at)
            for bond in home.ties:
                homes.setdefault(bond, {})[home.id] = home
            changed.add(home.id)
        for together in _clusters(rest):
            # What moved long before or after it belongs to an incident, but is not what makes it one, nor when it began.
            pieces = _pieces(together, self._near)
            core = next((piece for piece in pieces if self._enough(piece)), None)
            if core is not None:
                background = [each for piece in pieces if piece is not core for each in piece]
                changed.add(self._open([*core, *background], at))

    def _homes(self, at: int) -> dict[str, dict[str, Case]]:
        """The cases that may still take members in, by what ties to them."""
        homes: dict[str, dict[str, Case]] = {}
        for case in self._memory.cases.values():
            if not case.ended or at - case.ended <= self._grace:
                for bond in case.ties:
                    homes.setdefault(bond, {})[case.id] = case
        return homes

    def _ties(self, member: Member) -> frozenset[str]:
        labels = self._known.info(member.series).labels if member.series else member.labels
        return ties(labels, member.key, self._known.here)

    def _enough(self, together: Sequence[Member]) -> bool:
        """One thing that is an incident alone, or several different measures that moved together."""
        metrics = {self._known.info(each.series).name: self._known.rule(each.series) for each in together if each.kind == "metric"}
        breadth = sum(min(rule.weight, 1.0) for rule in metrics.values())
        return breadth >= self._settings.breadth or any(each.alone for each in together)

    def _open(self, together: Sequence[Member], at: int) -> str:
        first = together[0]
        recent = [case for case in self._memory.cases.values() if not case.ended and at - case.opened <= self._near]
        if len(recent) > self._settings.storm:
            case = max(recent, key=lambda each: (each.opened, each.id))
        else:
            label = blake2b(f"{first.key}@{first.since}".encode(), digest_size=8).hexdigest()
            case = self._memory.cases[label] = Case(label, first.since, at, at)
        for member in together:
            self._join(case, member, self._ties(member), at)
        return case.id

    def _join(self, case: Case, member: Member, bonds: frozenset[str], at: int) -> None:
        member.incident = case.id
        case.members.append(member.key)
        case.ties = sorted({*case.ties, *bonds})
        if case.started - member.since <= self._near:
            case.started = min(case.started, member.since)
        case.joined = at
        if member.active or member.alone:
            case.ended = 0
        illustrate(case, member, self._memory.lines, self._known)

    def _merge(self, home: Case, other: Case, at: int) -> Incident:
        """Make `other` part of `home`; what is told of `other` for the last time."""
        last = self.incident(other, at)
        for member in self._members(other):
            member.incident = home.id
        home.members = [*home.members, *other.members]
        home.ties = sorted({*home.ties, *other.ties})
        home.merged = [*home.merged, other.id, *other.merged]
        home.severity = max(home.severity, other.severity)
        home.started, home.joined = min(home.started, other.started), max(home.joined, other.joined)
        home.lines = [*home.lines, *other.lines]
        del self._memory.cases[other.id]
        return last.into(home.id, at)

    def _end(self, case: Case, together: Sequence[Member], at: int) -> bool:
        last = max(member.last for member in together)
        if case.ended or any(member.active for member in together) or at - last < self._close:
            return False
        case.ended = last
        return True

    def _forget(self, case: Case) -> None:
        for key in case.members:
            del self._memory.members[key]
        del self._memory.cases[case.id]

    def _rise(self, case: Case, together: Sequence[Member]) -> bool:
        """Whether it became worse; a peak is told again when it is a quarter higher."""
        severity = max(case.severity, self._severity(together))
        peak = max((member.peak.score for member in together if member.peak), default=0.0)
        worse = severity > case.severity or peak > 1.25 * case.told
        if worse:
            case.severity, case.told = severity, max(case.told, peak)
        return worse

    def _severity(self, together: Sequence[Member]) -> int:
        alerts = [member.severity for member in together if member.kind == "alert"]
        metrics = [member for member in together if member.kind == "metric"]
        names = {self._known.info(each.series).name for each in metrics}
        peak = max((member.peak.score for member in metrics if member.peak), default=0.0)
        broad = len(names) >= 5 and peak >= self._settings.extreme
        if broad or any(each in _LOUD for each in alerts) or any(map(self._down, together)):
            return 2
        modest = len(together) == 1 and self._modest(together[0])
        minor = len(alerts) == len(together) and all(each in MINOR for each in alerts)
        return 0 if modest or minor else 1

    def _modest(self, member: Member) -> bool:
        """Whether it is little by itself: a little off, one of many series gone, a new line that only reads like an error."""
        if member.kind == "metric":
            return member.peak is not None and member.peak.score < 2
        if member.kind == "silence":
            return self._known.rule(member.series).weight <= 1
        return member.kind == "template" and member.severity != "error"

    def _down(self, member: Member) -> bool:
        if member.series == 0 or self._known.info(member.series).name not in {"up", "probe_success"}:
            return False
        return member.kind == "silence" or (member.active and not member.rises)


def _clusters(loose: Sequence[tuple[Member, frozenset[str]]]) -> list[list[Member]]:
    """Members that are tied together, directly or through others, in the order in which they moved."""
    of: dict[str, list[Member]] = {}
    for member, bonds in loose:
        together = [member]
        for cluster in {id(of[bond]): of[bond] for bond in sorted(bonds) if bond in of}.values():
            cluster.extend(together)
            for bond in [bond for bond, each in of.items() if each is together]:
                of[bond] = cluster
            together = cluster
        of.update(dict.fromkeys(bonds, together))
    distinct = {id(cluster): cluster for cluster in of.values()}.values()
    return [sorted(cluster, key=lambda each: (each.since, each.key)) for cluster in distinct]


def _pieces(ordered: Sequence[Member], near: int) -> list[list[Member]]:
    """Members cut where one moved more than `near` after the one before."""
    pieces = [[ordered[0]]]
    for before, member in pairwise(ordered):
        if member.since - before.since > near:
            pieces.append([])
        pieces[-1].append(member)
    return pieces
