"""M04 in the running pipeline: a broken version goes within its first beats, and nothing it said reaches verdicts or incidents."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from vedette.core.types import Decision
from vedette.models import Envelope

MINUTE = 60_000_000
#: Beats as long as the steps of the company, in hours.
BEAT = 1 / 12


def raises(_said):
    raise IndexError("an array is too short")


WAYS = {
    "nan": lambda said: said.with_columns(anomaly_score=pl.lit(np.nan)),
    "constant": lambda said: said.with_columns(anomaly_score=pl.lit(7.0)),
    "few": lambda said: said[1:],
    "raises": raises,
}


@dataclass
class Sick:
    """A detector that has fallen ill."""

    inner: Envelope
    kind: str

    def score(self, frame, at):
        said = self.inner.score(frame, at)
        return said if frame.is_empty() else WAYS[self.kind](said)

    def learning(self, at):
        return self.inner.learning(at)

    def state(self):
        return self.inner.state()

    def load(self, state):
        self.inner.load(state)


def heard(running, since):
    """What was said since then, and the incidents of it."""
    said = running.said_of().filter(pl.col("at").dt.timestamp("us") >= since, pl.col("model") == "services")
    raised = {each.id for each in running.store.list(limit=1000) if not each.labels.get("monitor")}
    return said.select("series", "at", "value", "yhat", "anomaly_score", "version").sort("series", "at"), raised


@pytest.fixture
def healthy(going_on):
    """What the champion alone says of the same time."""
    running = going_on("healthy")
    running.live(0.25)
    since = running.at
    running.live(13 / 288, BEAT)
    said, raised = heard(running, since)
    assert said.height == 13 * 42
    return said, raised


@pytest.mark.parametrize("stage", ["shadow", "canary", "probation"])
def test_a_version_that_falls_ill_is_heard_by_nobody_and_sent_back_by_itself(going_on, healthy, stage):
    for kind in WAYS:
        running = going_on(kind)
        running.train("services", "the second")
        assert running.standing().candidate == 2, running.decided()
        if stage != "shadow":
            move = "canary" if stage == "canary" else "champion"
            decision = Decision(running.at, "services", 2, "PROMOTE", move, "by the test", {"next_share": 0.5})
            running.loop.deployments.decide(decision, running.standing())
        running.live(0.25)
        lane, since = running.loop.fleet.lanes["services"], running.at
        assert lane.plan.stage == stage
        if stage == "probation":
            lane.champion = Sick(lane.champion, kind)
        else:
            lane.other = Sick(lane.other, kind)
        running.live(13 / 288, BEAT)
        said, raised = heard(running, since)
        wanted, usual = healthy
        assert said.drop("version").equals(wanted.drop("version")), (stage, kind)
        assert raised == usual
        standing, decision = running.standing(), running.loop.deployments.decisions("services")[0]
        assert (standing.champion, standing.candidate, standing.stage) == (1, 0, "")
        assert (decision.move, decision.version) == ("ROLL_BACK", 2)
        assert ("scores are 7" if kind == "constant" else "are no numbers") in decision.reason
        beats = 2 if kind != "constant" else 10
        assert decision.at - since <= beats * 5 * MINUTE
        running.end()
