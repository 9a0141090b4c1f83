"""An incident: the one noun of this room."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal, Self

Severity = Literal["info", "warning", "critical"]
Status = Literal["open", "closed"]
Verdict = Literal["", "real", "false", "known"]
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "critical")


@dataclass(frozen=True, slots=True)
class Incident:
    """Something a person should know of. All times are UTC microseconds.

    Attributes:
        id: the same in every replay: a hash of its first member and of its start.
        status: `open` or `closed`.
        severity: `info`, `warning` or `critical`; it never falls while the incident lasts.
        title: one line in words.
        started_at: when the first of its members moved.
        updated_at: the beat of the last change.
        ended_at: when the last of its members came to rest; None while it is open.
        labels: the labels that all members share.
        explanation: plain values, see `explain`.
        verdict: what an operator said of it, empty until then; the store knows.

    >>> one = Incident("a", "open", "warning", "CPU of host web-1 above expected", 1, 2, None, {"host": "web-1"}, {})
    >>> Incident.from_dict(one.to_dict()) == one
    True
    """

    id: str
    status: Status
    severity: Severity
    title: str
    started_at: int
    updated_at: int
    ended_at: int | None
    labels: Mapping[str, str] = field(default_factory=dict)
    explanation: Mapping[str, Any] = field(default_factory=dict)
    verdict: Verdict = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """What `to_dict` gave, as an incident again."""
        return cls(**plain)

    def into(self, other: str, at: int) -> Self:
        """This incident at its end, when it turns out at `at` to be part of `other`."""
        return replace(self, status="closed", updated_at=at, ended_at=at, explanation={**self.explanation, "merged_into": other})
