"""What is done about verdicts: few incidents, explained.

`Incidents` folds the verdicts, log lines and events of each beat. A series becomes a *member* when it is odd for long enough,
and far enough on the side that matters; an alert or a silence becomes one at once. Members that share a host or a service and
move at about the same time are one *case*, and a case of which there is enough is an `Incident`: a frozen value that says what,
how bad, since when, on which labels, what moved first, what the logs said, and what had been changed before. It closes when all
of it is at rest. All of this is pure: the same beats give the same incidents under the same ids. A `Window` of planned work
mutes what happens on its labels; the incident is still recorded. `IncidentStore` keeps all of it in SQL; an older state of
an incident never replaces a newer one, so a replay after a crash does no harm. `Notifier` compares what each receiver was told
last with what is, and tells the difference: to an Alertmanager, or as signed CloudEvents to a webhook.
"""

from vedette.act.incident import Incident
from vedette.act.incidents import Incidents
from vedette.act.notify import Notifier
from vedette.act.post import Poster, Reply
from vedette.act.receivers import ReceiverSettings, Request, signature
from vedette.act.rules import Rule
from vedette.act.settings import ActSettings
from vedette.act.store import Answer, IncidentStore, Notice
from vedette.act.windows import Window, muting

__all__ = [
    "ActSettings",
    "Answer",
    "Incident",
    "IncidentStore",
    "Incidents",
    "Notice",
    "Notifier",
    "Poster",
    "ReceiverSettings",
    "Reply",
    "Request",
    "Rule",
    "Window",
    "muting",
    "signature",
]
