"""A made-up pipeline with a real lake and a real store of incidents: for the tests of the pages, and to look at.

`python tests/web/made_up.py PORT DIR calm|hostile` serves it on loopback.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import uvicorn
from starlette.responses import Response
from starlette.routing import Route

from vedette.act import Incident, IncidentStore
from vedette.app.models import ModelView
from vedette.config import Config, Web
from vedette.core.errors import NotFound, Rejected
from vedette.core.frames import AT, from_rows
from vedette.core.identity import series_id
from vedette.core.telemetry import Telemetry
from vedette.core.types import Card, Decision, Finding, Signal
from vedette.lake import TABLES, Lake
from vedette.web import build

NOW = 1_795_500_000_000_000
SECOND = 1_000_000
STEP = 60 * SECOND
POINTS = 600
BOOKS = {"received": 1203344, "stored": 1203101, "duplicate": 120, "dead_lettered": 3, "rejected": 0, "shed": 0, "in_log": 120}


class MadeUp:
    """What `vedette.web.View` asks for. `text` gives every string that an outsider could have written."""

    def __init__(self, home, lake, texts=(), *, token="", hosts=(), listen="127.0.0.1:4680"):
        self.config = Config.model_construct(web=Web.model_construct(listen=listen, token=token, hosts=hosts, tls=None, grpc=None))
        self.home = home
        self.now = NOW
        self.lake = lake
        self.store = IncidentStore(f"sqlite:///{home / 'vedette.db'}")
        self.telemetry = Telemetry()
        self.parts = {"serve": {"state": "ok", "why": ""}, "tick": {"state": "ok", "why": ""}}
        self.said = []
        self.received = []
        self.serving = Deployed()
        self.models = Shelf([*models(), *(hostile_model(text) for text in texts)])
        self.extra = list(texts)
        self.store.upsert([incident(self.extra), closed(), *(odd_incident(i, text) for i, text in enumerate(self.extra))])

    def clock(self):
        return self.now

    def datasets(self):
        return [{"name": "cpu", "version": 3, "rows": 1_200_000, "digest": "ab12", "worst": float("nan")}]

    def receivers(self):
        async def take(request):
            self.received.append(await request.body())
            return Response(status_code=204)

        return [Route(path, take, methods=["POST"]) for path in ("/api/v1/write", "/push/{name}")]

    def health(self):
        return self.parts | {f"source {text}": {"state": "failed", "why": text} for text in self.extra}

    def status(self):
        models = [
            {"model": "envelope", "known": 412, "learning": 37, "why": "a series has scores after 30 points"},
            {"model": "heartbeat", "known": 412, "learning": 0, "why": "a series is missed after 20 points"},
        ]
        models += [{"model": text, "known": 2, "learning": 1, "why": text} for text in self.extra]
        sources = {"host": BOOKS, "remote_write": BOOKS} | dict.fromkeys(self.extra, BOOKS)
        return {"version": "0", "sources": sources, "lag": 0, "series": 412, "models": models, "log_bytes": 5_000_000}

    def verdict(self, incident, answer, actor, note):
        self.said.append((incident, answer, actor, note))
        self.store.answer(incident, answer, actor, note, self.now)


class Deployed:
    """What `vedette.web.view.Serving` asks for; the last of a name speaks for it."""

    def __init__(self, *served):
        self.all = list(served)

    def served(self):
        return self.all

    def get(self, name, version):
        found = [each for each in self.all if each.name == name and version in {None, each.version}]
        if not found:
            raise NotFound(f"no version {version} of {name} is deployed" if version else f"no model {name} is deployed")
        return found[-1]


class Shelf:
    """What `vedette.web.view.Models` asks for."""

    def __init__(self, models):
        self.all = {each.name: each for each in models}
        self.said = []

    def names(self):
        return list(self.all)

    def model(self, name):
        if name not in self.all:
            raise NotFound(f"there is no model {name!r}")
        return self.all[name]

    def report(self, name, version):
        if self.model(name).card(version) is None:
            raise NotFound("there is no such report")
        return b"<!doctype html><style>p{color:green}</style><p>Report</p><script>window.__pwned=1</script>"

    def promote(self, name, version, actor, reason):
        model = self.model(name)
        card = model.card(version)
        if card is None or not card.passed:
            raise Rejected(f"version {version} of {name} did not pass its gates")
        self.said.append(("promote", name, version, actor, reason))
        stage = "champion" if version == model.candidate and model.stage == "canary" else "canary"
        decision = Decision(NOW, name, version, "PROMOTE", stage, reason, {}, actor)
        standing = {"candidate": version, "stage": stage}
        if stage == "champion":
            standing = {"champion": version, "candidate": None, "stage": ""}
        self.all[name] = replace(model, decisions=(decision, *model.decisions), **standing)
        return decision

    def rollback(self, name, actor, reason):
        model = self.model(name)
        if len(model.versions) < 2:
            raise Rejected(f"{name} has no champion before this one")
        self.said.append(("rollback", name, actor, reason))
        decision = Decision(NOW, name, model.champion, "ROLL_BACK", "retired", reason, {}, actor)
        self.all[name] = replace(model, champion=model.champion - 1, decisions=(decision, *model.decisions))
        return decision


HOUR = 3600 * SECOND


def card(name, version, family, kind, metrics, findings=(), **more):
    told = {
        "parameters": {"sigmas": 5.0, "warmup": 30, "hold_seconds": 3300.0, "ngrams": [1, 2], "balanced": True},
        "recipe": "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
        "dataset": f"{name}@{version}",
        "dataset_digest": "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
        "seed": 7,
        "code": "0.1.0",
        "trained_at": NOW - (12 - version) * 24 * HOUR,
        "parent": version - 1 or None,
        "digest": "sha256:fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9",
    }
    return Card(name, version, family, kind, findings=tuple(findings), metrics=metrics, **(told | more))


def gates(alerts):
    return (
        Finding("alerts a week", alerts < 12, f"{alerts:g}", "at most 12", "More than that, and nobody reads them"),
        Finding("incidents caught", True, "9 of 9", "all that the champion catches", "A candidate may not miss what was caught"),
        Finding("replay of past outages", True, "6 of 6", "at least 6 of 6", "An outage may not be learnt as normal"),
    )


def envelope(version, alerts, recall, precision, delay, **more):
    metrics = {"alerts_per_week": alerts, "recall": recall, "precision": precision, "delay_seconds": delay}
    return card("cpu", version, "anomalies", "envelope", metrics, gates(alerts), **more)


def models():
    versions = (
        envelope(8, 3.1, 0.97, 0.91, 64.0),
        envelope(7, 4.4, 0.95, 0.88, 71.0),
        envelope(6, 31.0, 0.96, 0.4, 66.0, trained_by="ann"),
        envelope(5, 5.0, 0.93, 0.81, 80.0),
    )
    evidence = {"alerts_per_week": 3.1, "champion": 4.4, "agreement": 0.984, "points": 1_203_344}
    told = (
        (3, 8, "HOLD", "canary", "Two hours of canary are too few: six are needed", {"hours": 2.0}),
        (5, 8, "PROMOTE", "canary", "Fewer alerts than the champion at the same recall", evidence),
        (30, 8, "PROMOTE", "shadow", "All gates passed", {"gates": 3}),
        (120, 7, "PROMOTE", "champion", "A day of canary without a missed incident", {"hours": 24.0}, "ann"),
        (140, 6, "ROLL_BACK", "rejected", "31 alerts a week, at most 12 are borne", {"alerts_per_week": 31.0}),
    )
    decisions = tuple(Decision(NOW - hours * HOUR, "cpu", *rest) for hours, *rest in told)
    wide = "Residuals are twice as wide as a week ago", "Look at web-1; a retrain has been asked for"
    silent = "No verdict for ten days", "Answer some incidents: precision is estimated from them"
    signals = (
        Signal(NOW - 2 * HOUR, "page_hinkley", "residuals of web-1", "warning", *wide),
        Signal(NOW - 50 * HOUR, "staleness", "labels", "info", *silent),
    )
    gauges = {"drift": 0.42, "drift_residuals": 1.18, "age_seconds": 5.0 * 86_400, "false_alarms_per_week": 1.2}
    cpu = ModelView("cpu", "anomalies", 7, 8, "canary", 0.1, versions, decisions, signals, gauges)
    ticket = card("tickets", 2, "classes", "hashed_linear", {"macro_f1": 0.71, "balanced_accuracy": 0.69}, gates(1.0), parent=None)
    made = Decision(NOW - 70 * HOUR, "tickets", 2, "PROMOTE", "champion", "The first that passed its gates")
    tickets = ModelView("tickets", "classes", 2, versions=(ticket,), decisions=(made,), gauges={"drift": 0.77})
    disk = card("disk", 1, "forecasts", "ensemble", {"mase": 0.83, "coverage_80": 0.79})
    learning = "It has seen 9 of the 14 days that a weekly season takes."
    young = ModelView("disk", "forecasts", None, 1, "shadow", 0.0, (disk,), learning=learning)
    return [cpu, tickets, young]


def hostile_model(text):
    finding = Finding(text, False, text, text, text)
    odd = {"parameters": {text: text, "x": [text]}} | dict.fromkeys(("recipe", "dataset", "dataset_digest", "code", "digest"), text)
    version = card(text, 1, text, text, {text: float("nan")}, (finding,), trained_by=text, **odd)
    decision = Decision(NOW, text, 1, "HOLD", text, text, {text: text, "y": {text: [text]}}, text)
    signal = Signal(NOW, text, text, "critical", text, text)
    gauges = {text: float("inf"), f"drift{text}": float("nan"), f"{text}_seconds": float("inf")}
    return ModelView(text, text, 1, 1, text, 0.5, (version,), (decision,), (signal,), gauges, text)


def identities():
    """The series that `fill_lake` makes: CPU, memory, a counter without verdicts, and a log stream."""
    cpu = series_id("node_cpu_seconds_total", {"mode": "user", "instance": "web-1:9100"})
    memory = series_id("node_memory_MemAvailable_bytes", {"instance": "web-1:9100"})
    return {"cpu": cpu, "memory": memory, "raw": 7, "stream": -(1 << 63)}


def fill_lake(root, texts):
    """A lake with some hours of those series, and with `texts` wherever an outsider's text can be."""
    lake, ids = Lake(root, clock=lambda: NOW), identities()
    labels = {"instance": "web-1:9100"} | {text: text for text in texts}
    rows = [
        (ids["cpu"], "node_cpu_seconds_total", labels | {"mode": "user"}, "host", "counter", ""),
        (ids["memory"], "node_memory_MemAvailable_bytes", labels, "host", "gauge", "bytes"),
        (ids["raw"], "requests_total", labels, "remote_write", "counter", ""),
        (ids["stream"], "app.log", labels | {"service.name": "shop"}, "logs", "stream", ""),
    ]
    rows += [(1000 + i, text, {text: text}, "otlp", "stream", text) for i, text in enumerate(texts)]
    at = from_micros([NOW])[0]
    series = from_rows([(*row[:4], at, *row[4:]) for row in rows], TABLES["series"].columns)
    lake.write("series", series, 1)
    cpu, odd = wave(20.0, 6.0), slice(POINTS - 25, POINTS - 3)
    cpu[odd] += 68.0
    lake.write("verdicts", curve(ids["cpu"], cpu / 100, wave(20.0, 6.0, 0.0) / 100, 0.06), 1)
    memory = wave(6e9, 4e8)
    memory[POINTS - 20 : POINTS - 2] -= 3e9
    lake.write("verdicts", curve(ids["memory"], memory, wave(6e9, 4e8, 0.0), 7e8), 1)
    raw = np.array([1.0, np.nan, np.inf, -np.inf, 2.0])
    metrics = {"at": times(5), "series": [ids["raw"]] * 5, "value": raw, "source": ["remote_write"] * 5}
    lake.write("metrics", pl.DataFrame(metrics, schema=TABLES["metrics"].columns), 1)
    bodies = ["GET /cart 200 12ms", "ERROR payment timed out after 3000 ms: connection pool is empty", *texts]
    moments = times(len(bodies))
    logs = [
        (when, when, series, "logs", 17 if "ERROR" in body else 9, body, 1, {body: body})
        for series in (ids["stream"], 1000)
        for when, body in zip(moments, bodies, strict=True)
    ]
    lake.write("logs", from_rows(logs, TABLES["logs"].columns), 1)
    letters = [
        (when, "push", "0", i, body, "d1", body.encode()) for i, (when, body) in enumerate(zip(moments, bodies, strict=True))
    ]
    lake.write("dead_letters", from_rows(letters, TABLES["dead_letters"].columns), 1)
    lake.flush(1)
    return lake


def incident(texts):
    ids, started = identities(), NOW - 25 * STEP
    shared = {"host": "web-1"} | {text: text for text in texts}

    def member(kind, series, name, text, since, score):
        return {
            "key": f"{kind}:{series}",
            "kind": kind,
            "series": series,
            "name": name,
            "labels": shared,
            "text": text,
            "since": since,
            "last": NOW,
            "active": True,
            "direction": "up",
            "at": since,
            "value": float("nan") if texts else 0.91,
            "yhat": 0.2,
            "yhat_lower": 0.14,
            "yhat_upper": 0.26,
            "score": score,
        }

    cpu = "CPU (user) of host web-1 far above expected: 91 % against 20 % (14 % to 26 %)"
    memory = "memory MemAvailable of host web-1 far below expected: 2.9 GB against 6.1 GB (5.4 GB to 6.8 GB)"
    members = [
        member("metric", ids["cpu"], "node_cpu_seconds_total", cpu, started, 6.4),
        member("metric", ids["memory"], "node_memory_MemAvailable_bytes", memory, started + 5 * STEP, 3.8),
    ]
    members += [member("alert", 0, text, text, started + 6 * STEP, None) for text in texts]
    burst = "ERROR payment timed out after 3000 ms: connection pool is empty"
    explanation = {
        "direction": "mixed",
        "members": members,
        "member_count": len(members) + 2,
        "first": [cpu, memory],
        "logs": [
            {"at": started + 3 * STEP, "series": ids["stream"], "template": 1 << 60, "severity": 17, "body": body}
            for body in (burst, *texts)
        ],
        "changes": [
            {"at": started - 4 * STEP, "key": "d", "title": "shop 2.14.0 deployed to web-1", "labels": shared},
            *({"at": started - 5 * STEP, "key": text, "title": text, "labels": {text: text}} for text in texts),
        ],
        "merged": [],
    }
    return Incident("a1b2c3", "open", "critical", f"{cpu} (and 1 more)", started, NOW, None, shared, explanation)


def closed():
    started, ended = NOW - 7_000 * SECOND, NOW - 5_200 * SECOND
    title = "Target is down: job node, instance db-2:9100"
    return Incident("d4e5f6", "closed", "warning", title, started, ended, ended, {"host": "db-2"}, {"members": []}, "real")


def odd_incident(number, text):
    explanation = {"members": [], "merged_into": text, "logs": [], "changes": []}
    return Incident(f"x{number}{text}"[:64], "open", text[:16], text, NOW - STEP, NOW, None, {text: text}, explanation)


def times(count):
    return from_micros([NOW - (count - i) * STEP for i in range(count)])


def from_micros(micros):
    return pl.Series(micros, dtype=pl.Int64).cast(AT)


def wave(level, height, noise=0.08):
    turn = np.arange(POINTS) / POINTS * 4 * np.pi
    return level + height * np.sin(turn) + noise * height * np.random.default_rng(7).standard_normal(POINTS)


def curve(series, value, yhat, width):
    young = np.arange(POINTS) < 40
    frame = pl.DataFrame(
        {
            "at": times(POINTS),
            "series": [series] * POINTS,
            "model": ["envelope"] * POINTS,
            "version": ["1"] * POINTS,
            "value": value,
            "yhat": yhat,
            "yhat_lower": yhat - width,
            "yhat_upper": yhat + width,
            "anomaly_score": np.abs(value - yhat) / width,
        },
        schema=TABLES["verdicts"].columns,
    )
    told = ("yhat", "yhat_lower", "yhat_upper", "anomaly_score")
    return frame.with_columns(pl.when(pl.Series(~young)).then(pl.col(name)) for name in told)


if __name__ == "__main__":
    port, home, mood = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    hostile = (Path(__file__).parent / "payloads.txt").read_text(encoding="utf-8").splitlines() if mood == "hostile" else ()
    home.mkdir()
    made_up = MadeUp(home, fill_lake(home / "lake", hostile), hostile, listen=f"127.0.0.1:{port}")
    uvicorn.run(build(made_up), host="127.0.0.1", port=port, log_level="warning")
