"""Scripts to begin with. Days count from `start`: day 0 is the first."""

from typing import Final

import numpy as np

from vedette.testing.simulation.happenings import Happening
from vedette.testing.simulation.services import DAY, DEFAULT, HOUR, MINUTE, START

_NAMES: Final = tuple(service.name for service in DEFAULT)
_WEB: Final = tuple(service.name for service in DEFAULT if service.kind == "web")


def ordinary(days: int, seed: int = 0, start: int = START) -> tuple[Happening, ...]:
    """Days on which nothing happens that anybody should be woken for: deployments, nightly jobs, flapping alerts.

    A deployment every fifth day in office hours, a nightly job on the database every third night, and an alert that flaps for
    two hours once a week.

    >>> sorted({each.kind for each in ordinary(14)})
    ['alert_noise', 'batch', 'deployment']
    """
    chance = np.random.default_rng(seed)
    made = []
    for day in range(days):
        midnight = start + day * DAY
        minutes = int(chance.integers(0, 180)) * MINUTE
        service = _WEB[int(chance.integers(len(_WEB)))]
        if day % 5 == 3:
            made.append(_happening(midnight + 9 * HOUR + minutes, 15 * MINUTE, service, "deployment"))
        if day % 3 == 1:
            made.append(_happening(midnight + 2 * HOUR, HOUR + minutes // 4, "postgres", "batch"))
        if day % 7 == 5:
            made.append(_happening(midnight + 14 * HOUR + minutes, 2 * HOUR, service, "alert_noise"))
    return tuple(made)


def month(seed: int = 0, start: int = START) -> tuple[Happening, ...]:
    """Thirty days in the life of the default company; the seed moves hours, not days.

    Ordinary days with deployments and nightly jobs; an outage of three hours of `web` on day 10; slow answers of `search` on day
    13; two days of errors of `checkout` from day 15 on that nobody marks; on day 19 the season changes for everybody; from day 20
    to day 27 the disk of `postgres` fills.

    >>> [(each.kind, each.service) for each in month() if each.kind in ("outage", "latency", "error_burst", "disk_full")]
    [('outage', 'web'), ('latency', 'search'), ('error_burst', 'checkout'), ('disk_full', 'postgres')]
    """
    chance = np.random.default_rng(seed)
    outage, latency, errors, disk = (start + day * DAY + int(chance.integers(8, 14)) * HOUR for day in (10, 13, 15, 20))
    season = start + 19 * DAY
    story = (
        _happening(outage, 3 * HOUR, "web", "outage"),
        _happening(latency, 4 * HOUR, "search", "latency"),
        Happening(errors, errors + 2 * DAY, "checkout", "error_burst", size=0.7, marked=False),
        *(_happening(season, 11 * DAY, service, "season_change") for service in _NAMES),
        _happening(disk, 7 * DAY, "postgres", "disk_full"),
    )
    quiet = (each for each in ordinary(30, seed, start) if each.kind != "deployment" or each.start < start + 10 * DAY)
    return tuple(sorted((*quiet, *story), key=lambda each: (each.start, each.service)))


def _happening(start: int, length: int, service: str, kind: str) -> Happening:
    return Happening(start, start + length, service, kind)
