"""A scripted month of a small company, through the very pipeline that runs live: what `vedette demo` shows, and a test holds fast.

The company is made up, the operators answer by a script, and everything else happens by itself. The same seed tells the same story.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from vedette import config
from vedette.act import Incident
from vedette.app.timelapse import Timelapse
from vedette.app.training import Trained
from vedette.core.document import read
from vedette.core.types import Decision, Delivery, Signal
from vedette.testing.simulation import DAY, HOUR, MINUTE, START, Happening, Simulation

#: How much of the company's time is one beat, and how often its models are looked after.
BEAT: Final = 30 * MINUTE
LOOK: Final = 3 * HOUR
STEP_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Told:
    """Something that happened: when (UTC microseconds), what kind of thing, and in words."""

    at: int
    kind: str
    text: str


SETTINGS: Final = """
models:
  services:
    family: anomalies
    match: {name: "(http|queue|db|cpu|memory)_.*"}
    window_days: 28
    search: {trials: 4, processes: 1}
    retrain: {first_days: 7, every_days: 28, cooldown_hours: 20, verdicts: 50, failures: 20}
    rollout: {shadow_hours: 12, canary_shares: [0.3], canary_hours: 12, probation_hours: 48, least_points: 500}
    gates:
      - {metric: false_alarms_per_series_week, max_absolute: 2.0}
      - {metric: event_f1, min_relative_change: -0.2}
  disks:
    family: forecasts
    match: {name: disk_used_ratio}
    step_seconds: 3600
    horizon: 96
    limit: 0.9
    window_days: 14
    retrain: {first_days: 7, every_days: 7}
    rollout: {shadow_hours: 24, probation_hours: 24, least_points: 200}
  topics:
    family: classes
    events: ticket
    label: topic
    window_days: 60
    search: {trials: 0}
    retrain: {first_days: 10, every_days: 28}
"""


def script(start: int = START) -> tuple[Happening, ...]:
    """What happens to the company in 28 days."""

    def at(day: float) -> int:
        return start + int(day * DAY)

    return (
        Happening(at(3.4), at(3.4) + HOUR, "web", "deployment"),
        Happening(at(9.45), at(9.45) + 3 * HOUR, "checkout", "outage"),
        *(Happening(at(day + 0.08), at(day + 0.08) + 2 * HOUR, "orders", "batch", 3.0) for day in (10, 11, 12, 13, 14, 16)),
        Happening(at(15.5), at(15.5) + 2 * HOUR, "search", "latency"),
        Happening(at(17), at(28), "web", "season_change"),
        Happening(at(20), at(27), "postgres", "disk_full"),
    )


class Story:
    """Plays the month.

    Args:
        home: where everything is kept.
        seed: of the company.
        tell: told each thing as it happens.
        days: how much of it.
    """

    def __init__(self, home: Path, seed: int = 0, tell: Callable[[Told], None] = lambda _told: None, days: float = 28.0) -> None:
        self._home = home
        self._tell = tell
        self._days = days
        self.company = Simulation(seed=seed, step_seconds=STEP_SECONDS, script=script())
        self.told: list[Told] = []
        self._raised: dict[str, Incident] = {}
        self._decisions = 0
        self._signals: set[tuple[int, str, str]] = set()

    def play(self) -> Iterator[float]:
        """Live through it; the share that is over, beat by beat."""
        declared = read(SETTINGS, config.Config)
        start, end = START, START + int(self._days * DAY)
        frames = self.company.deliveries(start, end)
        with Timelapse(declared, self._home, trained=self._trained) as running:
            for number, at in enumerate(range(start + BEAT, end + 1, BEAT)):
                running.beat(at, cut(frames, at - BEAT, at, first=number == 0))
                if at % LOOK == 0:
                    running.tick()
                    self._look(running)
                    self._operate(running)
                yield (at - start) / (end - start)
            running.settle()
            self._look(running)

    def _say(self, at: int, kind: str, text: str) -> None:
        told = Told(at, kind, text)
        self.told.append(told)
        self._tell(told)

    def _trained(self, trained: Trained) -> None:
        decision = trained.decision
        self._say(decision.at, "training", f"{decision.model}: {decision.evidence.get('asked', '')}")

    def _look(self, running: Timelapse) -> None:
        for incident in running.store.list(limit=1000)[::-1]:
            if incident.id not in self._raised:
                self._say(incident.started_at, "incident", f"{incident.severity}: {incident.title}")
            self._raised[incident.id] = incident
        decisions = running.loop.deployments.decisions(limit=1000)[::-1]
        for decision in decisions[self._decisions :]:
            if decision.stage != "training":
                self._say(decision.at, "decision", _words(decision))
        self._decisions = len(decisions)
        for model in running.config.models:
            for signal in running.loop.deployments.signals(model)[::-1]:
                key = (signal.at, signal.monitor, signal.subject)
                if key not in self._signals:
                    self._signals.add(key)
                    self._say(signal.at, "signal", _spoken(model, signal))

    def _operate(self, running: Timelapse) -> None:
        """The operators answer what they are sure of, by what they know of their company."""
        truth = self.company.truth()
        for incident in self._raised.values():
            if incident.verdict or incident.status != "closed" or incident.labels.get("monitor"):
                continue
            service = incident.labels.get("service", "")
            near = truth.filter(
                (truth["service"] == service)
                & (truth["start"].dt.timestamp("us") - 2 * HOUR <= incident.started_at)
                & (truth["end"].dt.timestamp("us") + 2 * HOUR >= incident.started_at)
            )
            if near.is_empty():
                continue
            kind, real = near.row(0, named=True)["kind"], bool(near["is_incident"].any())
            actor = "ann" if incident.started_at // DAY % 2 else "bob"
            running.answer(incident, "real" if real else "false", actor, kind)
            self._raised[incident.id] = running.store.get(incident.id)
            said = "it was real" if real else f"a false alarm: that is the {kind}"
            self._say(running.at, "operator", f"{actor} of '{incident.title}': {said}")


def cut(whole: Delivery, start: int, end: int, *, first: bool) -> Delivery:
    """The part of a delivery with start <= at < end (UTC microseconds); definitions come with the first."""
    frames: dict[str, pl.DataFrame] = {"series": whole.frames["series"]} if first else {}
    for table in ("metrics", "logs", "events"):
        frame = whole.frames[table]
        low, high = (int(frame["at"].to_physical().search_sorted(moment)) for moment in (start, end))
        frames[table] = frame[low:high]
    return Delivery(whole.source, frames)


def _words(decision: Decision) -> str:
    what = f"{decision.model}@{decision.version}" if decision.version else decision.model
    return f"{what} {decision.move} -> {decision.stage}: {decision.reason}"


def _spoken(model: str, signal: Signal) -> str:
    return f"{model}, {signal.monitor} ({signal.severity}): {signal.reason}"
