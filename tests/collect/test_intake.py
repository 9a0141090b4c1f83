import asyncio
from concurrent.futures import Future
from contextlib import closing

import polars as pl
import pytest

from vedette.collect.intake import Intake, redacted
from vedette.collect.series import SeriesTable
from vedette.core.errors import Transient
from vedette.core.frames import DEAD_LETTERS, EVENTS, LOGS, METRICS, from_rows
from vedette.core.types import Delivery, Position
from vedette.log import LogSettings, SqliteLog
from vedette.security import Redaction, RedactionSettings

NOW = 1_767_225_600_000_000
REDACT = Redaction(RedactionSettings())


def sample(rows):
    return pl.DataFrame({"series": [1] * rows, "at": [NOW] * rows, "value": [1.0] * rows}, schema=METRICS)


@pytest.mark.parametrize("rows", [0, 3])
def test_what_was_rejected_or_seen_before_is_booked_once(tmp_path, rows):
    with closing(SqliteLog(tmp_path / "log.db", LogSettings(), clock=lambda: NOW)) as log:
        intake = Intake(log, SeriesTable(), REDACT)
        asyncio.run(intake.accept(Delivery("otlp", {"metrics": sample(rows)}, rejected=2, duplicate=5)))
    with closing(SqliteLog(tmp_path / "log.db", LogSettings(), clock=lambda: NOW)) as log:
        books = log.books()["otlp"]
    assert (books["received"], books["rejected"], books["duplicate"], books["in_log"]) == (rows + 7, 2, 5, rows)


def test_a_position_without_records_is_kept_and_ends_no_beat(tmp_path):
    with closing(SqliteLog(tmp_path / "log.db", LogSettings(), clock=lambda: NOW)) as log:
        position = Position("files", "a.log", 42)
        log.append(Delivery("otlp", {"metrics": sample(1)})).result()
        before = log.last
        log.append(Delivery("files", {}), position).result()
        assert list(log.positions("files")) == [position]
        assert log.last == before
        with closing(log.reader(0)) as reader:
            assert reader.poll(100) is None


def test_a_source_submits_its_position_with_what_it_read_and_its_series_are_confirmed(tmp_path):
    table = SeriesTable()
    series = table.resolve("files", "log", {}, "stream")
    position = Position("files", "a.log", 7)
    row = (NOW, NOW, series, 0, "from ann@example.org", {})
    frames = {"series": table.definitions([series]), "logs": from_rows([row], LOGS)}
    with closing(SqliteLog(tmp_path / "log.db", LogSettings(), clock=lambda: NOW)) as log:
        intake = Intake(log, table, REDACT)
        assert intake.submit(Delivery("files", frames), position).result().offset > 0
        assert not table.pending
        assert list(log.positions("files")) == [position]
        log.tick().result()
        with closing(log.reader(0)) as reader:
            assert reader.poll(100).items.frames["logs"]["body"].to_list() == ["from [email]"]
        further = Position("files", "a.log", 9)
        intake.submit(Delivery("files", rejected=1), further).result()
        assert list(log.positions("files")) == [further]


def test_what_the_log_refuses_stays_announced():
    class Full:
        def append(self, delivery, position=None):
            future = Future()
            future.set_exception(Transient("full"))
            return future

    table = SeriesTable()
    series = table.resolve("host", "up", {})
    delivery = Delivery("host", {"series": table.definitions([series]), "metrics": sample(1)})
    with pytest.raises(Transient, match="full"):
        Intake(Full(), table, REDACT).submit(delivery).result()
    assert table.pending


def test_nothing_an_outsider_wrote_keeps_a_secret():
    mail = "ann@example.org"
    log_row = (NOW, NOW, 1, 0, f"from {mail}", {mail: "1", "bob@example.org": mail, "plain": "2"})
    event_row = (NOW, "alert", mail, mail, mail, {mail: mail}, {"why": mail}, None, None)
    letter = (NOW, "p", 3, f"not {mail}", "d", mail.encode())
    frames = {
        "logs": from_rows([log_row], LOGS),
        "events": from_rows([event_row], EVENTS),
        "dead_letters": from_rows([letter], DEAD_LETTERS),
    }
    kept = redacted(Delivery("p", frames), REDACT).frames
    assert kept["logs"]["attributes"].to_list() == [{"[email]": "1", "[email] 2": "[email]", "plain": "2"}]
    event = kept["events"].row(0, named=True)
    assert (event["key"], event["status"], event["title"]) == ("[email]",) * 3
    assert (event["labels"], event["annotations"]) == ({"[email]": "[email]"}, {"why": "[email]"})
    assert "@" not in repr([frame.rows() for frame in kept.values()])
