"""M04: a version that is broken is seen, and what it says reaches nobody."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from vedette.core.frames import POINTS, VERDICTS, from_rows
from vedette.deploy import Evidence, RolloutSettings, Side, faults
from vedette.models import Envelope
from vedette.serve.fleet import Fleet, Plan, Seat
from vedette.serve.side import Tally

MINUTE = 60_000_000
IDS = list(range(1, 21))
COUNT = 60
SETTINGS = RolloutSettings(least_points=300)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def raises(_said):
    raise IndexError("an array is too short")


WAYS = {
    "": lambda said: said,
    "nan": lambda said: said.with_columns(pl.lit(np.nan).alias(name) for name in ("yhat", "anomaly_score")),
    "inf": lambda said: said.with_columns(anomaly_score=pl.lit(np.inf)),
    "constant": lambda said: said.with_columns(anomaly_score=pl.lit(7.0)),
    "few": lambda said: said[1:],
    "others": lambda said: said.with_columns(series=pl.col("series").reverse()),
    "columns": lambda said: said.drop("yhat_upper"),
    "mute": lambda said: said.with_columns(anomaly_score=pl.lit(None, pl.Float64)),
    "raises": raises,
    "polars": lambda said: said.select("nothing"),
}


@dataclass
class Double:
    """A detector that does as it is told to; `takes` seconds for a point."""

    kind: str
    clock: Clock
    inner: Envelope
    takes: float = 1e-6

    def score(self, frame, at):
        self.clock.now += self.takes * frame.height
        return WAYS[self.kind](self.inner.score(frame, at))

    def learning(self, at):
        return self.inner.learning(at)

    def state(self):
        return self.inner.state()

    def load(self, state):
        self.inner.load(state)


def sound(index):
    """Beats in which something is odd now and then."""
    rng = np.random.default_rng(index)
    value = rng.normal(size=len(IDS)) + 50.0 * (rng.random(len(IDS)) < 0.02)
    return pl.DataFrame({"series": IDS, "at": [index * MINUTE] * len(IDS), "value": value}).cast(POINTS)


def served(champion, other=None, share=0.0, stage="shadow"):
    """What is served over the beats, and the evidence of either side."""
    clock = Clock()
    made = Fleet(
        lambda kind: Double(kind.get("kind", ""), clock, Envelope(), kind.get("takes", 1e-6)),
        lambda series: ["web"] * len(series),
        clock,
    )
    beside = Seat(2, other) if other is not None else None
    made.plan([Plan("web", Seat(1, champion), beside, share, stage)], lambda _model, _seat: None)
    verdicts = pl.concat([made.score(sound(index), index * MINUTE) for index in range(COUNT)])
    lane = made.lanes["web"]
    return verdicts.drop("version"), side(lane.own), side(lane.beside)


def side(tally):
    names = ("points", "nulls", "broken", "least", "largest", "alarms", "error", "errors", "seconds")
    return Side(**{name: int(value) if value % 1 == 0 else float(value) for name, value in zip(names, tally.sums, strict=True)})


HEALTHY, _, _ = served({})
WORDS = {"mute": "no score for 50%", "constant": "all of its 1200 scores are 7"}
BROKEN = ["nan", "inf", "few", "others", "columns", "raises", "polars"]


@pytest.mark.parametrize("stage", ["shadow", "canary"])
@pytest.mark.parametrize("kind", [*BROKEN, "mute"])
def test_a_version_without_numbers_is_seen_and_is_heard_by_nobody(kind, stage):
    verdicts, own, other = served({}, {"kind": kind}, 0.5 if stage == "canary" else 0.0, stage)
    assert verdicts.equals(HEALTHY)
    assert any(WORDS.get(kind, "are no numbers") in each for each in faults(Evidence(own, other), SETTINGS))


@pytest.mark.parametrize(("told", "words"), [({"kind": "constant"}, WORDS["constant"]), ({"takes": 1e-5}, "10.0 times as long")])
def test_a_version_that_is_constant_or_slow_is_seen_in_the_shadow(told, words):
    verdicts, own, other = served({}, told)
    assert verdicts.equals(HEALTHY)
    assert any(words in each for each in faults(Evidence(own, other), SETTINGS))


@pytest.mark.parametrize("kind", BROKEN)
def test_a_champion_that_breaks_on_probation_is_spoken_for_by_its_predecessor_and_seen(kind):
    verdicts, predecessor, champion = served({"kind": kind}, {}, stage="probation")
    assert verdicts.equals(HEALTHY)
    assert any("are no numbers" in each for each in faults(Evidence(champion, predecessor), SETTINGS))


def test_a_sound_version_has_no_faults():
    verdicts, own, other = served({}, {}, 0.5, "canary")
    assert verdicts.equals(HEALTHY)
    assert own == other
    assert own.alarms > 0
    assert list(faults(Evidence(own, other), SETTINGS)) == []


def test_where_nobody_has_an_answer_the_beat_fails():
    with pytest.raises(IndexError):
        served({"kind": "raises"}, {"kind": "raises"})
    with pytest.raises(ValueError, match="web@1 answered for other points"):
        served({"kind": "few"})


def verdicts_of(*rows):
    """Rows of (series, score)."""
    return from_rows([(place, series, "m", "1", 5.0, 3.0, 2.0, 4.0, score) for place, (series, score) in enumerate(rows)], VERDICTS)


def test_an_alarm_is_the_first_odd_score_after_one_that_was_not():
    tally = Tally()
    tally.add(verdicts_of((1, 2.0), (1, 2.0), (1, 0.1), (1, 2.0), (2, 0.5), (3, 2.0)), np.ones(6), 0.5)
    assert tally.sums[5] == 3
    tally.add(verdicts_of((1, 2.0), (2, 2.0), (3, None)), np.full(3, np.nan), 0.5)
    assert tally.sums[5] == 4
    tally.add(verdicts_of((3, 2.0)), np.ones(1), 0.5)
    assert tally.sums.tolist() == [10, 1, 0, 0.1, 2.0, 5, 14.0, 7, 1.5]
    assert tally.odd.tolist() == [1, 2, 3]
