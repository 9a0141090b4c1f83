"""When a version takes a step, and what sends it back."""

from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from vedette.core.types import Decision
from vedette.deploy import Evidence, RolloutSettings, Side, Standing, after, faults, next_step
from vedette.deploy.rollout import HOUR

SETTINGS = RolloutSettings()
#: A version that does as its neighbour does.
FINE = Side(points=1000, nulls=10, least=0.0, largest=3.0, alarms=4, error=200.0, errors=900, seconds=0.1)


def seen(own=FINE, other=FINE, **more):
    return Evidence(own, other, **more)


FAULTS = {
    "3 of its 1000 scores are no numbers": seen(replace(FINE, broken=3)),
    "1 of its 2 scores are no numbers": seen(Side(points=2, broken=1)),
    "operators called 2 of its incidents false, and 1 real": seen(false=2, real=1),
    "it gives no score for 20% more of the points than the other version": seen(replace(FINE, nulls=210)),
    "all of its 990 scores are 0.5": seen(replace(FINE, least=0.5, largest=0.5)),
    "it raised 11 alarms where the other version raised 4, more than 2 times as many": seen(replace(FINE, alarms=11)),
    "it takes 10.0 times as long for a point": seen(replace(FINE, seconds=1.0)),
    "its expectation is 2.0 times as far from what is seen": seen(replace(FINE, error=400.0)),
}
NO_FAULTS = {
    "as good as its neighbour": seen(),
    "few of its incidents were called false": seen(false=1),
    "as many were real": seen(false=5, real=5),
    "too few points to say": seen(replace(FINE, points=499, nulls=499, alarms=400)),
    "a little less said": seen(replace(FINE, nulls=60)),
    "few alarms": seen(replace(FINE, alarms=10), replace(FINE, alarms=0)),
    "nothing happens in either": seen(replace(FINE, least=0.0, largest=0.0), replace(FINE, least=0.0, largest=0.0)),
    "somewhat slower": seen(replace(FINE, seconds=0.45)),
    "nobody took the time": seen(replace(FINE, seconds=9.0), replace(FINE, seconds=0.0)),
    "constant series, but for rounding": seen(replace(FINE, error=1e-9), replace(FINE, error=0.0)),
}


@pytest.mark.parametrize("words", FAULTS)
def test_each_fault_sends_it_back_at_once_with_its_words(words):
    assert list(faults(FAULTS[words], SETTINGS)) == [words]
    standing = Standing("web", champion=1, candidate=2, stage="shadow", since=0, revision=2)
    decision = next_step(standing, FAULTS[words], 0, SETTINGS)
    assert (decision.move, decision.stage, decision.version, decision.reason) == ("ROLL_BACK", "rejected", 2, words)
    assert after(standing, decision, probation=True) == Standing("web", champion=1, revision=3)


@pytest.mark.parametrize("why", NO_FAULTS)
def test_what_is_within_bounds_or_cannot_be_said_yet_is_no_fault(why):
    assert list(faults(NO_FAULTS[why], SETTINGS)) == []


def test_several_faults_are_all_told_and_the_evidence_is_kept():
    standing = Standing("web", champion=2, previous=1, stage="probation", since=0, revision=5)
    bad = seen(replace(FINE, broken=1, alarms=40), false=3)
    decision = next_step(standing, bad, 30 * 60_000_000, SETTINGS)
    assert decision.reason.count("; ") == 2
    assert (decision.move, decision.stage, decision.version) == ("ROLL_BACK", "retired", 2)
    assert decision.evidence["own"]["alarms"] == 40
    assert decision.evidence["hours"] == 0.5
    assert after(standing, decision, probation=True) == Standing("web", champion=1, since=decision.at, revision=6)


def test_a_step_is_taken_after_its_time_and_its_points_and_not_before():
    standing = Standing("web", champion=1, candidate=2, stage="shadow", since=10 * HOUR)
    day = 34 * HOUR
    assert next_step(standing, seen(), day - 1, SETTINGS) is None
    assert next_step(standing, seen(replace(FINE, points=499)), day, SETTINGS) is None
    assert next_step(standing, seen(), day, SETTINGS.model_copy(update={"automatic": False})) is None
    assert next_step(standing, seen(), day, SETTINGS).stage == "canary"
    assert next_step(Standing("web", champion=1), seen(replace(FINE, broken=9)), day, SETTINGS) is None


def test_steps_back_are_taken_without_a_person_even_where_steps_forward_are_not():
    careful = RolloutSettings(automatic=False)
    standing = Standing("web", champion=1, candidate=2, stage="canary", share=0.1)
    assert next_step(standing, seen(replace(FINE, broken=1)), 1, careful).move == "ROLL_BACK"


@pytest.mark.parametrize("shares", [(0.1, 0.5), (0.5, 0.1)])
def test_the_way_of_a_version_from_shadow_to_champion(shares):
    settings = RolloutSettings(canary_shares=shares)
    standing, at, way = Standing("web", champion=1, candidate=2, stage="shadow", revision=2), 0, []
    while standing.stage:
        at += HOUR
        decision = next_step(standing, seen(), at, settings)
        if decision is not None:
            standing = after(standing, decision, probation=True)
            way.append((at // HOUR, decision.move, standing.stage, standing.share, standing.champion, standing.previous))
    assert way == [
        (24, "PROMOTE", "canary", 0.1, 1, 0),
        (48, "PROMOTE", "canary", 0.5, 1, 0),
        (72, "PROMOTE", "probation", 0.0, 2, 1),
        (144, "HOLD", "", 0.0, 2, 1),
    ]
    assert standing.revision == 6


def test_without_probation_a_champion_is_champion():
    standing = Standing("web", champion=1, candidate=2, stage="canary", share=0.5)
    promoted = after(standing, Decision(5, "web", 2, "PROMOTE", "champion", "better"), probation=False)
    assert promoted == Standing("web", champion=2, previous=1, since=5, revision=1)


versions = st.integers(1, 5)


class Way(RuleBasedStateMachine):
    """Whatever is decided, by the policy or by a person, fitting or not."""

    def __init__(self):
        super().__init__()
        self.now, self.standing, self.first = 0, Standing("web"), 0

    def carry_out(self, version, move, stage, probation=True, **evidence):
        self.now += HOUR
        before = self.standing
        self.standing = after(before, Decision(self.now, "web", version, move, stage, "why", evidence), probation)
        assert self.standing == before or (self.standing.revision, self.standing.since) == (before.revision + 1, self.now)

    @rule(version=versions, stage=st.sampled_from(["shadow", "canary", "champion"]), probation=st.booleans())
    def promote(self, version, stage, probation):
        self.carry_out(version, "PROMOTE", stage, probation)
        assert version in {self.standing.champion, self.standing.candidate}

    @rule(version=versions, stage=st.sampled_from(["rejected", "retired"]))
    def send_back(self, version, stage):
        was = self.standing
        self.carry_out(version, "ROLL_BACK", stage)
        if self.standing != was:
            assert version not in {self.standing.champion, self.standing.candidate, self.standing.previous}

    @rule(version=versions, stage=st.sampled_from(["champion", "refused", "training"]))
    def hold(self, version, stage):
        was = self.standing
        self.carry_out(version, "HOLD", stage)
        assert self.standing.champion == was.champion

    @precondition(lambda self: self.standing.stage)
    @rule(bad=st.booleans(), hours=st.integers(0, 100))
    def policy(self, bad, hours):
        self.now += hours * HOUR
        evidence = seen(replace(FINE, broken=int(bad)))
        decision = next_step(self.standing, evidence, self.now, SETTINGS)
        if decision is not None:
            moved = after(self.standing, decision, probation=True)
            assert moved != self.standing
            self.standing = moved

    @invariant()
    def one_champion_and_no_version_in_two_places(self):
        here = self.standing
        named = [each for each in (here.champion, here.previous, here.candidate) if each]
        assert len(named) == len(set(named))
        assert (here.stage in {"shadow", "canary"}) == bool(here.candidate)
        assert here.stage != "probation" or (here.champion and here.previous)
        assert (here.share > 0) == (here.stage == "canary")
        assert here.champion or not here.previous


TestWay = Way.TestCase
