"""Alertmanager's webhook, version 4: one alert, one event.

Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from typing import Any, Final

from vedette.collect import jsonlines
from vedette.collect.limits import Limits
from vedette.core.errors import BadRecord
from vedette.core.frames import EVENTS
from vedette.core.types import Delivery

SOURCE: Final = "alertmanager"
_OPEN_ENDED: Final = "0001-01-01T00:00:00Z"


def decode(body: bytes, now: int, limits: Limits | None = None) -> Delivery:
    """Events of kind `alert` with the fingerprint as key; the whole body is taken or refused.

    Args:
        body: the JSON document.
        now: UTC microseconds; the time of the events. `starts_at` and `ends_at` are those of the alert.
        limits: bounds on depth and labels.

    Raises:
        BadRecord: naming the field and the position of the alert.
    """
    limits = limits or Limits()
    document = jsonlines.document(body, limits.depth)
    if not isinstance(document, dict):
        raise BadRecord(f"expected an object, got {jsonlines.kind_of(document)}")
    if document.get("version") != "4":
        raise BadRecord(f'expected "4", got {jsonlines.kind_of(document.get("version"))}', field="version")
    alerts = document.get("alerts")
    if not isinstance(alerts, list):
        raise BadRecord(f"expected an array, got {jsonlines.kind_of(alerts)}", field="alerts")
    rows = jsonlines.each(lambda alert: _row(alert, now, limits), alerts)
    return Delivery(SOURCE, {"events": jsonlines.frame(rows, EVENTS)})


def _row(alert: Any, now: int, limits: Limits) -> tuple[object, ...]:  # noqa: ANN401 -- whatever the sender wrote
    if not isinstance(alert, dict):
        raise BadRecord(f"expected an object, got {jsonlines.kind_of(alert)}")
    labels = jsonlines.words(alert.get("labels"), "labels", limits.labels, limits.label_bytes)
    notes = jsonlines.words(alert.get("annotations"), "annotations", limits.labels, limits.line_bytes)
    key, status = alert.get("fingerprint"), alert.get("status")
    if not isinstance(key, str) or not key:
        raise BadRecord(f"expected a string, got {jsonlines.kind_of(key)}", field="fingerprint")
    if status not in ("firing", "resolved"):
        raise BadRecord(f"expected firing or resolved, got {jsonlines.kind_of(status)}", field="status")
    starts, ends = _time(alert, "startsAt"), _time(alert, "endsAt")
    title = notes.get("summary") or labels.get("alertname") or key
    return (now, "alert", key, status, title, labels, notes, starts, ends)


def _time(alert: dict[str, Any], field: str) -> int | None:
    """A firing alert's open end is the year 1, or lies ahead: no window is checked, only that it is a time."""
    value = alert.get(field)
    if value is None or value == _OPEN_ENDED:
        return None
    return jsonlines.instant(value, field, (0, 253_402_300_799_000_000))
