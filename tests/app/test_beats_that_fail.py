"""R08, R20: a beat that fails for a fault of ours, and rows that a wrong clock has stamped, stop nothing and are not lost."""

import time
from datetime import UTC, datetime

import polars as pl
import pytest

from vedette import config
from vedette.app import home as at_home
from vedette.app.stream import App
from vedette.core.document import read
from vedette.core.frames import LOGS, METRICS, from_rows
from vedette.core.types import Delivery

TEN_YEARS = 3652 * 86_400_000_000
DECLARED = read("sources: {}\nflow: {flush_seconds: 0.2, checkpoint_seconds: 1}\n", config.Config)


def now():
    return time.time_ns() // 1000


def until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def lines(app, text, count=5):
    rows = [(now(), now(), 1, 9, f"{text} {number}", {}) for number in range(count)]
    return app.log.append(Delivery("lines", {"logs": from_rows(rows, LOGS)})).result().offset


@pytest.mark.xdist_group("processes")
def test_a_poison_beat_is_stored_unscored_and_readyz_says_so(tmp_path):
    with App(DECLARED, tmp_path / "home", now) as app:
        journey = app.flow._journey

        def poisoned(beat):
            outcome = journey(beat)
            if "logs" in beat.frames and beat.frames["logs"]["body"].str.contains("poison").any():
                raise ZeroDivisionError("made up")
            return outcome

        app.flow._journey = poisoned
        for text in ("fine", "poison", "fine again"):
            offset = lines(app, text)
            until(lambda: app.flow.offset >= offset)  # noqa: B023 -- called before the next turn
        part = app.health()["serve"]
        assert part["state"] == "degraded"
        assert "failed 3 times: its records are stored, but were not scored" in part["why"]
        assert "ok" in {each["state"] for each in app.health().values()}
    rows = at_home.scan(tmp_path / "home", "logs").sort("at", maintain_order=True).collect()
    assert rows.height == 15
    assert rows.filter(pl.col("template").is_null())["body"].to_list() == [f"poison {number}" for number in range(5)]
    assert at_home.read_status(tmp_path / "home")["sources"]["lines"]["stored"] == 15


@pytest.mark.xdist_group("processes")
def test_a_clock_that_jumps_back_ten_years_stops_nothing_and_makes_no_day_that_cannot_be(tmp_path):
    wrong = 0

    def clock():
        return now() - wrong

    def sample(app):
        frame = pl.DataFrame({"series": [1], "at": [clock()], "value": [1.0]}, schema=METRICS)
        return app.log.append(Delivery("host", {"metrics": frame})).result().offset

    with App(DECLARED, tmp_path / "home", clock) as app:
        for wrong in (0, TEN_YEARS, 0):  # noqa: B007 -- the clock reads it
            offset = sample(app)
            until(lambda: app.flow.offset >= offset)  # noqa: B023 -- called before the next turn
        assert {name: part for name, part in app.health().items() if part["state"] != "ok"} == {}
    kept = at_home.scan(tmp_path / "home", "metrics").collect()
    assert kept.filter(pl.col("source") == "host").height == 2
    letters = at_home.dead_letters(tmp_path / "home")
    assert letters["source"].to_list() == ["host"]
    assert "was a clock wrong?" in letters["reason"][0]
    books = at_home.read_status(tmp_path / "home")["sources"]["host"]
    assert (books["received"], books["stored"], books["dead_lettered"]) == (3, 2, 1)
    days = [path.name for path in (tmp_path / "home" / "lake" / "metrics").glob("day=*")]
    assert all(day >= f"day={datetime.now(UTC).year - 1}" for day in days)
