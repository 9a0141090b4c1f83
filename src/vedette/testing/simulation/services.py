"""The services of the company, and how busy an ordinary day makes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from vedette.testing.simulation.chance import Floats, Places

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
#: Monday, 5 January 2026, 00:00 UTC.
START: Final = 1_767_571_200 * SECOND
#: 1970 began on a Thursday.
_MONDAY: Final = 4 * DAY


@dataclass(frozen=True, slots=True)
class Service:
    """One service, as its operators would describe it.

    Attributes:
        name: label `service` of all its series.
        kind: `web`, `queue` or `database`; it decides what requests are called and what is logged.
        load: requests a second at the mean hour of a working day, over all hosts.
        daily: how far the busiest hour lies above the mean, and the quietest below, as a share of it (0 to below 1).
        weekly: how much of the load the weekend takes away (0 to below 1).
        noise: standard deviation of the load over the square root of the load.
        hosts: how many share the load.
        busy: CPU of a host at the busiest hour of a working day (0 to 1).
        latency: p95 of the duration of requests in seconds, while the service is idle.
        errors: share of requests that fail on a good day (0 to 1).
        queue: requests that wait at each host while half its CPU is busy.
        memory: bytes of a host.
        disk: share of the disk that is in use at the start (0 to 1).
        lines: log lines a minute at the mean load.
    """

    name: str
    kind: Literal["web", "queue", "database"] = "web"
    load: float = 40.0
    daily: float = 0.55
    weekly: float = 0.35
    noise: float = 0.7
    hosts: int = 1
    busy: float = 0.5
    latency: float = 0.08
    errors: float = 0.002
    queue: float = 3.0
    memory: float = 8.0 * 2**30
    disk: float = 0.4
    lines: float = 1.5

    @property
    def names(self) -> tuple[str, ...]:
        """Label `host` of its hosts."""
        return tuple(f"{self.name}-{number}" for number in range(1, self.hosts + 1))

    def faults(self) -> Iterator[str]:
        """What cannot be simulated, in words."""
        for field in ("daily", "weekly", "busy", "errors", "disk"):
            if not 0.0 <= getattr(self, field) < 1.0:
                yield f"service {self.name}: {field}: expected 0 to below 1, got {getattr(self, field)}"
        for field in ("load", "latency", "memory", "hosts"):
            if not 0.0 < getattr(self, field) < np.inf:
                yield f"service {self.name}: {field}: expected more than 0, got {getattr(self, field)}"
        for field in ("noise", "queue", "lines"):
            if not 0.0 <= getattr(self, field) < np.inf:
                yield f"service {self.name}: {field}: expected 0 or more, got {getattr(self, field)}"
        if self.kind not in ("web", "queue", "database"):
            yield f"service {self.name}: kind: expected web, queue or database, got {self.kind!r}"


#: A shop: two services that customers see, a search, the orders behind them and the database under all.
DEFAULT: Final = (
    Service("web", load=120.0, hosts=2, lines=3.0),
    Service("checkout", load=18.0, daily=0.6, weekly=0.25, hosts=2, latency=0.15, errors=0.004),
    Service("search", load=60.0, daily=0.5, busy=0.6, latency=0.05, queue=5.0),
    Service("orders", "queue", load=8.0, weekly=0.45, busy=0.4, latency=1.2, errors=0.001, queue=60.0, memory=4.0 * 2**30),
    Service("postgres", "database", load=400.0, daily=0.45, weekly=0.3, latency=0.012, errors=0.0004, queue=8.0, disk=0.55),
)


def ordinary_load(service: Service, at: Places, shift: Floats) -> Floats:
    """Requests a second that people want at each time of an ordinary week, before chance has its say.

    Night and day are two waves, with a steep morning, a plateau and a long evening; a weekend comes and goes over half a day.

    Args:
        service: whose.
        at: UTC microseconds.
        shift: microseconds by which the daily shape comes later.
    """
    turn = 2.0 * np.pi * (at - shift) / DAY
    day = (np.cos(turn - 3.8) + 0.3 * np.cos(2.0 * turn - 5.2)) / 1.3
    weekday = ((at - _MONDAY) % (7 * DAY)) / HOUR
    weekend = np.interp(weekday, [0.0, 6.0, 114.0, 126.0, 162.0, 168.0], [0.5, 0.0, 0.0, 1.0, 1.0, 0.5])
    load: Floats = service.load * (1.0 + service.daily * day) * (1.0 - service.weekly * weekend)
    return load
