"""M09, R14: what is learnt is what is seen. The points of a training are those that the stream scored, a class model is not asked
without a column that it learnt from, and a version that was damaged meanwhile does not keep the process from starting.
"""

import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from vedette.app import ground as grounds
from vedette.app.timelapse import Timelapse
from vedette.config import Config
from vedette.core.document import read
from vedette.core.frames import EVENTS, from_rows
from vedette.core.types import Delivery
from vedette.testing.simulation import HOUR

CLASSES = """
models:
  topics:
    family: classes
    events: ticket
    label: topic
    features: [team]
    search: {trials: 0}
    retrain: {automatic: false}
    gates: [{metric: calibration_error, max_absolute: 1}, {metric: macro_f1, min_absolute: 0}]
"""
TOPICS = {
    "network": "cable switch latency packet router",
    "billing": "invoice price refund card tax",
    "login": "password token mail locked reset",
}
COMMON = "please help with this since monday morning in our office on second floor again and urgently because nobody can work"
START = datetime(2026, 1, 5, tzinfo=UTC)


def test_the_points_of_a_training_are_those_that_were_scored(going_on):
    running = going_on()
    running.live(1.5, 1.0)
    scored = running.said_of().filter(pl.col("model") != "heartbeat").select("series", "at", "value").sort("series", "at")
    loaded = grounds.load(running.home / "lake", running.config.prepare, running.config.models["services"].match, 30)
    wanted = scored.filter(pl.col("series").is_in(loaded.frame["series"].unique().implode()))
    assert wanted.height >= 10_000
    assert loaded.frame.select("series", "at", "value").equals(wanted)


def tickets(hours):
    """One every ten minutes of those hours after `START`, about a topic each, from its team."""
    rows = []
    for number in range(6 * hours.start, 6 * hours.stop):
        dice = random.Random(number)
        topic = dice.choice(list(TOPICS))
        title = " ".join(dice.sample(TOPICS[topic].split(), 2) + dice.sample(COMMON.split(), 6))
        at = START + timedelta(minutes=10 * number)
        rows.append((at, "ticket", f"T{number}", None, title, {"topic": topic, "team": f"{topic} team"}, {}, None, None))
    return Delivery("desk", {"events": from_rows(rows, EVENTS)})


def begun(home, declared=CLASSES):
    """A pipeline on that home."""
    return Timelapse(read(declared, Config), home)


def pass_hours(running, hours):
    running.beat(int(START.timestamp() * 1e6) + hours.stop * HOUR, tickets(hours))


@pytest.fixture
def topics(tmp_path):
    """A home in which a class model speaks."""
    with begun(tmp_path / "home") as running:
        pass_hours(running, range(96))
        running.train("topics", "the first")
        assert running.loop.deployments.standing("topics").champion == 1, running.loop.deployments.decisions("topics")[0].reason
        pass_hours(running, range(96, 97))
        pass_hours(running, range(97, 98))
        assert running.loop.router.desks["topics"].champion is not None
    return tmp_path / "home"


def test_a_class_model_is_not_asked_without_a_column_it_learnt_from(topics):
    with begun(topics, CLASSES.replace("[team]", "[squad]")) as running:
        pass_hours(running, range(98, 99))
        pass_hours(running, range(99, 100))
        decision = running.loop.deployments.decisions("topics")[0]
        assert (decision.move, decision.version) == ("ROLL_BACK", 1)
        assert (
            "field 'feature:team': the model learnt from this column and it is missing; there are: feature:squad" in decision.reason
        )
        assert running.loop.router.desks["topics"].champion is None


def test_a_class_model_that_was_damaged_while_we_were_down_is_sent_back_in_words(topics):
    path = topics / "models" / "topics" / "1" / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with begun(topics) as running:
        pass_hours(running, range(98, 99))
        decision = running.loop.deployments.decisions("topics")[0]
        assert (decision.move, decision.version) == ("ROLL_BACK", 1)
        assert "state.safetensors" in decision.reason
        assert any("state.safetensors" in each.title for each in running.store.list())


def test_a_class_model_tells_its_age_and_when_its_answers_are_others_than_what_it_learnt(topics):
    with begun(topics, CLASSES + "    monitor: {verdicts: 60}\n") as running:
        pass_hours(running, range(98, 118))
        usual = running.loop.gauges()["topics"]
        assert usual["age_seconds"] > 0
        assert usual["drift_classes"] < 0.25
        start = START + timedelta(hours=118)
        rows = [
            (start, "ticket", f"N{each}", None, "switch router latency", {"team": "network team"}, {}, None, None)
            for each in range(600)
        ]
        running.beat(int(start.timestamp() * 1e6) + HOUR, Delivery("desk", {"events": from_rows(rows, EVENTS)}))
        assert running.loop.gauges()["topics"]["drift_classes"] > 0.25


def test_after_a_restart_the_class_model_of_the_checkpoint_goes_on_with_what_was_counted_of_it(topics):
    with begun(topics) as running:
        pass_hours(running, range(98, 100))
        before = running.loop.router.desks["topics"].sums.copy()
        assert before[0, 0] > 0
    with begun(topics) as running:
        pass_hours(running, range(100, 101))
        assert running.loop.router.desks["topics"].champion is not None
        assert running.loop.router.desks["topics"].sums[0, 0] == before[0, 0] + 6
