"""`vedette canary`: stamped records through a running Vedette, and what became of each."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import httpx
import msgspec
import polars as pl

from vedette.app import home as at_home
from vedette.cli.console import document, say
from vedette.core.errors import Rejected
from vedette.testing.ledger import Account, Ledger, Stamp, parse

KEYS = 4


def canary(home: Path, *, rate: int, seconds: float, within: float, json: bool) -> None:
    """Send for `seconds`, wait for the tables, and compare.

    Raises:
        Rejected: something was lost, doubled, changed or late; nothing runs on this home.
    """
    status = at_home.read_status(home)
    if not status["running"]:
        raise Rejected(f"{home}: it does not run; start it with: vedette up --home {home}")
    ledger = Ledger(uuid.uuid4().hex[:12])
    started = time.time()
    with httpx.Client(base_url=f"http://{status['address']}", timeout=10, trust_env=False) as client:
        _send(client, ledger, rate, seconds)
    say(f"run {ledger.run}: sent. Waiting at most {3 * within:g} s for the tables.")
    account, late = _wait(home, ledger, started, within)
    if json:
        document(asdict(account) | {"late": late, "run": ledger.run})
    say(
        f"{account.sent} sent, {account.acknowledged} acknowledged, {account.stored} stored: {account.lost} lost, "
        f"{account.duplicated} duplicated, {account.damaged} damaged, {account.disordered} out of order, {late} late."
    )
    if late or not account.balanced:
        raise Rejected("the ledger does not balance; keep the home and look at `vedette status` and the log lines")


def _send(client: httpx.Client, ledger: Ledger, rate: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    turn = 0
    while (now := time.monotonic()) < end:
        stamps = ledger.issue(f"key-{turn % KEYS}", max(rate // 10, 1))
        turn += 1
        _deliver(client, ledger, stamps)
        time.sleep(max(0.0, now + 0.1 - time.monotonic()))


def _deliver(client: httpx.Client, ledger: Ledger, stamps: Sequence[Stamp]) -> None:
    """Once; what is refused for now is not acknowledged, and may be missing."""
    try:
        answer = client.post("/v1/logs", content=_body(stamps), headers={"content-type": "application/json"})
    except httpx.HTTPError:
        return
    if answer.is_success:
        ledger.acknowledge(stamps)


def _body(stamps: Sequence[Stamp]) -> bytes:
    now = time.time_ns()
    records = [{"timeUnixNano": str(now + index), "body": {"stringValue": stamp.line}} for index, stamp in enumerate(stamps)]
    service = {"attributes": [{"key": "service.name", "value": {"stringValue": "vedette-canary"}}]}
    return msgspec.json.encode({"resourceLogs": [{"resource": service, "scopeLogs": [{"logRecords": records}]}]})


def _wait(home: Path, ledger: Ledger, started: float, within: float) -> tuple[Account, int]:
    begun = time.monotonic()
    missing_in_time = None
    while True:
        account = ledger.check(_stored(home, ledger.run, started))
        waited = time.monotonic() - begun
        if waited >= within and missing_in_time is None:
            missing_in_time = account.lost
        if not account.lost or waited >= 3 * within:
            return account, max((missing_in_time or 0) - account.lost, 0)
        time.sleep(1)


def _stored(home: Path, run: str, started: float) -> pl.DataFrame:
    since = pl.lit(int((started - 60) * 1e6)).cast(pl.Datetime("us", "UTC"))
    lines = at_home.scan(home, "logs").filter(
        pl.col("day") >= since.dt.date(), pl.col("at") >= since, pl.col("body").str.contains(run)
    )
    return parse(lines.sort("at").select("body").collect()["body"], run)
