"""Whatever is done to the log in whatever order, it agrees with a model of a few lines: a list, some counters, and no disk."""

import tempfile
from collections import Counter
from pathlib import Path

import polars as pl
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from vedette.core.frames import METRICS
from vedette.core.telemetry import BOOKS
from vedette.core.types import Delivery, Position
from vedette.log import LogSettings, SqliteLog, read_books

SOURCES = st.sampled_from(["a", "b"])
MEMORY = Path("/dev/shm")  # noqa: S108 -- a folder of a random name within it


class LogMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.path = Path(self.folder.name) / "log.db"
        self.now = 1_000_000
        # The model: (offset, source, values) of every entry, where a tick has no source.
        self.entries: list[tuple[int, str, list[float]]] = []
        self.books: dict[str, Counter[str]] = {}
        self.keys: dict[tuple[str, str], int] = {}
        self.positions: dict[tuple[str, str], int] = {}
        self.last = self.released = self.after = 0
        self.values = 0
        self.start()

    def start(self):
        self.log = SqliteLog(self.path, LogSettings(group_seconds=0), clock=lambda: self.now)
        self.reader = self.log.reader(self.after)

    def book(self, source: str, **records: int):
        for name, count in records.items():
            self.books.setdefault(source, Counter())[name] += count

    def left(self, after: int) -> list[tuple[int, str, list[float]]]:
        return [entry for entry in self.entries if entry[0] > after]

    @rule(
        source=SOURCES,
        rows=st.integers(0, 5),
        key=st.none() | st.sampled_from(["k1", "k2", "k3"]),
        rejected=st.integers(0, 2),
        place=st.none() | st.tuples(st.sampled_from(["p1", "p2"]), st.integers(0, 99)),
    )
    def append(self, source, rows, key, rejected, place):
        values = [float(self.values + row) for row in range(rows)]
        self.values += rows
        frames = {"metrics": pl.DataFrame({"series": [1] * rows, "at": [0] * rows, "value": values}, schema=METRICS)}
        position = Position(source, *place) if place else None
        receipt = self.log.append(Delivery(source, frames, rejected=rejected, key=key), position).result()
        if place:
            self.positions[source, place[0]] = place[1]
        self.book(source, received=rows + rejected, rejected=rejected)
        if key and (source, key) in self.keys:
            assert receipt.duplicate
            self.book(source, duplicate=rows)
            return
        assert not receipt.duplicate
        if rows:
            self.last += 1
            assert receipt.offset == self.last
            self.entries.append((self.last, source, values))
        if key:
            self.keys[source, key] = self.last

    @rule()
    def tick(self):
        self.last += 1
        assert self.log.tick().result().offset == self.last
        self.entries.append((self.last, "", []))

    @rule(source=SOURCES, shed=st.integers(0, 3), duplicate=st.integers(0, 3))
    def note(self, source, shed, duplicate):
        self.log.note(source, shed=shed, duplicate=duplicate)
        self.book(source, received=shed + duplicate, shed=shed, duplicate=duplicate)
        self.tick()

    @precondition(lambda self: any(not source for _, source, _ in self.left(self.after)))
    @rule()
    def read(self):
        batch = self.reader.poll(1)
        assert batch is not None
        wanted = self.left(self.after)
        end = next(place for place, (_, source, _) in enumerate(wanted) if not source)
        values = [(value, source) for _, source, values in wanted[: end + 1] for value in values]
        frame = batch.items.frames.get("metrics")
        assert ([] if frame is None else frame.select("value", "source").rows()) == values
        assert batch.items.last == batch.position.offset == wanted[end][0]
        assert batch.items.at > 0
        self.after = batch.items.last

    @rule(duplicate=st.integers(0, 3))
    def release(self, duplicate):
        self.log.release(self.after, {"a": {"duplicate": duplicate}} if duplicate else {})
        for offset, source, values in self.left(self.released):
            if offset <= self.after:
                told = min(duplicate, len(values)) if source == "a" else 0
                duplicate -= told
                self.book(source, duplicate=told, stored=len(values) - told)
        self.released = self.after

    @rule(set_back=st.booleans())
    def reopen(self, set_back):
        self.log.close()
        self.now += -500_000 if set_back else 2_000_000
        self.start()

    @rule(data=st.data())
    def resume_at_the_end_of_an_earlier_beat(self, data):
        ends = [offset for offset, source, _ in self.left(self.released) if not source and offset <= self.after]
        self.after = data.draw(st.sampled_from([self.released, *ends]))
        self.reader.seek(Position("log", "0", self.after))

    @invariant()
    def agrees(self):
        books = {}
        for source in sorted({source for _, source, _ in self.left(self.released)} | set(self.books)):
            if source:
                rows = sum(len(values) for _, owner, values in self.left(self.released) if owner == source)
                books[source] = {name: self.books[source][name] for name in BOOKS} | {"in_log": rows}
        kept = {name: book for name, book in self.log.books().items() if any(book.values())}
        assert kept == {name: book for name, book in books.items() if any(book.values())}
        assert {name: book for name, book in read_books(self.path).items() if any(book.values())} == kept
        assert self.log.lag(self.after) == sum(len(values) for _, _, values in self.left(self.after))
        assert self.log.last == self.last
        found = {(each.source, each.partition): each.offset for source in "ab" for each in self.log.positions(source)}
        assert found == self.positions

    def teardown(self):
        self.reader.close()
        self.log.close()
        self.folder.cleanup()


TestLogMachine = LogMachine.TestCase
TestLogMachine.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
