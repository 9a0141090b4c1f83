"""Windows of time in which what happens on some labels is expected: it is recorded, and nobody is told."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Literal

from vedette.act.grouping import identity
from vedette.act.incident import Incident

Kind = Literal["maintenance", "outage"]
KINDS: Final[tuple[Kind, ...]] = ("maintenance", "outage")


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` until before `end` (UTC microseconds), on everything whose labels match.

    Attributes:
        id: given by the store; 0 before.
        kind: `maintenance` mutes; `outage` marks what is never learnt from, and mutes nothing.
        labels: name -> pattern of the value, `*` and `?` as in file names. No label at all matches everything.

    >>> night = Window(0, "maintenance", 10, 20, {"host": "web-*"}, "kernel update")
    >>> night.covers(10, {"host": "web-1"}), night.covers(20, {"host": "web-1"}), night.covers(15, {"host": "db-1"})
    (True, False, False)
    """

    id: int
    kind: Kind
    start: int
    end: int
    labels: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def covers(self, at: int, labels: Mapping[str, str]) -> bool:
        """Whether something with `labels` at `at` falls into the window."""
        return self.start <= at < self.end and all(fnmatchcase(labels.get(key, ""), value) for key, value in self.labels.items())


def muting(incident: Incident, windows: Iterable[Window], at: int) -> Window | None:
    """The maintenance window that covers the whole incident at `at`, if there is one: each of its members must match.

    A `host` in a window also matches the `instance` of a member, and so on for the other names of the same thing.
    """
    members = incident.explanation.get("members", ())
    whole = members and incident.explanation.get("member_count") == len(members)
    labels = [each["labels"] for each in members] if whole else [incident.labels]
    named = [{**dict(sorted(identity(each))), **each} for each in labels]
    planned = (each for each in windows if each.kind == "maintenance")
    return next((each for each in planned if all(each.covers(at, each_named) for each_named in named)), None)
