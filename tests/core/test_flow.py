from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette.core.flow import Flow, FlowSettings, Outcome
from vedette.core.types import Beat
from vedette.testing import ABORT, PAUSE, Aborted, ListSource, RowStore, SavedMemory

SECOND = 1_000_000


class RunningSum:
    """A stage with memory: each beat's row holds the sum of all values so far."""

    def __init__(self):
        self.total = 0

    def __call__(self, beat):
        self.total += beat.last
        frame = pl.DataFrame({"offset": [beat.last], "total": [self.total]})
        return Outcome({"sums": frame}, {"test": {"stored": 1}}, (("incident", beat.last),))

    def state(self):
        return {"total": np.array([self.total])}

    def load(self, state):
        self.total = int(state["total"][0])


class World:
    """What outlives a kill: the log, the tables, the checkpoints, the books."""

    def __init__(self, items):
        self.items, self.spent = items, set()
        self.store, self.memory = RowStore(), SavedMemory()
        self.books, self.published, self.released = Counter(), {}, 0

    def release(self, offset, counts):
        if offset > self.released:
            self.books.update(counts.get("test", {}))
        self.released = max(self.released, offset)

    def publish(self, changes):
        self.published.update(changes if not changes else {change[1]: change for change in changes})

    def run(self, flush_seconds=2):
        self.store.restart()
        stage = RunningSum()
        flow = Flow(
            lambda after: _sought(ListSource(self.items, self.spent), after),
            stage,
            {"sum": stage},
            store=self.store,
            publish=self.publish,
            memory=self.memory,
            release=self.release,
            settings=FlowSettings(flush_seconds=flush_seconds, checkpoint_seconds=5),
        )
        flow.start()
        for _ in range(len(self.items) + 1):
            flow.step()
        flow.stop()


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


def test_a_step_before_the_start_is_a_mistake_of_the_caller():
    with pytest.raises(RuntimeError, match="step before start"):
        Flow(None, None, {}, store=None, publish=None, memory=None, release=None, settings=FlowSettings()).step()
