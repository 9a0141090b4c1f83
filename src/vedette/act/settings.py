"""What may be declared of incidents."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from vedette.act.rules import KNOWN, Rule
from vedette.core.settings import Settings

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]


class ActSettings(Settings):
    """When something is an incident, and when it is over. All durations are seconds.

    Attributes:
        enter: a score above it is odd; `leave`: a score below it is calm. In between nothing changes.
        points: odd points in a row that make a series count; `seconds`: how long they must at least span.
        extreme: two points suffice when their scores are above it.
        breadth: different measures that make an incident together; one with a weight below 1 counts for as much.
        alone_seconds: how long a series must be odd when nothing moves with it, divided by the weight of its rule.
        near_seconds: how close in time things are that may belong together.
        close_seconds: calm of every member after which an incident is closed.
        grace_seconds: after its end it is reopened rather than a new one begun.
        settle_seconds: a level that has moved for good is accepted after this long without an odd score.
        stale_seconds: a series that sends nothing for so long holds no incident open; an alert or a silence, seven times that.
        away_seconds: where beats are further apart, we were away; what fell silent meanwhile is given its time anew.
        change_seconds: how far back the changes go that are told with an incident.
        late_seconds: verdicts older than this are history; they wake nobody.
        novelty: when a new kind of log line is an incident alone: `always`, `severe` (it is an error, or reads like one), `never`.
        storm: incidents begun within `near_seconds` beyond which the next ones are one, whatever their labels.
        max_members: things that are watched at once; further ones are not followed.
        rules: what counts for which series, before what is known of common names.
    """

    enter: Positive = 1.0
    leave: Positive = 0.7
    points: Count = 5
    seconds: Annotated[float, Field(ge=0)] = 20.0
    extreme: Positive = 3.0
    breadth: Positive = 2.0
    alone_seconds: Annotated[float, Field(ge=0)] = 480.0
    near_seconds: Positive = 300.0
    close_seconds: Annotated[float, Field(ge=0)] = 300.0
    grace_seconds: Annotated[float, Field(ge=0)] = 1800.0
    settle_seconds: Annotated[float, Field(ge=0)] = 1800.0
    stale_seconds: Positive = 3600.0
    away_seconds: Positive = 30.0
    change_seconds: Annotated[float, Field(ge=0)] = 1800.0
    late_seconds: Positive = 3600.0
    novelty: Literal["always", "severe", "never"] = "severe"
    storm: Count = 10
    max_members: Count = 5000
    rules: tuple[Rule, ...] = ()

    def rule(self, name: str, labels: Mapping[str, str]) -> Rule:
        """The first rule that matches.

        >>> ActSettings().rule("up", {}).direction
        'down'
        """
        return next(rule for rule in (*self.rules, *KNOWN) if rule.takes(name, labels))
