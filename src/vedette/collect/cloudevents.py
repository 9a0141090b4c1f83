"""CloudEvents 1.0 over HTTP: structured, batched and binary. Deployments, changes and tickets become events.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final
from urllib.parse import unquote

from vedette.collect import jsonlines
from vedette.collect.limits import Limits
from vedette.core.errors import BadRecord
from vedette.core.frames import EVENTS
from vedette.core.types import Delivery

SOURCE: Final = "events"
STRUCTURED: Final = "application/cloudevents+json"
BATCHED: Final = "application/cloudevents-batch+json"

_TICKET: Final = ("ticket", "issue", "incident")
_CHANGE: Final = ("deploy", "change", "release")
_KNOWN: Final = frozenset(
    ("specversion", "id", "source", "type", "time", "subject", "data", "data_base64", "datacontenttype", "dataschema"),
)


def decode(body: bytes, now: int, content_type: str, headers: Mapping[str, str], limits: Limits | None = None) -> Delivery:
    """Events from one request; the whole body is taken or refused.

    Args:
        body: as sent.
        now: UTC microseconds; `at` of events. Their `time` becomes `starts_at`.
        content_type: media type in lower case, without parameters. Neither structured nor batched means binary.
        headers: names in lower case; the `ce-` ones are the attributes of a binary event.
        limits: bounds on depth and labels.

    Raises:
        BadRecord: naming the attribute and the position of the event; 415 where it is no CloudEvent at all.
    """
    limits = limits or Limits()
    if content_type == BATCHED:
        found = jsonlines.document(body, limits.depth)
        if not isinstance(found, list):
            raise BadRecord(f"expected an array of events, got {jsonlines.kind_of(found)}")
    elif content_type == STRUCTURED:
        found = [jsonlines.document(body, limits.depth)]
    else:
        found = [_binary(body, content_type, headers, limits)]
    rows = jsonlines.each(lambda event: _row(event, now, limits), found)
    # The same id and source is the same event: a sender that repeats a request repeats these, whatever else it says.
    key = sha256("\n".join(str(row[2]) for row in rows).encode()).hexdigest() if rows else None
    return Delivery(SOURCE, {"events": jsonlines.frame(rows, EVENTS)}, key=key)


def kind(event_type: str) -> str:
    """`ticket` or `change`, by the words in the type of an event.

    >>> kind("dev.cdevents.service.deployed.0.1.1"), kind("com.example.incident.opened")
    ('change', 'ticket')
    """
    lower = event_type.lower()
    if any(word in lower for word in _CHANGE):
        return "change"
    return "ticket" if any(word in lower for word in _TICKET) else "change"


def _binary(body: bytes, content_type: str, headers: Mapping[str, str], limits: Limits) -> dict[str, Any]:
    event: dict[str, Any] = {key[3:]: unquote(value) for key, value in headers.items() if key.startswith("ce-")}
    if "specversion" not in event:
        raise BadRecord(
            f"expected {STRUCTURED}, {BATCHED} or ce-* headers of a binary event, got {content_type or 'no content type'}",
            field="content-type",
            status=415,
        )
    if content_type == "application/json" or content_type.endswith("+json"):
        event["data"] = jsonlines.document(body, limits.depth)
    elif body:
        event["data"] = jsonlines.reversible(body[: limits.line_bytes])[0]
    return event


def _row(event: Any, now: int, limits: Limits) -> tuple[object, ...]:  # noqa: ANN401 -- whatever the sender wrote
    if not isinstance(event, dict):
        raise BadRecord(f"expected an object, got {jsonlines.kind_of(event)}")
    if event.get("specversion") != "1.0":
        raise BadRecord(f'expected "1.0", got {jsonlines.kind_of(event.get("specversion"))}', field="specversion")
    identity, source, name = (_required(event, field) for field in ("id", "source", "type"))
    starts = jsonlines.instant(event["time"], "time", limits.window(now)) if event.get("time") is not None else None
    data = event["data"] if isinstance(event.get("data"), dict) else {}
    labels = jsonlines.words(data.get("labels"), "data.labels", limits.labels, limits.label_bytes)
    labels |= {key: jsonlines.plain(value) for key, value in event.items() if key not in _KNOWN and value is not None}
    titles = (data.get("title"), data.get("summary"), event.get("subject"), name)
    title = next(text for text in titles if isinstance(text, str))
    status = data.get("status")
    notes = {key: jsonlines.plain(value) for key, value in data.items() if key not in ("labels", "title", "status")}
    if isinstance(event.get("data"), str):
        notes["data"] = event["data"]
    notes |= {"type": name, "source": source}
    words = status if isinstance(status, str) else ""
    return (now, kind(name), f"{identity} {source}", words, title, labels, notes, starts, None)


def _required(event: Mapping[str, Any], field: str) -> str:
    value = event.get(field)
    if not isinstance(value, str) or not value:
        raise BadRecord(f"expected a string, got {jsonlines.kind_of(value)}", field=field)
    return value
