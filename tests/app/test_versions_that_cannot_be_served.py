"""M01, R14, M09: a version that is not what was signed, or was trained behind another recipe, is never seated; whoever sat there
stays, and people are told which file it is.
"""

import time
from dataclasses import replace

import polars as pl
import pytest

from vedette.core.arrays import part, whole
from vedette.core.types import Decision


def damage(home, version, file="state.safetensors", model="services"):
    """One bit flipped, behind everybody's back."""
    path = home / "models" / model / str(version) / file
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def decide(running, version, move):
    decision = Decision(running.at, "services", version, "PROMOTE", move, "by the test", {"next_share": 0.5})
    return running.loop.deployments.decide(decision, running.standing())


def told(running, version, file):
    """The signals and incidents that name a version and a file of it."""
    label = f"services@{version}"
    signals = [each.reason for each in running.loop.deployments.signals("services") if each.subject == label]
    incidents = [each.title for each in running.store.list(limit=100) if each.labels.get("monitor") == "registry"]
    return [each for each in (*signals, *incidents) if file in each]


def speaking(running):
    """Who speaks for the series of the model in the end, all of which have a score."""
    said = running.said_of()
    last = said.filter(pl.col("at") == pl.col("at").max(), pl.col("model") == "services")
    assert (last.height, last["anomaly_score"].null_count()) == (42, 0)
    return set(last["version"])


@pytest.mark.parametrize("stage", ["shadow", "canary", "champion"])
def test_a_version_that_was_tampered_with_before_it_was_loaded_is_not_seated(going_on, stage):
    running = going_on()
    running.train("services", "the second")
    if stage != "shadow":
        decide(running, 2, stage)
    damage(running.home, 2)
    before = running.loop.fleet.lanes["services"].champion
    running.live(0.5)
    decision = running.loop.deployments.decisions("services")[0]
    assert (decision.move, decision.version) == ("ROLL_BACK", 2)
    assert "state.safetensors" in decision.reason
    assert (running.standing().champion, running.standing().candidate) == (1, 0)
    assert running.loop.fleet.lanes["services"].champion is before
    assert len(told(running, 2, "state.safetensors")) == 2
    assert speaking(running) == {"1"}
    broken = [each for each in running.loop.shelves.registry.verify() if not each.passed]
    assert [each.check for each in broken] == ["registry services@2: signature"]
    assert "state.safetensors" in broken[0].measured


def test_a_candidate_is_not_blamed_for_its_champion(going_on):
    running = going_on()
    running.train("services", "the second")
    running.end()
    damage(running.home, 1, "card.json")
    running = going_on(None)
    running.live(0.75)
    assert running.decided()[0].startswith("retired: it cannot be served: services@1: card.json")
    assert running.standing().champion == 0
    assert told(running, 1, "card.json")
    assert [each.version for each in running.loop.deployments.decisions("services") if each.move == "ROLL_BACK"] == [1]


def test_a_champion_on_probation_stays_where_its_predecessor_was_damaged(going_on):
    running = going_on()
    running.train("services", "the second")
    decide(running, 2, "champion")
    damage(running.home, 1)
    running.end()
    running = going_on(None)
    running.live(0.75)
    assert running.decided()[0].startswith("champion: its probation is over, since services@1 cannot be served beside it")
    assert (running.standing().champion, running.standing().stage) == (2, "")
    assert speaking(running) == {"2"}


def test_where_the_champion_was_damaged_while_we_were_down_what_is_shipped_speaks(going_on):
    running = going_on()
    running.end()
    damage(running.home, 1)
    began = time.monotonic()
    running = going_on(None)
    assert time.monotonic() - began < 10
    running.live(0.75)
    assert running.decided()[0].startswith("retired: it cannot be served: services@1: state.safetensors")
    assert told(running, 1, "state.safetensors")
    assert running.loop.standings()[0]["champion"] == 0
    assert speaking(running) == {"0"}


def test_a_champion_trained_behind_another_recipe_is_refused_in_words(going_on, settings):
    running = going_on()
    running.end()
    running = going_on(None, declared=settings + "prepare: {gap_intervals: 7}\n")
    running.live(0.5)
    assert "was trained behind the recipe" in running.decided()[0]
    assert "train it anew" in running.decided()[0]
    assert running.standing().champion == 0


def test_a_version_that_was_signed_and_of_which_nothing_can_be_made_is_sent_back(going_on):
    running = going_on()
    registry = running.loop.shelves.registry
    first = registry.load("services", 1)
    arrays = {name: array for name, array in first.arrays.items() if name != "model/ids"}
    registry.add(replace(first, arrays=arrays), {})
    registry.add(replace(first, card=replace(first.card, parameters={"no_such": 1})), {})
    registry.add(replace(first, arrays=whole("model", part(first.arrays, "model"))), {})
    for version, words in ((2, "no detector can be made of it (KeyError: 'ids')"), (3, "no_such")):
        decide(running, version, "champion")
        running.live(0.5)
        assert (running.standing().champion, running.loop.deployments.decisions("services")[0].move) == (1, "ROLL_BACK")
        assert words in running.decided()[0]
    decide(running, 4, "champion")
    running.live(0.75)
    assert running.standing().champion == 4
    assert speaking(running) == {"4"}
    assert running.loop.gauges() == {}


FORECASTS = """
flow: {flush_seconds: 86400, checkpoint_seconds: 86400}
models:
  disks: {family: forecasts, match: {name: disk_used_ratio}, window_days: 8, retrain: {automatic: false}}
"""


@pytest.mark.parametrize("how", ["damaged", "another recipe"])
def test_a_forecaster_that_cannot_be_served_is_sent_back_and_told(drill, how):
    running = drill(declared=FORECASTS)
    running.live(8, 24.0)
    running.train("disks", "the first")
    running.tick()
    assert running.standing("disks").champion == 1
    made = running.said_of("forecasts").height
    assert made > 0
    running.end()
    if how == "damaged":
        damage(running.home, 1, model="disks")
    running = drill(day=8, declared=FORECASTS + ("" if how == "damaged" else "prepare: {gap_intervals: 7}\n"))
    running.live(0.25)
    running.tick()
    assert running.said_of("forecasts").height == made
    assert running.standing("disks").champion == 0
    assert ("state.safetensors" if how == "damaged" else "trained behind the recipe") in running.decided("disks")[0]
    assert [each.severity for each in running.loop.deployments.signals("disks") if each.monitor == "registry"] == ["critical"]
