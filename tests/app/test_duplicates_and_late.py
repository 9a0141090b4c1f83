"""R21, R22: what comes twice is kept once and counted; what comes late or out of order is kept whole and counted."""

import random
import signal
import time
from datetime import UTC, datetime, timedelta

import httpx
import polars as pl
import pytest

from vedette.app import home as at_home
from vedette.testing.ledger import Ledger, parse
from vedette.testing.process import Process

CONFIG = """
sources: {lines: {kind: push}}
flow: {flush_seconds: 0.5, checkpoint_seconds: 1}
"""
MINUTE = timedelta(minutes=1)


def push(vedette, stamps, key):
    body = "\n".join(stamp.line for stamp in stamps)
    headers = {"content-type": "text/plain", "idempotency-key": key}
    return httpx.post(f"{vedette.url}/push/lines", content=body, headers=headers, trust_env=False).raise_for_status()


def gauge(vedette, points):
    """OTLP points `(datetime, value)` of one series."""
    rows = [{"timeUnixNano": str(int(at.timestamp() * 1e6) * 1000), "asDouble": value} for at, value in points]
    metric = {"name": "load", "gauge": {"dataPoints": rows}}
    body = {"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"metrics": [metric]}]}]}
    httpx.post(f"{vedette.url}/v1/metrics", json=body, trust_env=False).raise_for_status()


@pytest.mark.xdist_group("processes")
def test_duplicates_are_kept_once_and_late_points_are_kept_and_counted(tmp_path):
    dice, ledger, again, counted = random.Random(21), Ledger("twice"), 0, 0
    now = datetime.now(UTC).replace(microsecond=0)
    with Process(tmp_path, CONFIG) as vedette:
        vedette.start()
        bodies = []
        for number in range(60):
            if number == 30:  # keys outlive a kill
                vedette.end(signal.SIGKILL)
                vedette.start()
            stamps = ledger.issue("a", dice.randint(1, 50))
            bodies.append((stamps, f"body-{number}"))
            push(vedette, *bodies[-1])
            ledger.acknowledge(stamps)
            if dice.random() < 0.3:
                repeated = dice.choice(bodies)
                push(vedette, *repeated)
                again += 1
                counted += len(repeated[0])

        in_time = [(now - 60 * MINUTE + minute * MINUTE, float(minute)) for minute in range(60)]
        shuffled = dice.sample(in_time, len(in_time))
        gauge(vedette, shuffled)  # out of order within the bound: one delivery
        vedette.drain()
        time.sleep(2)  # a beat of its own for what is late
        late = [(now - 30 * MINUTE - timedelta(seconds=7 * n), -float(n)) for n in range(1, 21)]
        late += [(now - timedelta(days=7, seconds=n), -100.0 - n) for n in range(5)]
        gauge(vedette, late)
        vedette.drain()
        found = vedette.metrics()
        assert found['vedette_late_records_total{source="otlp"}'] == len(late)
        assert vedette.end(signal.SIGTERM) == 0

    account = ledger.check(parse(at_home.scan(vedette.home, "logs").sort("at", maintain_order=True).collect()["body"], "twice"))
    assert account.balanced, account
    assert account.stored == account.acknowledged == account.sent
    books = at_home.read_status(vedette.home)["sources"]
    assert again
    assert books["lines"]["duplicate"] == counted
    assert books["lines"]["stored"] == account.sent
    assert books["otlp"]["stored"] == len(in_time) + len(late)
    rows = at_home.scan(vedette.home, "metrics").filter(pl.col("source") == "otlp").sort("at", maintain_order=True).collect()
    sent = pl.DataFrame(in_time + late, schema={"at": rows["at"].dtype, "value": pl.Float64}, orient="row").sort(
        "at", maintain_order=True
    )
    assert rows.select("at", "value").equals(sent)
    hourly = [each.group_by_dynamic("at", every="1h").agg(pl.col("value").mean()) for each in (rows, sent)]
    assert hourly[0].equals(hourly[1])
    scored = (
        at_home.scan(vedette.home, "verdicts")
        .filter(pl.col("series") == rows["series"][0])
        .sort("at", maintain_order=True)
        .collect()
    )
    assert scored["value"].to_list() == [value for _, value in in_time]
