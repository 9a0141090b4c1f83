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
DAYS: Final = 24.0
#: A signal of the same monitor is not told again within this.
RECENT: Final = 4 * DAY


@dataclass(frozen=True, slots=True)
class Told:
    """Something that happened: when (UTC microseconds), what kind of thing, and in words."""

    at: int
    kind: str
    text: str


#: A month in half a minute: less is written, and less often than when it matters.
PACE: Final = """
flow: {flush_seconds: 21600, checkpoint_seconds: 86400}
lake: {sync: false}
act: {late_seconds: 10800}
"""
#: What the company has declared.
DECLARED: Final = """\
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


#: What a reader should know before it happens, by day.
CHAPTERS: Final = (
    (
        0.0,
        "A week of ordinary days. Nothing is declared but which series to watch; the detector that is shipped learns as it goes.",
    ),
    (7.0, "A week is enough for a first version: dataset, search, judgement on days it never saw, gates, signature, champion."),
    (9.4, "Checkout goes down for three hours. One incident is wanted, not fifty; an operator confirms it, so it is never learnt."),
    (
        10.0,
        "A batch job begins to run at odd hours. It looks bad and is harmless: operators say so twice. Will they be asked again?",
    ),
    (
        13.5,
        "Customers move: every service has other hours and a third more load. The same week, search fails for two days, unnoticed.",
    ),
    (
        17.0,
        "Drift asked for a new version, and a gate refused it: it had learnt the failures. A person marks them as an outage.",
    ),
    (
        20.0,
        "The next version goes its way: in the shadow, for a share of the series, for all. The database's disk begins to fill.",
    ),
    (21.0, "Somebody promotes a version of their own by hand, one that is far too nervous. How long will it last?"),
)


def script(start: int = START) -> tuple[Happening, ...]:
    """What happens to the company in four weeks."""

    def at(day: float) -> int:
        return start + int(day * DAY)

    services = ("web", "checkout", "search", "orders", "postgres")
    return (
        Happening(at(3.4), at(3.4) + HOUR, "web", "deployment"),
        Happening(at(9.45), at(9.45) + 3 * HOUR, "checkout", "outage"),
        *(Happening(at(day), at(day) + 2 * HOUR, "orders", "batch", size) for day, size in ((10.1, 4), (11.35, 4), (12.6, 3))),
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

    def __init__(
        self,
        home: Path,
        seed: int = 0,
        tell: Callable[[Told], None] = lambda _told: None,
        days: float = DAYS,
        start: int = START,
    ) -> None:
        self._home = home
        self._tell = tell
        self._days = days
        self._start = start
        self.company = Simulation(seed=seed, start=start, step_seconds=STEP_SECONDS, script=script(start))
        self.told: list[Told] = []
        self._raised: dict[str, Incident] = {}
        self._decisions = 0
        self._signals: dict[tuple[str, str], int] = {}
        self._chapters = list(CHAPTERS)
        self._marked = self._tried = False
        self._tolerated: set[tuple[int, int]] = set()

    def play(self) -> Iterator[float]:
        """Live through it; the share that is over, beat by beat."""
        declared = read(PACE + DECLARED, config.Config)
        start, end = self._start, self._start + int(self._days * DAY)
        frames = self.company.deliveries(start, end)
        with Timelapse(declared, self._home, trained=self._trained) as running:
            for number, at in enumerate(range(start + BEAT, end + 1, BEAT)):
                self._chapter(at - BEAT)
                running.beat(at, cut(frames, at - BEAT, at, first=number == 0))
                if (at - start) % LOOK == 0:
                    running.tick()
                    self._look(running)
                    self._operate(running)
                    self._script(running)
                yield (at - start) / (end - start)
            running.settle()
            self._look(running)

    def _chapter(self, at: int) -> None:
        while self._chapters and at >= self._start + int(self._chapters[0][0] * DAY):
            self._say(at, "chapter", self._chapters.pop(0)[1])

    def _say(self, at: int, kind: str, text: str) -> None:
        told = Told(at, kind, text)
        self.told.append(told)
        self._tell(told)

    def _trained(self, trained: Trained) -> None:
        decision = trained.decision
        self._say(decision.at, "training", f"{decision.model}: {decision.evidence.get('asked', '')}")

    def _look(self, running: Timelapse) -> None:
        for incident in running.store.list(limit=1000)[::-1]:
            if incident.id not in self._raised and not incident.labels.get("monitor"):
                self._say(incident.started_at, "incident", f"{incident.severity}: {incident.title}")
            self._raised[incident.id] = incident
        decisions = running.loop.deployments.decisions(limit=1000)[::-1]
        for decision in decisions[self._decisions :]:
            if decision.stage != "training":
                self._say(decision.at, "decision", _words(decision))
        self._decisions = len(decisions)
        for series, side, factor, _ in running.loop.tolerance.rows.iter_rows():
            if (series, side) not in self._tolerated:
                self._tolerated.add((series, side))
                what = running.catalogue.get([series])[series]
                self._say(
                    running.at,
                    "heard",
                    f"{what} may score {factor:.1f} times as high before anybody is called: two said it was false",
                )
        for model in running.config.models:
            for signal in running.loop.deployments.signals(model)[::-1]:
                # What is told again since it is worse has been read once here.
                recent = self._signals.get((model, signal.monitor), -RECENT)
                if signal.at - recent >= RECENT:
                    self._signals[model, signal.monitor] = signal.at
                    self._say(signal.at, "signal", _spoken(model, signal))

    def _script(self, running: Timelapse) -> None:
        """What people do besides answering: mark an outage that nobody had noticed, and try out a version of their own."""
        standing = running.loop.deployments.standing("services")
        refused = [each for each in running.loop.deployments.decisions("services", 20) if each.stage == "refused"]
        if refused and not self._marked and running.at >= self._start + 17 * DAY:
            self._marked = True
            start, end = (self._start + int(day * DAY) for day in (14.2, 16.2))
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
