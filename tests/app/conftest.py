"""A small company in a pipeline of its own, for the tests of the lifecycle: days of it pass in a second."""

import shutil
from contextlib import ExitStack
from typing import Final

import pytest

from vedette import config
from vedette.app.timelapse import Timelapse
from vedette.core.document import read
from vedette.core.types import Delivery
from vedette.lake import reading
from vedette.testing.simulation import DAY, DEFAULT, HOUR, START, Simulation

#: Beats are hours of the company; what makes a checkpoint after each of them is left to the tests of the stream.
SETTINGS: Final = """
flow: {flush_seconds: 86400, checkpoint_seconds: 86400}
models:
  services:
    family: anomalies
    match: {name: "(http|queue|db|cpu|memory)_.*"}
    window_days: 14
    search: {trials: 2, processes: 1}
    retrain: {automatic: false}
    rollout: {shadow_hours: 6, canary_shares: [0.5], canary_hours: 6, probation_hours: 24, least_points: 300}
    gates: [{metric: event_f1, min_absolute: 0}]
"""
#: Days of the company in the home that tests go on in.
LIVED: Final = 8.25


class Drill(Timelapse):
    """A pipeline whose company lives on by as many days as it is told to.

    Args:
        home: where everything is kept.
        script: what happens to the company.
        declared: goes over `SETTINGS`.
        services: of the company.
        day: up to which the pipeline in `home` lived already.
    """

    def __init__(self, home, script=(), declared="", services=DEFAULT, day=0.0):
        self.said, self.came_to = [], []
        super().__init__(read(declared or SETTINGS, config.Config), home, self.said.append, self.came_to.append)
        self.company = Simulation(step_seconds=300, services=services, script=script)
        self.day, self.at = day, START + int(day * DAY)

    def live(self, days, beat_hours=6.0, each=lambda: None):
        """That many days, in beats of so many hours; `each` is called after every one of them."""
        start, end, step = (int(part) for part in (self.day * DAY, (self.day + days) * DAY, beat_hours * HOUR))
        for begin in range(START + start, START + end, step):
            over = min(begin + step, START + end)
            frames = {"metrics": self.company.metrics(begin, over), "events": self.company.events(begin, over)}
            if begin == START:
                frames["series"] = self.company.definitions()
            self.beat(over, Delivery("simulation", frames))
            each()
        self.day += days

    def standing(self, model="services"):
        """Where its versions stand."""
        return self.loop.deployments.standing(model)

    def decided(self, model="services"):
        """`STAGE: REASON` of every decision, the newest first."""
        return [f"{each.stage}: {each.reason}" for each in self.loop.deployments.decisions(model)]

    def end(self):
        """Stop, as a process does that is told to; what was kept stays."""
        self.__exit__()

    def said_of(self, table="verdicts"):
        """The rows of a table, in the order of their time."""
        self._flow.flush()
        return reading(self.home / "lake", table).sort("at", maintain_order=True).collect()


@pytest.fixture
def drill(tmp_path):
    """Begins drills; each ends with the test."""
    with ExitStack() as running:
        yield lambda name="home", **told: running.enter_context(Drill(tmp_path / name, **told))


@pytest.fixture(scope="session")
def first_version(tmp_path_factory):
    """The home of a company that lived for eight days, and whose model has one version since."""
    with Drill(tmp_path_factory.mktemp("first") / "home") as running:
        running.live(8)
        running.train("services", "the first")
        running.live(LIVED - 8)
    return running.home


@pytest.fixture
def going_on(first_version, tmp_path, drill):
    """Begins drills that go on in a copy of that home; without a name, once more in the first copy."""

    def begin(name="home", **told):
        if name:
            shutil.copytree(first_version, tmp_path / name)
        return drill(name or "home", day=LIVED, **told)

    return begin


@pytest.fixture(scope="session")
def settings():
    """What is declared where a test says nothing else."""
    return SETTINGS
