"""A scripted month of a small company, through the very pipeline that runs live: what `vedette demo` shows, and a test holds fast.

The company is made up, the operators answer by a script, and everything else happens by itself. The same seed tells the same story.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import polars as pl

from vedette import config
from vedette.act import Incident, Window
from vedette.app.timelapse import Timelapse
from vedette.app.training import Trained
from vedette.core.document import read
from vedette.core.types import Artefact, Decision, Delivery, Signal
from vedette.testing.simulation import DAY, HOUR, INCIDENTS, START, Happening, Simulation

#: How much of the company's time is one beat, and how often its models are looked after.
BEAT: Final = HOUR
LOOK: Final = 6 * HOUR
STEP_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Told:
    """Something that happened: when (UTC microseconds), what kind of thing, and in words."""

    at: int
    kind: str
    text: str


SETTINGS: Final = """
flow: {flush_seconds: 21600, checkpoint_seconds: 86400}
lake: {sync: false}
act: {late_seconds: 10800}
models:
  services:
    family: anomalies
    match: {name: "(http|queue_message|db|cpu|memory)_.*"}
    window_days: 28
    search: {trials: 4, processes: 1}
    retrain: {first_days: 7, every_days: 28, cooldown_hours: 20, verdicts: 50, failures: 20}
    rollout: {shadow_hours: 12, canary_shares: [0.3], canary_hours: 12, probation_hours: 24, least_points: 500}
    gates:
      - {metric: false_alarms_per_series_week, max_absolute: 2.0}
      - {metric: event_f1, min_relative_change: -0.2}
  disks:
    family: forecasts
    match: {name: disk_used_ratio}
    step_seconds: 21600
    horizon: 16
    limit: 0.9
    window_days: 14
    retrain: {first_days: 10, every_days: 28}
    rollout: {shadow_hours: 24, probation_hours: 0, least_points: 100}
"""
NERVOUS: Final = {"sigmas": 1.6}


def script(start: int = START) -> tuple[Happening, ...]:
    """What happens to the company in four weeks."""

    def at(day: float) -> int:
        return start + int(day * DAY)

    services = ("web", "checkout", "search", "orders", "postgres")
    return (
        Happening(at(3.4), at(3.4) + HOUR, "web", "deployment"),
        Happening(at(9.45), at(9.45) + 3 * HOUR, "checkout", "outage"),
        *(Happening(at(day), at(day) + 2 * HOUR, "orders", "batch", size) for day, size in ((10.1, 3), (11.35, 4), (12.6, 4))),
        *(Happening(at(13.5), at(28), service, "season_change") for service in services),
        Happening(at(14.2), at(16.2), "search", "error_burst", 0.7, marked=False),
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
        self._marked = self._tried = False

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
                    self._script(running)
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

    def _script(self, running: Timelapse) -> None:
        """What people do besides answering: mark an outage that nobody had noticed, and try out a version of their own."""
        standing = running.loop.deployments.standing("services")
        refused = [each for each in running.loop.deployments.decisions("services", 20) if each.stage == "refused"]
        if refused and not self._marked and running.at >= START + 17 * DAY:
            self._marked = True
            start, end = START + int(14.2 * DAY), START + int(16.2 * DAY)
            running.store.add_window(Window(0, "outage", start, end, {"service": "search"}, "errors that nobody noticed"))
            self._say(
                running.at,
                "operator",
                "ann reads why it was refused, finds two days of errors of search, and marks them as an outage",
            )
        if standing.champion > 1 and not standing.stage and not self._tried:
            self._tried = True
            shelves = running.loop.shelves
            known = shelves.registry.load("services", standing.champion)
            card = replace(known.card, parameters={**known.card.parameters, **NERVOUS}, trained_by="eve", findings=(), metrics={})
            made = shelves.registry.add(Artefact(card, known.arrays), {})
            running.loop.models.promote("services", made.version, "eve", "an experiment: alarms should come sooner")

    def _operate(self, running: Timelapse) -> None:
        """The operators answer what they are sure of, by what they know of their company."""
        noticed = [each for each in self.company.script if each.marked]
        for incident in self._raised.values():
            if incident.verdict or incident.status != "closed" or incident.labels.get("monitor"):
                continue
            service = incident.labels.get("service", "")
            slack = 2 * HOUR
            near = [
                each for each in noticed
                if each.service == service and each.start - slack <= incident.started_at <= each.end + slack
            ]  # fmt: skip
            if not near:
                continue
            kind, real = near[0].kind, any(each.kind in INCIDENTS for each in near)
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
