"""M10: however many move the versions of a model at once, one of them wins, and there is exactly one champion."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from hypothesis import settings as how
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from vedette.app.models import Models
from vedette.app.shelves import Shelves
from vedette.config import Config
from vedette.core.document import read
from vedette.core.errors import NotFound, Rejected
from vedette.core.types import Artefact, Card, Decision, Finding
from vedette.deploy import Evidence, RolloutSettings, Side, next_step
from vedette.web.failures import status_of

VERSIONS = 4
DECLARED = "models: {web: {family: anomalies}}\n"
HEALTHY, ILL = Side(points=1000, largest=9.0), Side(points=1000, largest=9.0, broken=1)
ROLLOUT = RolloutSettings(canary_shares=(0.5,))
HOUR = 3_600_000_000


@pytest.fixture(scope="module")
def shelves(tmp_path_factory):
    """A registry with some versions, the last of which did not pass."""
    made = Shelves(tmp_path_factory.mktemp("promotions"), read(DECLARED, Config))
    for number in range(1, VERSIONS + 1):
        finding = Finding("event_f1", number < VERSIONS, "0.1", "0.5", "")
        card = Card("web", 0, "anomalies", "envelope", {}, "r", "web@1", "d", 0, "1", number, trained_by="ann", findings=(finding,))
        made.registry.add(Artefact(card, {"model/ids": np.zeros(number)}), {})
    return made


@pytest.fixture
def fresh(shelves, tmp_path):
    """The same versions, of which nothing was decided yet."""
    made = Shelves(tmp_path, read(DECLARED, Config))
    made.registry = shelves.registry
    with made.deployments() as deployments:
        yield made, deployments


def models(shelves, deployments, declared=DECLARED):
    return Models(read(declared, Config), shelves, deployments, lambda: 1)


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_promotions_at_once_one_wins(fresh, first):
    shelves, deployments = fresh
    if first:
        models(shelves, deployments).promote("web", first, "eve", "")
    together = Barrier(2)
    standing = deployments.standing

    def promote(version):
        with shelves.deployments() as own:
            mine = models(shelves, own)
            own.standing = lambda name: (standing(name), together.wait(10))[0]
            try:
                return mine.promote("web", version, "eve", "")
            except Rejected as error:
                return str(error)

    with ThreadPoolExecutor(2) as threads:
        said = list(threads.map(promote, (2, 3)))
    won = [each for each in said if isinstance(each, Decision)]
    lost = [each for each in said if isinstance(each, str)]
    assert len(won) == len(lost) == 1
    assert "something else was decided of it just now" in lost[0]
    assert deployments.standing("web").champion == won[0].version
    assert [each.version for each in deployments.decisions("web") if each.stage == "champion"] == [won[0].version, *([1] * first)]


def test_who_trained_a_version_does_not_approve_it_where_two_have_to(fresh):
    shelves, deployments = fresh
    strict = models(shelves, deployments, DECLARED + "registry: {two_people: true}\n")
    with pytest.raises(Rejected, match="another person has to approve it") as refused:
        strict.promote("web", 1, "ann", "I am sure")
    assert status_of(refused.value) == 409
    assert deployments.standing("web").champion == 0
    assert strict.promote("web", 1, "bob", "").version == 1


class Moves(RuleBasedStateMachine):
    """People, trainings and the policy, in any order, each at the sight of how it is or of how it was."""

    shelves = None

    @initialize()
    def begin(self):
        self.deployments = self.shelves.deployments()
        with self.deployments._begin() as db:
            db.exec_driver_sql("DELETE FROM standings")
            db.exec_driver_sql("DELETE FROM decisions")
        self.models = models(self.shelves, self.deployments)
        self.at = 1
        self.seen = [self.deployments.standing("web")]

    def teardown(self):
        if hasattr(self, "deployments"):
            self.deployments.close()

    def changed(self, move):
        """Do it; what is refused changes nothing."""
        before = self.deployments.standing("web")
        try:
            move()
        except (Rejected, NotFound):
            assert self.deployments.standing("web") == before
        after = self.deployments.standing("web")
        if after != before:
            assert after.revision == before.revision + 1
        if before.champion and not after.champion:
            newest = self.deployments.decisions("web", 1)[0]
            assert (newest.stage, newest.version, before.previous) == ("retired", before.champion, 0)
        self.seen.append(after)

    @rule(version=st.integers(1, VERSIONS), anyway=st.booleans())
    def promote(self, version, anyway):
        self.changed(lambda: self.models.promote("web", version, "eve", "", anyway=anyway))

    @rule()
    def rollback(self):
        self.changed(lambda: self.models.rollback("web", "eve", ""))

    @rule(version=st.integers(1, VERSIONS), stage=st.sampled_from(["shadow", "champion"]), old=st.integers(0, 5))
    def trained(self, version, stage, old):
        """A training that looked some time ago."""
        based_on = self.seen[max(-1 - old, -len(self.seen))]
        self.changed(lambda: self.deployments.decide(Decision(self.at, "web", version, "PROMOTE", stage, "trained"), based_on))

    @rule(ill=st.booleans(), hours=st.integers(1, 100), old=st.integers(0, 2))
    def policy(self, ill, hours, old):
        self.at += hours * HOUR
        based_on = self.seen[max(-1 - old, -len(self.seen))]
        decision = next_step(based_on, Evidence(ILL if ill else HEALTHY, HEALTHY), self.at, ROLLOUT)
        if decision is not None:
            self.changed(lambda: self.deployments.decide(decision, based_on))

    @invariant()
    def one_champion(self):
        if not hasattr(self, "deployments"):
            return
        standing = self.deployments.standing("web")
        assert set(self.deployments.standings()) <= {"web"}
        placed = [each for each in (standing.champion, standing.previous, standing.candidate) if each]
        assert len(placed) == len(set(placed))
        assert (standing.stage in {"shadow", "canary"}) == bool(standing.candidate)
        assert standing.stage != "probation" or (standing.champion and standing.previous)
        assert self.deployments.aliases("web").get("champion", 0) == standing.champion
        assert (standing.share > 0) == (standing.stage == "canary")


def test_there_is_exactly_one_champion_whoever_moves_what(shelves):
    Moves.shelves = shelves
    case = Moves.TestCase()
    case.settings = how(max_examples=25, stateful_step_count=20, deadline=None)
    case.runTest()
