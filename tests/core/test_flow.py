from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette.core.flow import Flow, FlowSettings, Outcome
from vedette.core.types import Beat
from vedette.testing import ABORT, PAUSE, Aborted, ListSource, RowStore, SavedMemory, Tried

SECOND = 1_000_000


def row(offset, total):
    return pl.DataFrame({"offset": [offset], "total": [total]}, schema={"offset": pl.Int64, "total": pl.Int64})


class RunningSum:
    """A stage with memory: each beat's row holds the sum of all values so far."""

    def __init__(self, poison=(), kills=()):
        self.total, self.poison, self.kills = 0, poison, kills

    def __call__(self, beat):
        self.total += beat.last
        if beat.last in self.poison:
            raise ZeroDivisionError("poison")
        if beat.last in self.kills:
            raise Aborted
        return Outcome({"sums": row(beat.last, self.total)}, {"test": {"stored": 1}}, (("incident", beat.last),))

    def state(self):
        return {"total": np.array([self.total])}

    def load(self, state):
        self.total = int(state["total"][0])


class World:
    """What outlives a kill: the log, the tables, the checkpoints, the books."""

    def __init__(self, items):
        self.items, self.spent = items, set()
        self.end = max((item.last for item in items if isinstance(item, Beat)), default=0)
        self.store, self.memory, self.tried = RowStore(), SavedMemory(), Tried()
        self.books, self.published, self.released = Counter(), {}, 0

    def release(self, offset, counts):
        if offset > self.released:
            self.books.update(counts.get("test", {}))
        self.released = max(self.released, offset)

    def publish(self, changes):
        self.published.update(changes if not changes else {change[1]: change for change in changes})

    def flow(self, stage, flush_seconds):
        return Flow(
            lambda after: _sought(ListSource(self.items, self.spent), after),
            stage,
            {"sum": stage},
            unread=lambda beat: Outcome({"sums": row(beat.last, None)}, {"test": {"stored": 1}}),
            store=self.store,
            publish=self.publish,
            memory=self.memory,
            release=self.release,
            attempts=self.tried,
            settings=FlowSettings(flush_seconds=flush_seconds, checkpoint_seconds=5),
        )

    def run(self, flush_seconds=2, stage=None):
        self.store.restart()
        self.tried.restart()
        stage = stage or RunningSum()
        flow = self.flow(stage, flush_seconds)
        flow.start()
        while flow.offset < self.end:
            flow.step()
        flow.stop()
        return flow.trouble


def _sought(source, after):
    source._after = after
    return source


def beats(count):
    return [Beat(at=n * SECOND, last=n, frames={}) for n in range(1, count + 1)]


@st.composite
def interrupted_runs(draw):
    count = draw(st.integers(1, 30))
    return count, draw(st.lists(st.tuples(st.integers(0, count), st.sampled_from([ABORT, PAUSE]))))


@given(interrupted_runs())
def test_killed_anywhere_the_tables_and_books_end_the_same(plan):
    count, interruptions = plan
    undisturbed = World(beats(count))
    undisturbed.run()
    items = beats(count)
    for place, what in interruptions:
        items.insert(place, what)
    world = World(items)
    for attempt in range(len(interruptions) + 1):
        try:
            world.run(flush_seconds=1 + attempt % 3)
        except Aborted:
            continue
        break
    assert world.store.rows("sums") == undisturbed.store.rows("sums")
    assert world.books == undisturbed.books == {"stored": count}
    assert world.published == undisturbed.published


def test_a_beat_that_always_fails_is_kept_without_its_journey_and_the_others_know_nothing_of_it():
    world = World(beats(20))
    trouble = world.run(stage=RunningSum(poison={12}))
    totals = {last: sum(n for n in range(1, last + 1) if n != 12) for last in range(1, 21)} | {12: None}
    assert world.store.rows("sums") == list(totals.items())
    assert world.books == {"stored": 20}
    assert world.tried.failures == {12: 3}
    assert "offset 12 failed 3 times: its records are stored, but were not scored" in trouble


class Renamed(RunningSum):
    """The same in a later release, which keeps its memory under another name."""

    def state(self):
        return {"sum": np.array([self.total])}

    def load(self, state):
        self.total = int(state["sum"][0])


def test_memory_of_another_release_is_begun_anew_from_the_place_where_it_was():
    world = World(beats(10))
    world.run()
    world.items, world.end = beats(20), 20
    world.run(stage=Renamed())
    assert world.store.rows("sums")[10:] == [(last, sum(range(11, last + 1))) for last in range(11, 21)]
    assert world.books == {"stored": 20}


def test_a_beat_that_kills_the_process_does_so_three_times_and_no_more():
    world = World(beats(20))
    deaths = 0
    while True:
        try:
            world.run(stage=RunningSum(kills={7}))
        except Aborted:
            deaths += 1
            continue
        break
    assert deaths == 3
    assert [offset for offset, total in world.store.rows("sums") if total is None] == [7]
    assert world.books == {"stored": 20}


def test_a_step_before_the_start_is_a_mistake_of_the_caller():
    with pytest.raises(RuntimeError, match="step before start"):
        World([]).flow(RunningSum(), 1).step()
