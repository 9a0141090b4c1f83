"""A made-up pipeline with a real lake and a real store of incidents: for the tests of the pages, and to look at.

`python tests/web/made_up.py PORT DIR calm|hostile` serves it on loopback.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl
import uvicorn
from starlette.responses import Response
from starlette.routing import Route

from vedette.act import Incident, IncidentStore
from vedette.config import Config, Web
from vedette.core.frames import AT, from_rows
from vedette.core.identity import series_id
from vedette.core.telemetry import Telemetry
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
        self.extra = list(texts)
        self.store.upsert([incident(self.extra), closed(), *(odd_incident(i, text) for i, text in enumerate(self.extra))])

    def clock(self):
        return self.now

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
