"""`vedette canary`: stamped records through a running Vedette, and what became of each."""

import ssl
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import httpx
import msgspec
import polars as pl

from vedette import config
from vedette.app import home as at_home
from vedette.cli.console import document, say
from vedette.core.errors import Rejected
from vedette.testing.ledger import Account, Ledger, Stamp, parse

KEYS = 4


def canary(home: Path, *, path: Path | None, rate: int, seconds: float, within: float, json: bool) -> None:
    """Send for `seconds`, wait for the tables, and compare.

    Raises:
        Rejected: something was lost, doubled, changed or late; nothing was taken; nothing runs on this home.
    """
    web = config.load(path).web
    status = at_home.read_status(home)
    if not status["running"]:
        raise Rejected(f"{home}: it does not run; start it with: vedette up --home {home}")
    ledger = Ledger(uuid.uuid4().hex[:12])
    started = time.time()
    scheme, trusted = ("https", ssl.create_default_context(cafile=web.tls.certificate)) if web.tls else ("http", True)
    headers = {"authorization": f"Bearer {web.token}"} if web.token else {}
    with httpx.Client(
        base_url=f"{scheme}://{status['address']}", timeout=10, trust_env=False, headers=headers, verify=trusted
    ) as client:
        refused = _send(client, ledger, rate, seconds)
    if not ledger.acknowledged:
        raise Rejected(f"nothing of {ledger.issued} records was taken: {refused}")
    say(f"run {ledger.run}: sent. Waiting at most {3 * within:g} s for the tables.")
    account, late = _wait(home, ledger, started, within)
    if json:
        document(asdict(account) | {"late": late, "run": ledger.run})
    say(
        f"{account.sent} sent, {account.acknowledged} acknowledged, {account.stored} stored: {account.lost} lost, "
        f"{account.duplicated} duplicated, {account.damaged} damaged, {account.disordered} out of order, {late} late."
    )
    if refused:
        say(f"Some were not taken, the last for this: {refused}")
    if late or not account.balanced:
        raise Rejected("the ledger does not balance; keep the home and look at `vedette status` and the log lines")


def _send(client: httpx.Client, ledger: Ledger, rate: int, seconds: float) -> str:
    """About ten bodies a second, `rate` records in all of them; why the last of those that were refused was."""
    began = time.monotonic()
    due, turn, refused = 0.0, 0, ""
    while (passed := time.monotonic() - began) < seconds:
        due = min(passed + 0.1, seconds) * rate
        count = int(due) - ledger.issued
        if count > 0:
            refused = _deliver(client, ledger, ledger.issue(f"key-{turn % KEYS}", count)) or refused
            turn += 1
        time.sleep(max(0.0, began + passed + 0.1 - time.monotonic()))
    return refused


def _deliver(client: httpx.Client, ledger: Ledger, stamps: Sequence[Stamp]) -> str:
    """Once; what is refused for now is not acknowledged, and may be missing. Why it was, or nothing."""
    try:
        answer = client.post("/v1/logs", content=_body(stamps), headers={"content-type": "application/json"})
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}"
    if not answer.is_success:
        return f"{answer.status_code}: {answer.text[:200]}"
    ledger.acknowledge(stamps)
    return ""


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
    return parse(lines.sort("at", maintain_order=True).select("body").collect()["body"], run)
