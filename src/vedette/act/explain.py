"""An incident in words: what, since when, seen against expected, what moved first, and what had changed before."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from vedette.act.grouping import common, related
from vedette.act.incident import SEVERITIES, Incident
from vedette.act.known import Known
from vedette.act.memory import SECOND, Case, Change, Line, Member
from vedette.act.settings import ActSettings
from vedette.act.words import amount, place, span, subject, unit

SHOWN: Final = 20
LINES: Final = 5
_LOUD: Final[Mapping[str, int]] = {"warn": 13, "error": 17, "fatal": 21}


def incident(
    case: Case, members: Sequence[Member], changes: Sequence[Change], known: Known, at: int, settings: ActSettings
) -> Incident:
    """`case` as a person is told of it at `at`, UTC microseconds."""
    labels = [known.info(each.series).labels if each.series else each.labels for each in members]
    since = case.started - int(settings.change_seconds * SECOND)
    before = [each for each in changes if since <= each.at <= case.joined and related(each.labels, labels, known.here)]
    return Incident(
        id=case.id,
        status="closed" if case.ended else "open",
        severity=SEVERITIES[case.severity],
        title=title(members, known),
        started_at=case.started,
        updated_at=at,
        ended_at=case.ended or None,
        labels=common(labels),
        explanation=explanation(case, members, sorted(before, key=lambda each: (-each.at, each.key))[:SHOWN], known),
    )


def illustrate(case: Case, member: Member, lines: Mapping[int, Line], known: Known) -> None:
    """Add to `case` the log lines that show what a member of the logs is about."""
    if member.kind == "alert" or len(case.lines) >= LINES:
        return
    info = known.info(member.series)
    found: list[Line] = []
    if member.kind == "template":
        found = _lines_of(int(member.key.partition(":")[2]), lines)
    elif info.name == "log_template_lines":
        found = _lines_of(_template(info.labels.get("template", "")), lines)
    elif info.name == "log_severity_lines" and info.labels.get("severity") in _LOUD:
        least, since = _LOUD[info.labels["severity"]], member.since - 180 * SECOND
        loud = [each for each in lines.values() if least <= each.severity < least + 4 and each.at >= since]
        found = [each for each in loud if known.info(each.series).labels.items() <= info.labels.items()]
    shown = {line.template for line in case.lines}
    case.lines = [*case.lines, *(each for each in reversed(found) if each.template not in shown)][:LINES]


def title(members: Sequence[Member], known: Known) -> str:
    """One line about the member that says most: a target that is down, an alert, the heaviest series, a new kind of log line."""
    head = min(members, key=lambda member: (-_weight(member, known), member.since, member.key))
    silent = sum(member.kind == "silence" for member in members)
    if head.kind == "silence" and silent > 1:
        return f"No data{place(known.info(head.series).labels).replace(' of ', ' from ', 1)}: {silent} series fell silent"
    others = len(members) - 1
    return sentence(head, known) + (f" (and {others} more)" if others else "")


def sentence(member: Member, known: Known) -> str:
    """What one member did."""
    if member.kind == "alert":
        return f"Alert: {member.title}"
    info = known.info(member.series)
    where = place(info.labels)
    if member.kind == "template":
        return f"New kind of log line{where}: {member.title[:120]}"
    peak = member.peak
    if peak is None:
        return str(info)
    if member.kind == "silence":
        usual = f", usually every {span(peak.yhat)}" if peak.yhat else ""
        return f"No data{where.replace(' of ', ' from ', 1)}: {subject(info)} silent for {span(peak.value)}{usual}"
    if info.name == "up" and peak.value < 0.5:
        labels = ", ".join(f"{key} {info.labels[key]}" for key in ("job", "instance") if key in info.labels)
        return f"Target is down: {labels or 'up is 0'}"
    far = "far " if peak.score >= 3 else ""
    side = "above" if member.rises else "below"
    of = unit(info)
    return f"{subject(info)}{where} {far}{side} expected: {_against(member, of)}"


def explanation(case: Case, members: Sequence[Member], changes: Sequence[Change], known: Known) -> dict[str, Any]:
    """Everything that is known, as plain values; times in UTC microseconds.

    Keys: `model` (which scored the first of its metrics), `direction` (up, down, mixed or empty); `members`, the first 20 to move,
    in that order, each with `text`, and with `value`, `yhat`, `yhat_lower`, `yhat_upper` and `score` at its peak; `member_count`;
    `first`, the first three in words; `logs`, at most five lines; `changes` before it, the nearest first; `merged`, the ids of
    incidents that turned out to be this one.
    """
    ordered = sorted(members, key=lambda member: (member.since, member.key))
    sides = {"up" if each.rises else "down" for each in ordered if each.kind == "metric"}
    return {
        "model": next((each.model for each in ordered if each.model), ""),
        "direction": "mixed" if len(sides) > 1 else "".join(sides),
        "members": [_plain(member, known) for member in ordered[:SHOWN]],
        "member_count": len(ordered),
        "first": [sentence(member, known) for member in ordered[:3]],
        "logs": [_line(line) for line in case.lines[:LINES]],
        "changes": [{"at": each.at, "key": each.key, "title": each.title, "labels": each.labels} for each in changes],
        "merged": list(case.merged),
    }


def _weight(member: Member, known: Known) -> float:
    if member.kind == "alert":
        return 40.0
    if member.kind == "template":
        return 3.0
    if member.kind == "silence":
        return 30.0
    rule = known.rule(member.series)
    return rule.weight * min(member.peak.score if member.peak else 1.0, 10.0)


def _against(member: Member, of: str) -> str:
    peak = member.peak
    if peak is None or peak.yhat is None:
        return amount(peak.value, of) if peak else "?"
    text = f"{amount(peak.value, of)} against {amount(peak.yhat, of)}"
    if peak.lower is None or peak.upper is None:
        return text
    return f"{text} ({amount(peak.lower, of)} to {amount(peak.upper, of)})"


def _plain(member: Member, known: Known) -> dict[str, Any]:
    info = known.info(member.series) if member.series else None
    peak = member.peak
    return {
        "key": member.key,
        "kind": member.kind,
        "series": member.series,
        "name": info.name if info else member.title,
        "labels": dict(sorted((info.labels if info else member.labels).items())),
        "text": sentence(member, known),
        "since": member.since,
        "last": member.last,
        "active": member.active,
        "direction": ("up" if member.rises else "down") if member.kind == "metric" else "",
        "at": peak.at if peak else member.since,
        "value": peak.value if peak else None,
        "yhat": peak.yhat if peak else None,
        "yhat_lower": peak.lower if peak else None,
        "yhat_upper": peak.upper if peak else None,
        "score": peak.score if peak else None,
    }


def _line(line: Line) -> dict[str, Any]:
    return {"at": line.at, "series": line.series, "template": line.template, "severity": line.severity, "body": line.body}


def _lines_of(template: int, lines: Mapping[int, Line]) -> list[Line]:
    return [lines[template]] if template in lines else []


def _template(label: str) -> int:
    """The identity in the label of a count of lines; 0 where it is none."""
    if not re.fullmatch(r"[0-9a-f]{16}", label):
        return 0
    number = int(label, 16)
    return number - (1 << 64) if number >= 1 << 63 else number
