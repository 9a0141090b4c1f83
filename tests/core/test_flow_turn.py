"""What is changed between two beats is met again by whoever walks them again."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from vedette.core.flow import Flow, FlowSettings, Outcome
from vedette.core.types import Beat, Position
from vedette.testing import ABORT, Aborted, ListSource, RowStore, SavedMemory, Tried

SECOND = 1_000_000


class Dial:
    """A part that a wish of somebody outside turns: every row holds where it stood."""

    def __init__(self, wishes):
        self.value, self.wishes = 0, wishes

    def __call__(self, beat):
        return Outcome({"rows": pl.DataFrame({"offset": [beat.last], "value": [self.value]})})

    def turn(self, at):
        wanted = max((when for when in self.wishes if when * SECOND <= at), default=0)
        changed, self.value = wanted != self.value, wanted
        return changed

    def state(self):
        return {"value": np.array([self.value])}

    def load(self, state):
        self.value = int(state["value"][0])


class Dying(SavedMemory):
    """A memory in which saving kills once, after or before it is saved."""

    def __init__(self, at=None, *, saved=False):
        super().__init__()
        self.left, self.first = at, saved

    def save(self, checkpoint):
        self.left = None if self.left is None else self.left - 1
        if self.left == 0 and not self.first:
            raise Aborted
        super().save(checkpoint)
        if self.left == 0:
            raise Aborted


def flow(dial, items, store, memory, tried, spent):
    def opened(after):
        source = ListSource(items, spent)
        source.seek(Position("log", "0", after))
        return source

    return Flow(
        opened, dial, {"dial": dial}, unread=dial, store=store, publish=lambda _changes: None, memory=memory,
        release=lambda _offset, _books: None, attempts=tried, turn=dial.turn,
        settings=FlowSettings(flush_seconds=2, checkpoint_seconds=1000),
    )  # fmt: skip


def walked(wishes, items, memory):
    """All rows in the end, however often it was killed on the way."""
    store, tried, spent = RowStore(), Tried(), set()
    end = max(item.last for item in items if isinstance(item, Beat))
    while True:
        store.restart()
        tried.restart()
        moving = flow(Dial(wishes), items, store, memory, tried, spent)
        try:
            moving.start()
            while moving.offset < end:
                moving.step()
            moving.stop()
        except Aborted:
            continue
        return store.rows("rows")


def beats(count):
    return [Beat(n * SECOND, n, {}) for n in range(1, count + 1)]


def test_a_change_is_checkpointed_at_once_with_its_place():
    store, memory = RowStore(), SavedMemory()
    moving = flow(Dial({3}), beats(5), store, memory, Tried(), set())
    moving.start()
    for _ in range(5):
        moving.step()
    assert [(each.offset, int(each.state["dial/value"][0])) for each in memory.saved] == [(0, 0), (3, 3)]
    assert store.rows("rows")[:3] == [(1, 0), (2, 0), (3, 0)]


def test_it_is_turned_after_a_beat_and_the_next_one_meets_it():
    assert walked({2, 4}, beats(6), SavedMemory()) == [(1, 0), (2, 0), (3, 2), (4, 2), (5, 4), (6, 4)]


@given(
    st.sets(st.integers(1, 20)),
    st.lists(st.integers(0, 20), max_size=5),
    st.one_of(st.none(), st.integers(1, 8)),
    st.booleans(),
)
def test_killed_anywhere_every_row_has_met_the_same(wishes, kills, save, saved):
    items = beats(20)
    for place in kills:
        items.insert(place, ABORT)
    assert walked(wishes, items, Dying(save, saved=saved)) == walked(wishes, beats(20), SavedMemory())


def test_a_beat_that_fails_goes_back_to_the_change_not_behind_it():
    class Poisoned(Dial):
        def __call__(self, beat):
            if beat.last == 5 and self.value == 3 and not failed:
                failed.append(beat.last)
                raise ZeroDivisionError
            return super().__call__(beat)

    failed = []
    store, memory = RowStore(), SavedMemory()
    moving = flow(Poisoned({3}), beats(6), store, memory, Tried(), set())
    moving.start()
    while moving.offset < 6:
        moving.step()
    moving.stop()
    assert failed == [5]
    assert store.rows("rows") == [(1, 0), (2, 0), (3, 0), (4, 3), (5, 3), (6, 3)]
