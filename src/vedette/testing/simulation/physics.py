"""From the condition of a service to the numbers that its hosts export: they hang together, as they do in life."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from vedette.testing.simulation.chance import Chance, Floats, Places
from vedette.testing.simulation.happenings import Condition
from vedette.testing.simulation.services import DAY, HOUR, Service, ordinary_load

#: Kind of a service -> how its requests, those that fail, and the p95 of their duration are called.
REQUESTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "web": ("http_requests_per_second", "http_request_errors_per_second", "http_request_duration_p95_seconds"),
    "queue": ("queue_messages_per_second", "queue_message_errors_per_second", "queue_message_duration_p95_seconds"),
    "database": ("db_queries_per_second", "db_query_errors_per_second", "db_query_duration_p95_seconds"),
}
HOST: Final = ("cpu_usage_ratio", "memory_used_bytes", "disk_used_ratio", "queue_length")
_IDLE: Final = 0.03
_PAGE: Final = 4096.0


def load(service: Service, state: Condition, at: Places, chance: Chance) -> Floats:
    """Requests a second that reach the service, over all its hosts; some hours and days are busier than others.

    Args:
        service: whose.
        state: its condition at each time.
        at: UTC microseconds, shape (n,).
        chance: which hours and days.
    """
    moods = 0.03 * chance.wander(f"{service.name}|hour", at, HOUR) + 0.03 * chance.wander(f"{service.name}|day", at, DAY)
    asked: Floats = ordinary_load(service, at, state.shift) * state.demand * state.answered * np.exp(moods)
    return asked


def measure(service: Service, state: Condition, at: Places, start: int, chance: Chance) -> Mapping[tuple[str, str], Floats]:
    """(host, metric) -> values, shape (n,): what each host of the service exports.

    CPU follows the requests of the host; durations and what waits rise steeply as the CPU nears its bound, as behind any single
    door; errors are a share of the requests; memory follows load slowly; a disk fills by day and is tidied at night.

    Args:
        service: whose.
        state: its condition at each time, shape (n,).
        at: UTC microseconds, shape (n,).
        start: UTC microseconds at which the disk was as full as `Service.disk` says.
        chance: keyed by host, metric and time.
    """
    share = load(service, state, at, chance) / service.hosts
    capacity = service.load * (1.0 + service.daily) / service.hosts
    made: dict[tuple[str, str], Floats] = {}
    for host in service.names:
        values = _host(service, state, share, capacity, chance, host, at)
        disk = _disk(service, state, at, start, chance, host)
        columns = (*values[:5], disk, values[5])
        made |= {(host, name): column for name, column in zip((*REQUESTS[service.kind], *HOST), columns, strict=True)}
    return made


def _host(
    service: Service, state: Condition, share: Floats, capacity: float, chance: Chance, host: str, at: Places
) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
    """Requests, errors, duration, CPU, memory and queue."""

    def noise(metric: str) -> Floats:
        return chance.normal(f"{host}|{metric}", at)

    requests = np.maximum(share + service.noise * np.sqrt(share) * noise("requests"), 0.0)
    burnt = _IDLE + (service.busy - _IDLE) * requests / capacity * state.work
    cpu = np.clip(burnt + 0.008 * noise("cpu"), 0.002, 1.0)
    # What the CPU cannot serve any more is refused, so that neither durations nor what waits grow beyond all bounds.
    pressure = np.minimum(burnt, 0.95)
    failing = np.minimum(service.errors + state.failing + 1.0 - 1.0 / np.maximum(burnt, 1.0), 1.0)
    wrong = requests * failing
    errors = np.clip(wrong + 0.15 * np.sqrt(wrong * (1.0 - failing)) * noise("errors"), 0.0, requests)
    duration = service.latency * (1.0 + pressure**2 / (1.0 - pressure)) * state.slowness * np.exp(0.06 * noise("duration"))
    held = 0.35 + 0.1 * share / capacity + state.leaked + 0.003 * noise("memory")
    memory = np.clip(held, 0.01, 1.0) * service.memory
    waiting = service.queue * pressure / (1.0 - pressure) * state.waiting * np.exp(0.2 * noise("queue"))
    return (
        requests.round(3),
        np.minimum(errors.round(4), requests.round(3)),
        duration.round(5),
        cpu.round(4),
        np.floor(memory / _PAGE) * _PAGE,
        waiting.round(),
    )


def _disk(service: Service, state: Condition, at: Places, start: int, chance: Chance, host: str) -> Floats:
    days = (at - start) / DAY
    tidied = 0.02 * ((at - 3 * HOUR) % DAY) / DAY
    base = service.disk + 0.0004 * days + tidied + 0.0003 * chance.normal(f"{host}|disk", at)
    used = base + (1.0 - base) * state.filled
    return np.clip(used, 0.0, 1.0).round(5)
