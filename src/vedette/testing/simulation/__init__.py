"""A small company that does not exist, for drills. Its services have days, weekends and noise, and a script says what happens to
them: deployments, leaks, outages, a season that changes, a disk that fills, alerts that mean nothing. All of its metrics, logs and
events follow from a seed and the script; there is no generator that runs, so a stretch of time gives the same rows however it is
cut, and the truth is known to whoever judges. It imports nothing of ours but the core, and touches no clock.
"""

from vedette.testing.simulation.company import TRUTH, Simulation
from vedette.testing.simulation.happenings import INCIDENTS, KINDS, Happening
from vedette.testing.simulation.scripts import month, ordinary
from vedette.testing.simulation.services import DAY, DEFAULT, HOUR, MINUTE, SECOND, START, Service

__all__ = [
    "DAY",
    "DEFAULT",
    "HOUR",
    "INCIDENTS",
    "KINDS",
    "MINUTE",
    "SECOND",
    "START",
    "TRUTH",
    "Happening",
    "Service",
    "Simulation",
    "month",
    "ordinary",
]
