"""Alerts, changes and tickets: what machines and people say about what happens, and about what does not."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from vedette.core.identity import series_id
from vedette.testing.simulation.chance import Chance, Places
from vedette.testing.simulation.happenings import Happening
from vedette.testing.simulation.services import DAY, HOUR, MINUTE, Service
from vedette.testing.simulation.words import ALERTS, COMPLAINTS, EVERYDAY, FALSE_ALARMS, PAGES, TICKETS

#: A row of EVENTS, times in UTC microseconds.
Event = tuple[int, str, str, str, str, dict[str, str], dict[str, str], int | None, int | None]
_FALSE_AN_HOUR: Final = 0.004
_TICKETS_AN_HOUR: Final = 0.2
_FLAP: Final = 10 * MINUTE
#: An hour of tickets or false alarms spills over by less than this.
_SPILL: Final = HOUR


def events(services: Sequence[Service], script: Sequence[Happening], start: int, end: int, chance: Chance) -> list[Event]:
    """Rows of EVENTS with start <= at < end, in the order of time."""
    rows: list[Event] = []
    for each in script:
        rows.extend(_alerts(each, chance))
        rows.extend(_changes(each, script))
    hours = np.arange((start - _SPILL) // HOUR, -(-end // HOUR), dtype=np.int64) * HOUR
    for service in services:
        own = [each for each in script if each.service == service.name]
        rows.extend(_false_alarms(service, hours, chance))
        rows.extend(_tickets(service, own, hours, chance))
    return sorted((row for row in rows if start <= row[0] < end), key=lambda row: row[:4])


def _alert(name: str, service: str, severity: str, fires: int, ends: int) -> Iterator[Event]:
    """It fires, and is resolved."""
    labels = {"alertname": name, "service": service, "severity": severity}
    key = f"{series_id(name, labels) & (2**64 - 1):016x}"
    title = f"{name} on {service}"
    yield (fires, "alert", key, "firing", title, labels, {"summary": title}, fires, None)
    yield (ends, "alert", key, "resolved", title, labels, {"summary": title}, fires, ends)


def _alerts(each: Happening, chance: Chance) -> Iterator[Event]:
    if each.kind == "alert_noise":
        pause = max(int(_FLAP / max(each.size, 0.1)), 2 * MINUTE)
        for fires in range(each.start, each.end, pause):
            ends = fires + int(pause * (0.2 + 0.6 * chance.one(f"flap|{each.service}|{fires}")))
            yield from _alert("ProbeFlapping", each.service, "warning", fires, ends)
    if each.kind in ALERTS and each.marked:
        name, severity, part = ALERTS[each.kind]
        place = f"{each.kind}|{each.service}|{each.start}"
        wait = int((2.0 + 6.0 * chance.one(f"fires|{place}")) * MINUTE)
        fires = each.start + int(part * (each.end - each.start)) + wait
        if fires < each.end:
            ends = each.end + int((1.0 + 4.0 * chance.one(f"resolved|{place}")) * MINUTE)
            yield from _alert(name, each.service, severity, fires, ends)


def _changes(each: Happening, script: Sequence[Happening]) -> Iterator[Event]:
    if each.kind == "deployment":
        earlier = sum(other.kind == "deployment" and other.service == each.service and other.start < each.start for other in script)
        yield _change(each, each.start, f"1.{earlier + 1}.0", "deployed")
    if each.kind == "leak" and each.marked:
        yield _change(each, each.end, "", "restarted")


def _change(each: Happening, at: int, version: str, verb: str) -> Event:
    labels = {"service": each.service} | ({"version": version} if version else {})
    what = f"{each.service} {version}".strip()
    return (at, "change", f"{verb}-{each.service}-{at // MINUTE}", "succeeded", f"{what} {verb}", labels, {}, at, None)


def _false_alarms(service: Service, hours: Places, chance: Chance) -> Iterator[Event]:
    name = f"{service.name}|false"
    for hour in hours[chance.uniform(name, hours) < _FALSE_AN_HOUR].tolist():
        part, length, which = (chance.one(f"{name}|{what}|{hour}") for what in ("at", "length", "which"))
        fires = hour + int(part * 0.7 * HOUR)
        alert = FALSE_ALARMS[int(which * len(FALSE_ALARMS))]
        yield from _alert(alert, service.name, "warning", fires, fires + int((3.0 + 12.0 * length) * MINUTE))


def _tickets(service: Service, script: Sequence[Happening], hours: Places, chance: Chance) -> Iterator[Event]:
    """Everyday ones in office hours, and complaints while something marked happens."""
    day = hours // DAY
    office = (hours % DAY >= 7 * HOUR) & (hours % DAY < 18 * HOUR) & ((day + 3) % 7 < 5)
    yield from _written(service, "", hours, np.where(office, 2.0, 0.2) * _TICKETS_AN_HOUR, chance)
    for each in script:
        if each.kind in COMPLAINTS and each.marked:
            topic, rate = COMPLAINTS[each.kind]
            overlap = np.clip(np.minimum(each.end, hours + HOUR) - np.maximum(each.start, hours), 0, HOUR)
            yield from _written(service, topic, hours, overlap / HOUR * rate * each.size, chance, each)


def _written(
    service: Service, topic: str, hours: Places, rate: np.ndarray, chance: Chance, about: Happening | None = None
) -> Iterator[Event]:
    """Tickets of one topic, or of every day where it is empty; those about a happening come while it lasts."""
    name = f"{service.name}|ticket|{topic}|{about.start if about else ''}"
    counts = chance.counts(name, hours, rate)
    for hour, count in zip(hours[counts > 0].tolist(), counts[counts > 0].tolist(), strict=True):
        first, last = (max(hour, about.start), min(hour + HOUR, about.end)) if about else (hour, hour + HOUR)
        for number in range(count):
            place = f"{name}|{hour}|{number}"
            at = first + int(chance.one(f"{place}|at") * (last - first))
            yield _ticket(service, topic, at, place, chance)


def _ticket(service: Service, topic: str, at: int, place: str, chance: Chance) -> Event:
    topic = topic or EVERYDAY[int(chance.one(f"{place}|topic") ** 1.5 * len(EVERYDAY))]
    texts = TICKETS[topic]
    text = texts[int(chance.one(f"{place}|text") * len(texts))].format(
        service=service.name,
        page=PAGES[int(chance.one(f"{place}|page") * len(PAGES))],
        number=int(chance.one(f"{place}|number") * 9000) + 1000,
    )
    key = f"ticket-{series_id(place, {}) & (2**64 - 1):016x}"
    return (at, "ticket", key, "open", text, {"service": service.name, "topic": topic}, {"text": text}, at, None)
