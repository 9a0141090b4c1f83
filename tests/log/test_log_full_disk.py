"""R17: a commit that finds the disk full acknowledges nothing, and the log takes again by itself once there is room."""

import polars as pl
import pytest

from vedette.core.errors import Transient
from vedette.core.failpoints import NAMES
from vedette.core.frames import METRICS
from vedette.core.telemetry import BOOKS
from vedette.core.types import Delivery
from vedette.log import LogSettings, SqliteLog


def test_disk_full_at_commit_fails_the_group_and_is_got_over_without_help(tmp_path):
    log = SqliteLog(tmp_path / "log.db", LogSettings(group_seconds=0), clock=lambda: 0)
    (pages,) = log._db.execute("PRAGMA page_count").fetchone()
    log._db.execute(f"PRAGMA max_page_count={pages + 40}").fetchall()
    body = Delivery(
        "a", {"metrics": pl.DataFrame({"series": range(2000), "at": range(2000), "value": [0.5] * 2000}, schema=METRICS)}
    )
    acked = 0
    while (refused := log.append(body).exception()) is None:
        acked += 1
    assert isinstance(refused, Transient)
    log.note("a", rejected=1)
    log.release(log.last, {})
    log.append(body).result()
    (book,) = log.books().values()
    assert book["stored"] == acked * 2000
    assert book["in_log"] == 2000
    assert book["received"] == sum(book[name] for name in (*BOOKS[1:], "in_log"))
    log.close()


@pytest.mark.parametrize("name", ["log.before_commit", "log.after_commit", "log.before_release", "log.after_release"])
def test_every_step_has_a_place_to_fail(name):
    assert name in NAMES
