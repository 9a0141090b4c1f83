"""R04: a training that is killed at any place leaves whole versions or none, and the next one ends where it would have ended."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from vedette import config
from vedette.app.shelves import Shelves
from vedette.app.training import Asked, Training
from vedette.core.document import read
from vedette.core.failpoints import NAMES
from vedette.testing.simulation import DAY, START

PLACES = sorted(name for name in NAMES if name.startswith(("train.", "registry.")))
UNTIL = START + int(8.25 * DAY)
TRAIN = """
import sys
from pathlib import Path
from vedette import config
from vedette.app.training import Asked, Training
from vedette.core.document import read
home, until, declared = Path(sys.argv[1]), int(sys.argv[2]), read(sys.argv[3], config.Config)
Training(home, declared, lambda: until).train("services", Asked("drill", until=until, again=True), mirror=False)
"""


@pytest.mark.xdist_group("processes")
def test_a_training_that_is_killed_anywhere_is_seen_and_leaves_nothing_but_whole_versions(drill, settings, tmp_path):
    running = drill()
    running.live(8)
    running.train("services", "the first")
    running.live(0.25)
    running.end()
    declared, home = read(settings, config.Config), running.home
    undisturbed = shutil.copytree(home, tmp_path / "undisturbed")
    wanted = Training(undisturbed, declared, lambda: UNTIL).train("services", Asked(until=UNTIL, again=True), mirror=False)
    shelves = Shelves(home, declared)
    for place in PLACES:
        child = subprocess.run(
            [sys.executable, "-c", TRAIN, home, str(UNTIL), settings],
            env={**os.environ, "VEDETTE_FAILPOINTS": f"{place}=kill"}, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert child.returncode == -signal.SIGKILL, f"{place}: {child.stderr[-3000:]}"
        assert [each.measured for each in shelves.registry.verify() if not each.passed] == []
        assert all(shelves.registry.load("services", each) for each in shelves.registry.versions("services"))
        with shelves.deployments() as deployments:
            assert deployments.standing("services").champion == 1
            assert deployments.standing("services").candidate == 0
            assert deployments.decisions("services")[0].stage == "training"
    ended = Training(home, declared, lambda: UNTIL).train("services", Asked("the last", until=UNTIL, again=True), mirror=False)
    assert (ended.decision.stage, ended.card.digest) == (wanted.decision.stage, wanted.card.digest)
    assert {shelves.registry.card("services", each).digest for each in shelves.registry.versions("services")[1:]} == {
        wanted.card.digest
    }
    with shelves.deployments() as deployments:
        said = [each.reason for each in deployments.decisions("services") if each.stage == "interrupted"]
        assert deployments.standing("services").candidate == ended.card.version
    assert len(said) == len(PLACES)
    assert all("(drill) was killed or failed" in each for each in said)
    assert {each.name for each in (home / "training" / "services").iterdir()} == {"hint", "lock"}
    assert list((home / "models").rglob("tmp-*")) == []


def test_the_places_are_those_that_there_are():
    assert {"train.after_dataset", "train.after_search", "train.after_fit", "train.before_decision"} <= set(PLACES)
    assert {"registry.before_sign", "registry.before_rename", "registry.after_rename"} <= set(PLACES)


def test_a_training_that_fails_is_seen_and_is_not_tried_again_at_once(drill, settings):
    running = drill(declared=settings.replace("automatic: false", "first_days: 1").replace("(http|queue|db|cpu|memory)_", "none_"))
    running.live(1.25)
    running.tick()
    running.live(0.25, each=running.tick)
    assert running.decided() == ["training: there is no version yet, and there are 1.2 days of data"]
    assert len([each for each in running.said if "no series matches" in each]) == 1
    running.live(1)
    running.tick()
    assert [each.partition(":")[0] for each in running.decided()] == ["training", "interrupted", "training"]
