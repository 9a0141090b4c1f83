"""What moves: verdicts, events and log lines become members, which rise, stay and come to rest one by one."""

import re
from collections.abc import Mapping
from typing import Final

import polars as pl

from vedette.act.known import Known
from vedette.act.memory import SECOND, Change, Line, Member, Memory, Sight, finite, follow
from vedette.act.settings import ActSettings

#: The name under which the notifier sends incidents out; an alert of this name that comes back in is our own voice.
OWN_ALERT: Final = "VedetteIncident"
#: Severities of alerts that are no incident by themselves.
MINOR: Final = frozenset(("none", "info", "informational", "debug", "ok"))
_TEMPLATES: Final = 2000
_CHANGES: Final = 500
_BODY: Final = 1000
_ERROR: Final = 17
_ALARMING: Final = re.compile(
    r"(?i)\b(error|fatal|panic|exception|traceback|fail(ed|ure)?|critical|emergency|out of memory|segfault|corrupt\w*)\b"
)

News = Mapping[tuple[int, int], list[tuple[int, str]]]


class Watch:
    """Keeps the members in `memory`. `touched` are the incidents of those that changed since it was last emptied."""

    def __init__(self, memory: Memory, known: Known, settings: ActSettings) -> None:
        self._memory = memory
        self._known = known
        self._settings = settings
        self.touched: set[str] = set()

    def wake(self, at: int) -> None:
        """A beat begins at `at`. Beats come every few seconds; where none came for long, it was us who were silent."""
        if at - self._memory.at > self._settings.away_seconds * SECOND:
            self._memory.resumed = at
        self._memory.at = at

    def read(self, logs: pl.DataFrame) -> None:
        """Remember the latest line of each template."""
        latest = logs.filter(pl.col("template").is_not_null()).unique("template", keep="last", maintain_order=True)
        body = pl.col("body").fill_null("").str.slice(0, _BODY)
        columns = latest.tail(_TEMPLATES).select(
            "template", pl.col("at").to_physical(), "series", pl.col("severity").fill_null(0), body
        )
        lines = self._memory.lines
        for row in columns.iter_rows():
            lines.pop(row[0], None)
            lines[row[0]] = Line(*row)
        for template in list(lines)[: max(len(lines) - _TEMPLATES, 0)]:
            del lines[template]

    def hear(self, at: int, events: pl.DataFrame) -> None:
        """Alerts that fire or are over, and changes that were made."""
        times = (pl.col("starts_at").to_physical(), pl.col("ends_at").to_physical())
        for kind, key, status, text, given, starts, ends in events.select(
            "kind", "key", "status", "title", "labels", *times
        ).iter_rows():
            labels = dict(given or {})
            if kind == "change":
                self._memory.changes.append(Change(starts or at, key or "", text or "", labels))
            if kind == "alert" and labels.get("alertname") != OWN_ALERT:
                begun = min(starts or at, at)
                self._alert(at, Member(f"alert:{key}", 0, begun, at, at, title=text or "", labels=labels), status, ends)
        recent = at - 2 * int(self._settings.change_seconds * SECOND)
        self._memory.changes = [each for each in self._memory.changes if each.at >= recent][-_CHANGES:]

    def score(self, at: int, verdicts: pl.DataFrame, templates: pl.DataFrame) -> None:
        """Verdicts that are odd, or about something that moves already. The others are never looked at one by one."""
        counts = pl.col("anomaly_score") > self._settings.enter
        watched = sorted({member.series for member in self._memory.members.values() if member.series})
        if watched:
            counts |= pl.col("series").is_in(pl.Series(watched, dtype=pl.Int64).implode())
        rows = verdicts.filter(counts)
        if rows.is_empty():
            return
        past = at - int(self._settings.late_seconds * SECOND)
        rows = rows.with_columns(pl.col("at").to_physical()).filter(pl.col("at") >= past).sort("at", "series", "model")
        self._known.learn(rows["series"].to_list())
        news = _by_stream(templates)
        columns = rows.select("model", "series", "at", "value", "yhat", "yhat_lower", "yhat_upper", "anomaly_score")
        for model, series, when, value, yhat, lower, upper, score in columns.iter_rows():
            sight = None
            if score is not None and finite(value) is not None:
                sight = Sight(when, value, finite(yhat), finite(lower), finite(upper), min(score, 1e9))
            if model == "heartbeat":
                self._silence(series, sight)
            elif model == "novelty":
                self._novelty(series, when, sight, news)
            else:
                self._point(series, when, sight, model)

    def rest(self, at: int) -> None:
        """Let go of what sends nothing any more, and forget what never became part of an incident."""
        for key, member in list(self._memory.members.items()):
            if member.due and at >= member.due:
                member.active = member.alone = True
                member.due = 0
            patience = self._settings.stale_seconds * (1 if member.kind == "metric" else 7)
            if member.active and at - member.seen > patience * SECOND:
                self._stop(member, member.last)
            if not member.incident and self._idle(member, at):
                del self._memory.members[key]

    def _alert(self, at: int, told: Member, status: str | None, ends: int | None) -> None:
        told.severity = next((told.labels[key].lower() for key in ("severity", "priority", "level") if key in told.labels), "")
        known = self._memory.members.get(told.key)
        if status == "firing":
            member = known or self._remember(told)
            if member is not None:
                member.active, member.alone = True, told.severity not in MINOR
                member.last = member.seen = at
        elif known is not None and known.active:
            self._stop(known, min(max(ends or at, known.since), at))

    def _point(self, series: int, when: int, sight: Sight | None, model: str) -> None:
        silent = self._memory.members.get(f"silence:{series}")
        if silent is not None and (silent.active or silent.due) and when > silent.since:
            silent.due = 0
            self._stop(silent, when)
        rule = self._known.rule(series)
        member = self._memory.members.get(f"metric:{series}")
        if member is None:
            if sight is None or sight.score <= self._settings.enter or not rule.counts(sight.value, sight.expected):
                return
            member = self._remember(Member(f"metric:{series}", series, when, when, when, model=model))
        if member is not None:
            was = member.active
            follow(member, sight, when, rule, self._settings)
            if was != member.active:
                self.touched.add(member.incident)

    def _silence(self, series: int, sight: Sight | None) -> None:
        if sight is None or not self._known.rule(series).silence:
            return
        since = sight.at - int(sight.value * SECOND)
        told = Member(f"silence:{series}", series, since, sight.at, sight.at, first=sight, peak=sight)
        member = self._memory.members.get(told.key) or self._remember(told)
        if member is None:
            return
        member.last = member.seen = sight.at
        member.peak = sight
        patience = self._memory.resumed + int((sight.upper or 0.0) * SECOND)
        away = since < self._memory.resumed and sight.at < patience
        member.due = patience if away else 0
        member.active = member.alone = not away

    def _novelty(self, series: int, when: int, sight: Sight | None, news: News) -> None:
        found = news.get((series, when))
        if not found or sight is None:
            return
        template, text = found.pop(0)
        line = self._memory.lines.get(template)
        severity = line.severity if line else 0
        severe = severity >= _ERROR or (severity == 0 and _ALARMING.search(line.body if line else text) is not None)
        told = Member(f"template:{template}", series, when, when, when, first=sight, peak=sight, title=text[:_BODY])
        told.alone = self._settings.novelty == "always" or (self._settings.novelty == "severe" and severe)
        if told.key not in self._memory.members:
            told.severity = "error" if severity >= _ERROR else ""
        self._remember(told)

    def _remember(self, member: Member) -> Member | None:
        if len(self._memory.members) >= self._settings.max_members:
            return None
        self._memory.members[member.key] = member
        return member

    def _stop(self, member: Member, last: int) -> None:
        member.active = False
        member.odd = 0
        member.last = last
        member.seen = max(member.seen, last)
        self.touched.add(member.incident)

    def _idle(self, member: Member, at: int) -> bool:
        near = self._settings.near_seconds * SECOND
        if member.kind == "template":
            return at - member.last > near
        return not member.active and not member.due and (member.odd == 0 or at - member.seen > near)


def _by_stream(templates: pl.DataFrame) -> News:
    """(stream, first seen) -> the new templates, in order."""
    found: dict[tuple[int, int], list[tuple[int, str]]] = {}
    columns = templates.select("template", "text", pl.col("first_seen").to_physical(), "series")
    for template, text, seen, series in columns.iter_rows():
        found.setdefault((series, seen), []).append((template, text))
    return found
