"""Who is told, and in which words: requests as values, made without a clock or a network."""

import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SecretStr

from vedette.act.incident import SEVERITIES, Incident, Severity
from vedette.act.watch import OWN_ALERT
from vedette.core.settings import Settings

HELD_BACK: Final = "held-back"
_TYPES: Final = "dev.vedette.incident"
_TOLD_SHORT: Final = 10


class ReceiverSettings(Settings):
    """Somebody who is told of incidents.

    Attributes:
        kind: `alertmanager` (its API, version 2) or `webhook` (signed CloudEvents).
        url: the base address of an Alertmanager, the whole address of a webhook.
        name: how it is called in `vedette status`; each name once.
        min_severity: less than that is not told.
        resend_seconds: how often a firing incident is told again to an Alertmanager, which forgets what it does not hear of.
        timeout_seconds: for the whole exchange.
        per_minute: new incidents a minute; what is beyond is held back and told in one summary.
        secret: what messages to a webhook are signed with.
        token: sent as a bearer token.
    """

    kind: Literal["alertmanager", "webhook"]
    url: str
    name: Annotated[str, Field(min_length=1, max_length=128)]
    min_severity: Severity = "warning"
    resend_seconds: Annotated[float, Field(gt=0)] = 60.0
    timeout_seconds: Annotated[float, Field(gt=0)] = 10.0
    per_minute: Annotated[int, Field(gt=0)] = 20
    secret: SecretStr | None = None
    token: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A POST to be made."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 10.0


def labels_of(incident: Incident) -> dict[str, str]:
    """The labels of an alert about `incident`, with names that Prometheus takes; what is reserved is ours.

    >>> labels_of(Incident("a", "open", "warning", "x", 1, 1, None, {"service.name": "pay"}))["service_name"]
    'pay'
    """
    given = {re.sub(r"\W|^(?=\d)", "_", key, flags=re.ASCII): value for key, value in sorted(incident.labels.items())}
    return {**given, "alertname": OWN_ALERT, "incident": incident.id, "severity": incident.severity}


def alerts(
    receiver: ReceiverSettings, incident: Incident, told: Mapping[str, str], now: int, address: str, *, firing: bool
) -> Request:
    """The alert of `incident` as it is at `now`: firing for the next four resends, or over.

    Args:
        receiver: an Alertmanager.
        incident: what is told.
        told: the labels with which it was told first, empty at first: an alert is known by its labels, so they stay. Where the
            severity differs, the alert with the old one is resolved in the same request.
        now: UTC microseconds.
        address: where our pages are.
        firing: whether it lasts.
    """
    first = dict(told) or labels_of(incident)
    labels = {**first, "severity": incident.severity}
    ends = now + int(4 * receiver.resend_seconds * 1e6) if firing else min(incident.ended_at or now, now)
    found = [_alert(incident, labels, ends, address)]
    if labels != first:
        found.append(_alert(incident, first, now, address))
    return _request(receiver, f"{receiver.url.rstrip('/')}/api/v2/alerts", json.dumps(found).encode(), "application/json")


def event(receiver: ReceiverSettings, incident: Incident, what: str, now: int, address: str) -> Request:
    """A CloudEvent (1.0, structured JSON) of type `dev.vedette.incident.` and `what`: opened, updated or closed.

    Its id is the same when the same state is sent again, so a receiver can leave out what it has.
    """
    data = {**incident.to_dict(), "url": f"{address}/incidents/{incident.id}"}
    return _cloud_event(receiver, what, f"{incident.id}/{incident.updated_at}/{what}", incident.id, data, now)


def summary(receiver: ReceiverSettings, held: Sequence[Incident], now: int, address: str) -> Request:
    """One message about incidents that are held back."""
    titles = [each.title for each in held[:_TOLD_SHORT]]
    text = f"{len(held)} more incidents are held back, since there are too many at once"
    if receiver.kind == "webhook":
        data = {"title": text, "incidents": [each.id for each in held], "titles": titles, "url": f"{address}/incidents"}
        return _cloud_event(receiver, HELD_BACK, f"{HELD_BACK}/{now}", HELD_BACK, data, now)
    labels = {
        "alertname": OWN_ALERT,
        "incident": HELD_BACK,
        "severity": max((each.severity for each in held), key=SEVERITIES.index),
    }
    notes = {"summary": text, "description": "\n".join(titles)}
    ends = _iso(now + 300_000_000)
    alert = {"labels": labels, "annotations": notes, "startsAt": _iso(now), "endsAt": ends, "generatorURL": f"{address}/incidents"}
    return _request(receiver, f"{receiver.url.rstrip('/')}/api/v2/alerts", json.dumps([alert]).encode(), "application/json")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What the header `Vedette-Signature` holds: `v1=` and the HMAC-SHA256, in hexadecimal, of the timestamp, a dot, and the body.

    A receiver computes the same from the header `Vedette-Timestamp` (Unix seconds) and the body as it came, compares the two in
    constant time, and refuses what is older than a few minutes.

    >>> signature("s", "1750000000", b"{}")[:11]
    'v1=a8f82ce1'
    """
    return "v1=" + hmac.new(secret.encode(), f"{timestamp}.".encode() + body, "sha256").hexdigest()


def _alert(incident: Incident, labels: Mapping[str, str], ends: int, address: str) -> dict[str, Any]:
    first = incident.explanation.get("first", ())
    changes = [each["title"] for each in incident.explanation.get("changes", ())]
    notes = {"summary": incident.title, "description": "\n".join(first), "changes": "\n".join(changes)}
    return {
        "labels": dict(labels),
        "annotations": {key: text for key, text in notes.items() if text},
        "startsAt": _iso(incident.started_at),
        "endsAt": _iso(ends),
        "generatorURL": f"{address}/incidents/{incident.id}",
    }


def _cloud_event(receiver: ReceiverSettings, what: str, identity: str, subject: str, data: Mapping[str, Any], now: int) -> Request:
    document = {
        "specversion": "1.0",
        "id": identity,
        "source": "/vedette",
        "type": f"{_TYPES}.{what}",
        "time": _iso(now),
        "subject": subject,
        "datacontenttype": "application/json",
        "data": data,
    }
    request = _request(receiver, receiver.url, json.dumps(document).encode(), "application/cloudevents+json")
    if receiver.secret is None:
        return request
    timestamp = str(now // 1_000_000)
    signed = {
        "Vedette-Timestamp": timestamp,
        "Vedette-Signature": signature(receiver.secret.get_secret_value(), timestamp, request.body),
    }
    return Request(request.url, request.body, {**request.headers, **signed}, request.timeout)


def _request(receiver: ReceiverSettings, url: str, body: bytes, kind: str) -> Request:
    token = {"Authorization": f"Bearer {receiver.token.get_secret_value()}"} if receiver.token else {}
    return Request(url, body, {"Content-Type": kind, **token}, receiver.timeout_seconds)


def _iso(at: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).isoformat().replace("+00:00", "Z")
