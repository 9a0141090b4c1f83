"""Tells receivers what the store says, and keeps at it until they know.

What is to be told follows from the state alone: the open incidents, and what each receiver was told last. So nothing is queued, a
restart forgets nothing, and a receiver that was away is told how things are now, not everything that was.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from vedette.act.incident import SEVERITIES, Incident
from vedette.act.post import Post, Reply
from vedette.act.receivers import ReceiverSettings, Request, alerts, event, labels_of, summary
from vedette.act.store import IncidentStore, Notice
from vedette.act.windows import Window, muting
from vedette.core.errors import ConfigError, NotFound, Transient
from vedette.core.ports import Clock

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 300.0
#: Statuses that say: not now. Any other 4xx says: never.
_LATER: Final = frozenset((408, 425, 429))

log = structlog.get_logger()


@dataclass
class _Line:
    """How things stand with one receiver: failures in a row, when to try again, when new incidents were told."""

    failures: int = 0
    rest_until: int = 0
    fresh: deque[int] = field(default_factory=deque)
    summed_up: int = 0


class Notifier:
    """Tells each receiver of incidents; `step` is called again and again.

    Args:
        store: where incidents are.
        receivers: who is told.
        clock: UTC microseconds.
        post: makes the requests.
        random: from 0 to 1, so that many of us do not retry at once.
        count: is told receiver and outcome of each message: sent, refused, failed, muted, held_back.
        address: where our pages are.
    """

    def __init__(
        self,
        store: IncidentStore,
        receivers: Sequence[ReceiverSettings],
        *,
        clock: Clock,
        post: Post,
        random: Callable[[], float],
        count: Callable[[str, str], None],
        address: str = "",
    ) -> None:
        names = Counter(each.name for each in receivers)
        twice = [f"receivers: the name '{name}' is given twice" for name, times in names.items() if times > 1]
        if twice:
            raise ConfigError(twice)
        self._store = store
        self._receivers = tuple(receivers)
        self._lines = {each.name: _Line() for each in receivers}
        self._clock = clock
        self._post = post
        self._random = random
        self._count = count
        self._address = address.rstrip("/")

    def run(self, wait: Callable[[float], bool], pause: float = 2.0) -> None:
        """Step until `wait(seconds)`, which sleeps, answers that it is time to stop."""
        seconds = 0.0
        while not wait(seconds):
            try:
                self.step()
                seconds = pause
            except Transient as error:
                seconds = max(error.retry_after, pause)

    def step(self) -> None:
        """Tell every receiver what it should know by now and does not.

        Raises:
            Transient: the store cannot be used now.
        """
        now = self._clock()
        incidents = self._store.open()
        windows = self._store.windows("maintenance", since=now)
        for receiver in self._receivers:
            if now >= self._lines[receiver.name].rest_until:
                self._tell(receiver, incidents, windows, now)

    def _tell(self, receiver: ReceiverSettings, incidents: Sequence[Incident], windows: Sequence[Window], now: int) -> None:
        firing = {each.id: each for each in incidents}
        before = self._store.unresolved(receiver.name)
        notices = self._store.notices(receiver.name, {*firing, *before})
        over = [self._over(each) for each in before if each not in firing]
        held: list[Incident] = []
        worst_first = sorted(firing.values(), key=lambda each: (-SEVERITIES.index(each.severity), each.started_at, each.id))
        for incident in (*over, *worst_first):
            notice = notices.get(incident.id) or Notice(incident.id, receiver.name, "", 0, "")
            muted = incident.verdict in {"false", "known"} or muting(incident, windows, now) is not None
            told = _wanted(receiver, incident, notice, muted=muted)
            if told == notice.told and not self._due(receiver, notice, now):
                self._mute(notice, now, muted=muted)
            elif told.startswith("firing") and not self._may(receiver, notice, now):
                held.append(incident)
            elif not self._send(receiver, incident, notice, told, now):
                return
        if held:
            self._sum_up(receiver, held, now)

    def _over(self, incident: str) -> Incident:
        try:
            return self._store.get(incident)
        except NotFound:
            return Incident(incident, "closed", "info", "no longer known", 0, 0, 0)

    def _mute(self, notice: Notice, now: int, *, muted: bool) -> None:
        if muted and notice.outcome != "muted":
            self._store.note(replace(notice, last_sent=now, outcome="muted"))
            self._count(notice.receiver, "muted")

    def _due(self, receiver: ReceiverSettings, notice: Notice, now: int) -> bool:
        """Whether what was told must be told again: an Alertmanager forgets."""
        return (
            receiver.kind == "alertmanager"
            and notice.told.startswith("firing")
            and now - notice.last_sent >= receiver.resend_seconds * SECOND
        )

    def _may(self, receiver: ReceiverSettings, notice: Notice, now: int) -> bool:
        """Whether the rate allows one more; what is told already goes on being told."""
        fresh = self._lines[receiver.name].fresh
        while fresh and now - fresh[0] >= MINUTE:
            fresh.popleft()
        if notice.told.startswith("firing"):
            return True
        return len(fresh) < receiver.per_minute

    def _send(self, receiver: ReceiverSettings, incident: Incident, notice: Notice, told: str, now: int) -> bool:
        """Send, and remember how it went; False where the receiver is to be left alone for now."""
        request = self._request(receiver, incident, notice, told, now)
        outcome = self._deliver(receiver, request, now)
        self._count(receiver.name, outcome)
        if outcome == "failed":
            self._store.note(replace(notice, outcome=outcome))
            return False
        labels = {**(notice.labels or labels_of(incident)), "severity": incident.severity} if told != "resolved" else {}
        self._store.note(Notice(incident.id, receiver.name, told, now, outcome, labels))
        if not notice.told.startswith("firing") and told != "resolved":
            self._lines[receiver.name].fresh.append(now)
        return True

    def _request(self, receiver: ReceiverSettings, incident: Incident, notice: Notice, told: str, now: int) -> Request:
        if receiver.kind == "alertmanager":
            return alerts(receiver, incident, notice.labels, now, self._address, firing=told != "resolved")
        what = "closed" if told == "resolved" else "updated" if notice.told.startswith("firing") else "opened"
        return event(receiver, incident, what, now, self._address)

    def _deliver(self, receiver: ReceiverSettings, request: Request, now: int) -> str:
        """`sent`, `refused` (it will never be taken) or `failed` (it may be, later)."""
        line = self._lines[receiver.name]
        try:
            reply = self._post(request)
        except ConfigError as error:
            log.warning("the receiver's address is refused", receiver=receiver.name, reason=str(error))
            return "refused"
        except Transient as error:
            log.warning("the receiver cannot be reached", receiver=receiver.name, reason=str(error))
            reply = Reply(503)
        if reply.status < 300:
            line.failures = line.rest_until = 0
            return "sent"
        log.warning("the receiver did not take a message", receiver=receiver.name, status=reply.status)
        if reply.status < 500 and reply.status not in _LATER:
            return "refused"
        wait = min(FIRST_WAIT * 2.0**line.failures, LONGEST_WAIT) * (0.5 + self._random())
        line.failures = min(line.failures + 1, 20)
        line.rest_until = now + int(max(wait, reply.retry_after or 0.0) * SECOND)
        return "failed"

    def _sum_up(self, receiver: ReceiverSettings, held: Sequence[Incident], now: int) -> None:
        line = self._lines[receiver.name]
        if line.summed_up and now - line.summed_up < MINUTE:
            return
        line.summed_up = now
        self._count(receiver.name, "held_back")
        self._deliver(receiver, summary(receiver, held, now, self._address), now)


def _wanted(receiver: ReceiverSettings, incident: Incident, notice: Notice, *, muted: bool) -> str:
    """What the receiver should have been told: `firing:SEVERITY`, `resolved`, or nothing."""
    if incident.status == "closed" or muted:
        return "resolved" if notice.told else ""
    if SEVERITIES.index(incident.severity) < SEVERITIES.index(receiver.min_severity):
        return notice.told
    return f"firing:{incident.severity}"
