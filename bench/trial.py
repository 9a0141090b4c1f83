"""The scripted trial: a real Prometheus, Alertmanager, node exporter and rsyslog against Vedette.

Run: python bench/trial.py --quiet 60 --faults 33 --kills 30 --out trial.json

First a quiet time, in which nothing may be raised and memory has to stay flat. Then a time of faults: every core burns, errors
burst into a log, a target stops; each has to become one incident that says so, while Vedette itself is killed again
and again. At the end the samples of Prometheus' own database are compared with those in our lake, to the sample, the ledger of
a log file is checked, and the books are added up. Exit status 1 where anything of this is not so. Needs Debian's
packages (`make servers`) and an otherwise quiet machine.
"""

import argparse
import contextlib
import json
import math
import multiprocessing
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import psutil

from vedette.app import home as at_home
from vedette.testing.ledger import Ledger, parse

PORTS = {"vedette": 14780, "prometheus": 14790, "alertmanager": 14793, "node": 14791, "victim": 14792, "syslog": 14514}
VEDETTE = str(Path(sys.executable).with_name("vedette"))
BURN_SECONDS = 240
#: The faults in their order, and what an incident about each has to say.
EXPECTED = {"burn": r"CPU|load|pressure", "burst": "payment gateway refused", "stop": "Target is down|VictimDown"}

CONFIG = """
sources:
  host: {{kind: host, interval: 5}}
  app: {{kind: files, paths: [{folder}/app.log], from_start: true, multiline: stack}}
  network: {{kind: syslog, tcp: "127.0.0.1:{syslog}"}}
outbound: {{allow: [127.0.0.0/8]}}
receivers:
  - {{name: pager, kind: alertmanager, url: "http://127.0.0.1:{alertmanager}"}}
flow: {{flush_seconds: 2, checkpoint_seconds: 15}}
"""
PROMETHEUS = """
global: {{scrape_interval: 5s, evaluation_interval: 5s}}
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]}}]}}
scrape_configs:
  - {{job_name: node, static_configs: [{{targets: ["127.0.0.1:{node}"]}}]}}
  - {{job_name: victim, static_configs: [{{targets: ["127.0.0.1:{victim}"]}}]}}
  - {{job_name: vedette, static_configs: [{{targets: ["127.0.0.1:{vedette}"]}}]}}
remote_write:
  - url: http://127.0.0.1:{vedette}/api/v1/write
    queue_config: {{max_samples_per_send: 2000, batch_send_deadline: 1s, max_backoff: 2s}}
"""
RULES = """
groups:
  - name: trial
    rules:
      - alert: VictimDown
        expr: up{job="victim"} == 0
        for: 20s
        labels: {severity: critical}
        annotations: {summary: the victim is down}
"""
ALERTMANAGER = """
route: {{receiver: vedette, group_wait: 1s, group_interval: 5s}}
receivers: [{{name: vedette, webhook_configs: [{{url: "http://127.0.0.1:{vedette}/hooks/alertmanager"}}]}}]
"""
RSYSLOG = """
global(workDirectory="{folder}/rsyslog")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{folder}/log.sock" CreatePath="on")
action(type="omfwd" target="127.0.0.1" port="{syslog}" protocol="tcp" template="RSYSLOG_SyslogProtocol23Format"
  TCP_Framing="octet-counted" queue.type="LinkedList" action.resumeRetryCount="-1" action.resumeInterval="1")
"""


class Servers:
    """The real servers, in one folder, on loopback; each ended by its own process id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "rsyslog").mkdir()
        for name, text in {
            "vedette.yaml": CONFIG,
            "prometheus.yml": PROMETHEUS,
            "am.yml": ALERTMANAGER,
            "rsyslog.conf": RSYSLOG,
        }.items():
            (folder / name).write_text(text.format(folder=folder, **PORTS))
        (folder / "rules.yml").write_text(RULES)
        (folder / "app.log").touch()

    def start(self, name: str) -> None:
        at = {key: f"127.0.0.1:{port}" for key, port in PORTS.items()}
        folder = str(self.folder)
        commands = {
            "node": ["prometheus-node-exporter", f"--web.listen-address={at['node']}"],
            "victim": ["prometheus-node-exporter", f"--web.listen-address={at['victim']}"],
            "alertmanager": [
                "prometheus-alertmanager",
                f"--config.file={folder}/am.yml",
                f"--storage.path={folder}/am",
                f"--web.listen-address={at['alertmanager']}",
                "--cluster.listen-address=",
            ],
            "prometheus": [
                "prometheus",
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/tsdb",
                f"--web.listen-address={at['prometheus']}",
            ],
            "rsyslog": ["rsyslogd", "-n", "-f", f"{folder}/rsyslog.conf", "-i", f"{folder}/rsyslog.pid"],
            "vedette": [VEDETTE, "up", "--home", f"{folder}/home", "--config", f"{folder}/vedette.yaml", "--listen", at["vedette"]],
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            self.children[name] = subprocess.Popen(commands[name], stdout=log, stderr=log, cwd=folder)

    def end(self, name: str, how: int = signal.SIGTERM) -> int:
        child = self.children.pop(name)
        child.send_signal(how)
        return child.wait(60)


def until(what: str, ready: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError, OSError):
            if ready():
                return
        time.sleep(0.1)
    raise SystemExit(f"{what}: not within {seconds:g} s")


def vedette_is_ready() -> bool:
    return httpx.get(f"http://127.0.0.1:{PORTS['vedette']}/readyz", timeout=2).status_code == 200


def write_log(path: Path, ledger: Ledger, stopping: threading.Event, bursting: threading.Event) -> None:
    """Ordinary lines at an even pace, each stamped; while `bursting`, errors among them."""
    number = 0
    with path.open("a", buffering=1) as file:
        while not stopping.wait(0.1):
            number += 1
            for stamp in ledger.issue("app", 2):
                ledger.acknowledge([stamp])
                now = datetime.now(UTC).isoformat(timespec="microseconds")
                file.write(f"{now} INFO order {number} took {random.randint(5, 50)} ms, {stamp.line}\n")
            if bursting.is_set():
                now = datetime.now(UTC).isoformat(timespec="microseconds")
                for _ in range(20):
                    file.write(f"{now} ERROR payment gateway refused order {number}: connection reset by peer\n")


def write_syslog(path: Path, stopping: threading.Event) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        number = 0
        while not stopping.wait(0.5):
            number += 1
            with contextlib.suppress(OSError):
                client.sendto(f"<14>trial[1]: heartbeat {number} of the trial".encode(), str(path))


def burn(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def compare(home: Path, start: float, end: float) -> dict[str, int]:
    """Samples in Prometheus' database against ours, series by series, between two times."""
    base = f"http://127.0.0.1:{PORTS['prometheus']}/api/v1"
    # A range counts whole seconds back from its end: two more, and what is too early is left out below.
    window = int(end - start) + 2
    answer = httpx.get(f"{base}/query", params={"query": f'{{job=~"node|victim|vedette"}}[{window}s]', "time": end}, timeout=120)
    theirs: dict[str, int] = {}
    for series in answer.json()["data"]["result"]:
        labels = series["metric"]
        key = json.dumps(dict(sorted(labels.items())))
        theirs[key] = sum(1 for at, _ in series["values"] if start < at <= end)
    rows = at_home.scan(home, "metrics").filter(pl.col("source") == "remote_write").collect()
    inside = rows.filter(
        pl.col("at").dt.epoch("ms").is_between(int(start * 1000) + 1, int(end * 1000)), pl.col("value").is_not_null()
    )
    doubled = inside.height - inside.unique(["series", "at"]).height
    counts = dict(inside["series"].value_counts().iter_rows())
    ours: dict[str, int] = {}
    for series, name, labels in at_home.scan(home, "series").select("series", "name", "labels").collect().iter_rows():
        if series in counts:
            ours[json.dumps(dict(sorted({**labels, "__name__": name}.items())))] = counts[series]
    wrong = {key: (theirs.get(key, 0), ours.get(key, 0)) for key in {*theirs, *ours} if theirs.get(key, 0) != ours.get(key, 0)}
    for key, pair in list(wrong.items())[:5]:
        print("differs (theirs, ours):", pair, key)
    return {
        "theirs": sum(theirs.values()),
        "ours": sum(ours.values()),
        "series": len(theirs),
        "differing": len(wrong),
        "doubled": doubled,
    }


class Trial:
    """One run: what is planned, what happened, what is found. Times are seconds since its begin."""

    def __init__(self, quiet: float, faults: float, kills: int, seed: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="vedette-trial-"))
        self.servers, self.ledger = Servers(self.folder), Ledger("trial")
        self.stopping, self.bursting = threading.Event(), threading.Event()
        self.quiet, self.length = quiet, quiet + faults
        self.begun = time.time()
        self.events: list[tuple[float, str]] = []
        self.memory: list[tuple[float, float]] = []
        self.plan = self._planned(faults, kills, random.Random(seed)) if faults else []

    def _planned(self, faults: float, kills: int, chance: random.Random) -> list[tuple[float, str]]:
        plan = [(0.95 * (index + chance.random()) / kills, "kill") for index in range(kills)]
        plan += [(0.02, "burn"), (0.38, "burst"), (0.40, "calm"), (0.70, "stop"), (0.80, "revive")]
        return sorted((self.quiet + share * faults, what) for share, what in plan)

    def now(self) -> float:
        return time.time() - self.begun

    def happened(self, what: str, words: str) -> None:
        self.events.append((round(self.now(), 1), what))
        print(f"{self.now():7.1f} s  {words}", flush=True)

    def run(self) -> dict[str, Any]:
        for name in ("vedette", "node", "victim", "alertmanager", "prometheus", "rsyslog"):
            self.servers.start(name)
        until("vedette", vedette_is_ready)
        arguments = (self.folder / "app.log", self.ledger, self.stopping, self.bursting)
        threading.Thread(target=write_log, args=arguments, daemon=True).start()
        threading.Thread(target=write_syslog, args=(self.folder / "log.sock", self.stopping), daemon=True).start()
        self.happened("begin", "all are up")
        while (now := self.now()) < self.length:
            if self.plan and now >= self.plan[0][0]:
                getattr(self, self.plan.pop(0)[1])()
            if not self.memory or now - self.memory[-1][0] >= 10:
                process = psutil.Process(self.servers.children["vedette"].pid)
                self.memory.append((round(now), process.memory_info().rss / 2**20))
            time.sleep(0.2)
        return self.found()

    def kill(self) -> None:
        self.servers.end("vedette", signal.SIGKILL)
        killed = time.monotonic()
        self.servers.start("vedette")
        until("vedette again", vedette_is_ready)
        self.happened("kill", f"killed; ready again after {time.monotonic() - killed:.1f} s")

    def burn(self) -> None:
        for _ in range(os.cpu_count() or 1):
            multiprocessing.Process(target=burn, args=(BURN_SECONDS,), daemon=True).start()
        self.happened("burn", f"every core burns for {BURN_SECONDS} s")

    def burst(self) -> None:
        self.bursting.set()
        self.happened("burst", "an error burst in the log")

    def calm(self) -> None:
        self.bursting.clear()
        self.happened("calm", "the errors are over")

    def stop(self) -> None:
        self.servers.end("victim")
        self.happened("stop", "a target stops")

    def revive(self) -> None:
        self.servers.start("victim")
        self.happened("revive", "the target is back")

    def found(self) -> dict[str, Any]:
        self.stopping.set()
        cut = time.time() - 5
        time.sleep(30)
        home = self.folder / "home"
        incidents = httpx.get(f"http://127.0.0.1:{PORTS['vedette']}/api/incidents?limit=100").json()
        notified = httpx.get(f"http://127.0.0.1:{PORTS['alertmanager']}/api/v2/alerts").json()
        samples = compare(home, self.begun + 30, cut)
        code = self.servers.end("vedette")
        bodies = at_home.scan(home, "logs").filter(pl.col("source") == "app").sort("at").collect()["body"]
        account = self.ledger.check(parse(bodies, "trial"))
        return {
            "samples": samples,
            "ledger": asdict(account) | {"balanced": account.balanced},
            "books": at_home.read_status(home)["sources"],
            "exit": code,
            "incidents": incidents,
            "notified": notified,
            "events": self.events,
            "memory": self.memory,
        }

    def judged(self, report: dict[str, Any]) -> list[tuple[bool, str]]:
        """Each point of the trial, whether it was met, and in words."""
        samples, ledger, books = report["samples"], report["ledger"], report["books"]
        unbalanced = [name for name, book in books.items() if book["received"] != sum(book.values()) - book["received"]]
        kills = sum(what == "kill" for _, what in self.events)
        points = [
            (not unbalanced, f"books of {len(books)} sources balance" + "".join(f", but not {name}" for name in unbalanced)),
            (
                not samples["differing"] and not samples["doubled"] and samples["theirs"] > 0,
                f"{samples['ours']:,} of {samples['theirs']:,} samples of Prometheus, {samples['doubled']} twice; {kills} kills",
            ),
            (ledger["balanced"], "stamped log lines: " + ", ".join(f"{count:,} {what}" for what, count in ledger.items())),
            (report["exit"] == 0, f"ended with exit status {report['exit']}"),
        ]
        return [*points, *self._judged_memory(), *self._judged_incidents(report["incidents"]["incidents"])]

    def _judged_memory(self) -> list[tuple[bool, str]]:
        """By a line through the second half of the quiet time."""
        times, sizes = np.array([each for each in self.memory if self.quiet / 2 <= each[0] < self.quiet]).reshape(-1, 2).T
        if len(times) < 10:
            return []
        slope = float(np.polyfit(times, sizes, 1)[0]) * 600
        return [(slope < 1.0, f"memory grows by {slope:.2f} MiB in ten minutes, at {sizes[-1]:.0f} MiB")]

    def _judged_incidents(self, incidents: list[dict[str, Any]]) -> list[tuple[bool, str]]:
        begun = {each["id"]: each["started_at"] / 1e6 - self.begun for each in incidents}
        early = [each["title"] for each in incidents if begun[each["id"]] < self.quiet]
        points = [(not early, f"{len(early)} incidents in the quiet time{': ' if early else ''}{'; '.join(early)}")]
        times = {what: at for at, what in self.events}
        marks = [(what, times[what]) for what in EXPECTED if what in times]
        for (what, at), (_, end) in zip(marks, [*marks[1:], ("", math.inf)], strict=True):
            own = [each for each in incidents if at - 30 <= begun[each["id"]] < end - 30]
            said = [each for each in own if re.search(EXPECTED[what], json.dumps(each))]
            titles = "; ".join(f"{each['title']} after {begun[each['id']] - at:.0f} s" for each in own)
            points.append((len(own) == len(said) == 1, f"{what}: {len(own)} incidents, {len(said)} say why: {titles}"))
        return points

    def close(self) -> None:
        self.stopping.set()
        for name in list(self.servers.children):
            self.servers.end(name, signal.SIGKILL)


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--quiet", type=float, default=60, help="minutes in which nothing may be raised")
    options.add_argument("--faults", type=float, default=33, help="minutes of faults and kills after it")
    options.add_argument("--kills", type=int, default=30)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--out", type=Path, default=Path("trial.json"))
    told = options.parse_args()
    for name, port in PORTS.items():
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise SystemExit(f"port {port}, meant for {name}, is taken; end what listens there")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended before its time"))
    trial = Trial(told.quiet * 60, told.faults * 60, told.kills, told.seed)
    try:
        report = trial.run()
        points = trial.judged(report)
        told.out.write_text(json.dumps(vars(told) | report | {"points": points}, indent=1, default=str))
    finally:
        trial.close()
        shutil.copy(trial.folder / "vedette.log", told.out.with_suffix(".log"))
        shutil.rmtree(trial.folder, ignore_errors=True)
    for met, words in points:
        print("met   " if met else "FAILED", words)
    return int(not all(met for met, _ in points))


if __name__ == "__main__":
    sys.exit(main())
