"""Between two beats: what was decided is carried out, and what was seen decides."""

import numpy as np
import polars as pl
import pytest

from vedette.act import Incident, IncidentStore
from vedette.act.hearing import HearingSettings
from vedette.app.deployment import Rollouts
from vedette.app.routing import Router
from vedette.config import Model
from vedette.core.arrays import whole
from vedette.core.errors import Tampered
from vedette.core.frames import POINTS
from vedette.core.types import Artefact, Card, Decision
from vedette.deploy import Deployments, RolloutSettings
from vedette.models import Envelope
from vedette.serve.fleet import Fleet
from vedette.serve.tolerance import Tolerance

MINUTE = 60_000_000
QUICK = RolloutSettings(shadow_hours=1, canary_shares=(0.5,), canary_hours=1, probation_hours=1, least_points=50)
MODELS = {name: Model(family="anomalies", rollout=QUICK) for name in ("web", "db")}
IDS = list(range(1, 21))


class Shelf:
    """Versions by name and number; what is listed as broken cannot be loaded."""

    def __init__(self):
        self.broken, self.parameters, self.recipes = set(), {}, {}

    def load(self, name, version):
        if (name, version) in self.broken:
            raise Tampered(f"{name}@{version}: state.safetensors is not what was signed")
        parameters, recipe = self.parameters.get(version, {"sigmas": 4.0 + version}), self.recipes.get(version, "ours")
        card = Card(name, version, "anomalies", "envelope", parameters, recipe, "d@1", "d", 0, "0", 0)
        return Artefact(card, whole("model", Envelope().state()))


class Nan(Envelope):
    def score(self, frame, at):
        return super().score(frame, at).with_columns(anomaly_score=pl.lit(np.nan))


def build(parameters):
    return Nan() if "broken" in parameters else Envelope(**parameters)


class World:
    def __init__(self, folder):
        url = f"sqlite:///{folder}/vedette.db"
        self.deployments, self.store, self.shelf, self.tolerance = Deployments(url), IncidentStore(url), Shelf(), Tolerance()
        self.fleet = Fleet(build, lambda series: ["web" if each % 2 else "db" for each in series], lambda: 0.0)
        self.begin()

    def begin(self):
        """As after a start: nothing of what was seated is known to who seats."""
        self.rollouts = Rollouts(
            MODELS,
            self.deployments,
            self.shelf,
            self.fleet,
            Router({}, self.shelf),
            self.tolerance,
            self.store,
            HearingSettings(),
            "ours",
        )

    def decide(self, version, move="PROMOTE", stage="champion", at=1, model="web"):
        decision = Decision(at, model, version, move, stage, "by hand", {}, "ann")
        return self.deployments.decide(decision, self.deployments.standing(model))

    def beat(self, minute):
        rng = np.random.default_rng(minute)
        frame = pl.DataFrame({"series": IDS, "at": [minute * MINUTE] * len(IDS), "value": rng.normal(size=len(IDS))}).cast(POINTS)
        verdicts = self.fleet.score(frame, minute * MINUTE)
        return verdicts, self.rollouts.turn(minute * MINUTE)

    def standing(self, model="web"):
        found = self.deployments.standing(model)
        return found.champion, found.previous, found.candidate, found.stage


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.deployments.close()
    made.store.close()


def test_a_version_walks_from_the_shadow_to_champion_by_what_is_seen_of_it(world):
    world.decide(1)
    world.decide(2, stage="shadow")
    way = []
    for minute in range(1, 260):
        _, changed = world.beat(minute)
        if changed:
            way.append((minute, *world.standing()))
    assert way == [
        (1, 1, 0, 2, "shadow"), (61, 1, 0, 2, "canary"), (121, 2, 1, 0, "probation"), (181, 2, 1, 0, ""),
    ]  # fmt: skip
    assert [each.actor for each in world.deployments.decisions("web")] == ["policy"] * 3 + ["ann"] * 2
    assert world.fleet.lanes["web"].plan.champion.version == 2
    assert world.fleet.lanes["web"].other is None


def test_a_version_that_gives_no_numbers_is_sent_back_with_the_next_beat_and_was_never_heard(world):
    world.decide(1)
    world.beat(1)
    world.shelf.parameters[2] = {"broken": True}
    world.decide(2, stage="shadow", at=2 * MINUTE)
    heard = [world.beat(minute)[0] for minute in range(2, 6)]
    assert world.standing() == (1, 0, 0, "")
    (decision, *_) = world.deployments.decisions("web")
    assert (decision.move, decision.at, decision.reason) == ("ROLL_BACK", 3 * MINUTE, "10 of its 10 scores are no numbers")
    assert not any(verdicts["anomaly_score"].is_nan().any() for verdicts in heard)
    assert {version for each in heard for version in each.filter(pl.col("model") == "web")["version"]} == {"1"}


CANNOT = {
    "the candidate": (2, "shadow", (1, 0, 0, ""), "ROLL_BACK"),
    "the champion beside a candidate": (1, "shadow", (0, 0, 0, ""), "ROLL_BACK"),
    "the predecessor of a champion on probation": (1, "champion", (2, 1, 0, ""), "HOLD"),
    "a champion on probation": (2, "champion", (1, 0, 0, ""), "ROLL_BACK"),
}


@pytest.mark.parametrize("which", CANNOT)
def test_who_cannot_be_loaded_is_sent_back_and_people_are_told(world, which):
    broken, stage, after, move = CANNOT[which]
    world.decide(1)
    world.decide(2, stage=stage)
    world.shelf.broken.add(("web", broken))
    for minute in (1, 2):
        world.beat(minute)
    assert world.standing() == after
    (decision, *_) = world.deployments.decisions("web")
    assert decision.move == move
    assert decision.reason.endswith(f"web@{broken}: state.safetensors is not what was signed")
    assert world.deployments.signals("web")[0].subject == f"web@{broken}"
    assert "cannot be served" in world.store.list()[0].title
    assert world.fleet.lanes["web"].plan.champion.version == after[0]


def test_a_version_behind_another_recipe_is_not_seated(world):
    world.decide(1)
    world.beat(1)
    world.shelf.recipes[2] = "theirs"
    world.decide(2, stage="shadow")
    world.beat(2)
    assert world.standing() == (1, 0, 0, "")
    assert "trained behind the recipe theirs" in world.deployments.decisions("web")[0].reason


def test_a_lane_whose_decision_is_still_to_come_keeps_its_memory(world):
    world.decide(1)
    world.decide(1, model="db")
    for minute in range(1, 40):
        world.beat(minute)
    world.decide(2, at=60 * MINUTE)
    world.begin()
    verdicts = [world.beat(minute)[0] for minute in range(40, 62)]
    assert all(each["anomaly_score"].null_count() == 0 for each in verdicts)
    assert {each["version"][0] for each in verdicts[:21]} == {"1"}
    assert verdicts[21]["version"][0] == "2"


def test_what_operators_got_used_to_is_heard_and_is_a_change(world):
    members = [{"kind": "metric", "series": 3, "direction": "up", "score": 2.0}]
    world.store.upsert([Incident(name, "closed", "warning", "x", 1, 2, 3, {}, {"members": members}) for name in "ab"])
    assert not world.beat(1)[1]
    world.store.answer("a", "false", "ann", "", MINUTE)
    world.store.answer("b", "false", "ann", "", MINUTE)
    assert world.beat(2)[1]
    assert world.tolerance.rows["series"].to_list() == [3]
    assert not world.beat(3)[1]
    world.store.answer("b", "real", "bob", "", 3 * MINUTE)
    assert world.beat(4)[1]
    assert world.tolerance.rows.is_empty()
