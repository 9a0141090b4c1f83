"""What is planted at every door of a running pipeline is found nowhere afterwards (S09)."""

import asyncio
import contextlib
import json
import random
import socket
import string
import time
from urllib.parse import quote

import cramjam
import httpx
import polars as pl
import pytest
import structlog

from vedette import config
from vedette.app import home as at_home
from vedette.app.stream import App
from vedette.web import build

LETTERS = string.ascii_letters + string.digits
FORMS = (
    "password={v} user=ann",
    "Authorization: Bearer {v}",
    "postgres://app:{v}@db1/orders",
    '"api_key": "{v}"',
    "mail to {v}@example.org now",
    "used ghp_{v}",
    "Cookie: sid={v}; theme=dark",
    "<secret>{v}</secret>",
    "jwt eyJhbGciOiJIUzI1NiJ9.{v}.{v}",
    "tool --token {v}",
)
TABLES = ("metrics", "series", "logs", "templates", "events", "verdicts", "dead_letters")


def canaries():
    """Fifty texts, and what must be found of them nowhere."""
    chance = random.Random(9)
    values = ["c4n" + "".join(chance.choices(LETTERS, k=33)) for _ in range(50)]
    return [FORMS[index % len(FORMS)].format(v=value) for index, value in enumerate(values)], values


def number(value):
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + number(value >> 7)


def part(field, content):
    raw = content.encode() if isinstance(content, str) else content
    return number(field << 3 | 2) + number(len(raw)) + raw


def remote_write(labels, at):
    pairs = b"".join(part(1, part(1, key) + part(2, value)) for key, value in labels.items())
    sample = b"\x09" + b"\0" * 8 + b"\x10" + number(at // 1000)
    return bytes(cramjam.snappy.compress_raw(part(1, pairs + part(2, sample))))


def attribute(key, value):
    return {"key": key, "value": {"stringValue": value}}


def bodies(texts, values, now):
    """Path, headers and body of each thing that is sent: good ones of every door, then bad ones."""
    jsonl = {"content-type": "application/x-ndjson"}
    as_json = {"content-type": "application/json"}
    protobuf = {"content-type": "application/x-protobuf"}
    nanos = str(now * 1000)
    named = {
        "password": values[0],
        "db.token": values[1],
        "cookie": f"sid={values[2]}",
        "http.request.header.authorization": values[3],
    }
    lines = [{"message": text, "note": text, **named} for text in texts]
    yield "/push/lines", {"content-type": "text/plain"}, "\n".join(texts)
    yield "/push/lines", jsonl | {"idempotency-key": f"password={values[5]}"}, "\n".join(map(json.dumps, lines))
    yield "/push/lines", jsonl, "\n".join(json.dumps({"message": "x", "timestamp": text}) for text in texts)
    yield "/push/numbers", as_json, json.dumps([{"name": "m", "value": 1, "labels": {"note": text, **named}} for text in texts])
    yield "/push/numbers", as_json, json.dumps([{"name": "m", "value": text, "labels": {}} for text in texts])
    records = [
        {
            "timeUnixNano": nanos,
            "body": {"stringValue": text},
            "attributes": [attribute("note", text), attribute("password", values[0])],
        }
        for text in texts
    ]
    resource = {"attributes": [attribute("service.name", "pay"), attribute("token", values[4]), attribute("note", texts[4])]}
    yield "/v1/logs", as_json, json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]})
    points = [
        {"timeUnixNano": nanos, "asDouble": 1, "attributes": [attribute("note", text), attribute("api_key", values[6])]}
        for text in texts
    ]
    metrics = [{"name": "m", "unit": "1", "gauge": {"dataPoints": points}}]
    yield "/v1/metrics", as_json, json.dumps({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]})
    for text in texts:
        labels = {"__name__": "up", "note": text, "password": values[0]}
        yield "/api/v1/write", protobuf | {"content-encoding": "snappy"}, remote_write(labels, now)
    starts = "2026-11-24T00:00:00Z"
    alerts = [
        {
            "status": "firing",
            "fingerprint": str(index),
            "startsAt": starts,
            "labels": {"alertname": "A", "n": text},
            "annotations": {"summary": text, **named},
        }
        for index, text in enumerate(texts)
    ]
    yield "/hooks/alertmanager", as_json, json.dumps({"version": "4", "alerts": alerts})
    event = {"specversion": "1.0", "source": "ci", "type": "com.example.deployed"}
    batch = [event | {"id": str(index), "subject": text, "data": {"title": text, **named}} for index, text in enumerate(texts)]
    yield "/hooks/events", {"content-type": "application/cloudevents-batch+json"}, json.dumps(batch)
    for text in texts[:10]:
        yield f"/push/{quote(text, safe='')}", jsonl, text
        yield "/push/lines", jsonl, text
        yield "/push/lines", {"content-type": f"x/{text}"}, text
        for path in ("/v1/logs", "/v1/metrics", "/hooks/alertmanager", "/hooks/events"):
            yield path, as_json, json.dumps({text: text, "resourceLogs": text, "resourceMetrics": text, "alerts": text, "id": text})
        yield "/api/v1/write", protobuf | {"content-encoding": "snappy"}, text


async def send(app, texts, values, port):
    """Everything, and every answer as text."""
    transport = httpx.ASGITransport(build(app), raise_app_exceptions=False)
    answers = []
    async with app.listeners(), httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:4680") as client:
        for path, headers, body in bodies(texts, values, app.clock()):
            reply = await client.post(path, content=body, headers=headers)
            assert reply.status_code < 500, (path, reply.text)
            answers.append((path, reply.status_code, reply.text))
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        for text in texts:
            data = f'[x@1 password="{values[0]}" note="{text.replace(chr(34), "")}"]'
            writer.write(f"<13>1 2026-11-24T00:00:00Z host app 1 - {data} {text}\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        deadline = time.monotonic() + 60
        while app.log.lag(app.flow.offset) or not drained(app):
            assert time.monotonic() < deadline, app.status()
            await asyncio.sleep(0.1)
        answers += [(path, 0, (await client.get(path)).text) for path in ("/metrics", "/api/status", "/", "/readyz")]
    return answers


def drained(app):
    books = app.log.books()
    return all(
        books.get(name, {}).get("received", 0) >= 50
        for name in ("files", "network", "lines", "otlp", "remote_write", "alertmanager", "events")
    )


def contents(home):
    """Every byte of the home, and every table of its lake as text, by where it was found."""
    for path in home.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes()
    for table in TABLES:
        with contextlib.suppress(FileNotFoundError):
            frame = at_home.scan(home, table).collect()
            yield table, repr(frame.to_dict(as_series=False)).encode()


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory):
    """A pipeline that was sent everything and was stopped: its home, its answers, its log lines, and what was planted."""
    folder = tmp_path_factory.mktemp("canaries")
    texts, values = canaries()
    (folder / "app.log").write_text("\n".join(texts) + "\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    declared = config.Config.model_validate(
        {
            "sources": {
                "lines": {"kind": "push"},
                "numbers": {"kind": "push"},
                "files": {"kind": "files", "paths": [str(folder / "*.log")], "from_start": True},
                "network": {"kind": "syslog", "tcp": f"127.0.0.1:{port}"},
            },
            "flow": {"flush_seconds": 0.5, "checkpoint_seconds": 1},
        }
    )
    home = folder / "home"
    with structlog.testing.capture_logs() as said, App(declared, home, lambda: time.time_ns() // 1000) as app:
        answers = asyncio.run(send(app, texts, values, port))
    return home, answers, said, values


def test_nothing_planted_is_kept(aftermath):
    home, _, _, values = aftermath
    assert at_home.scan(home, "logs").select(pl.len()).collect().item() >= 200
    found = {(where, value) for where, raw in contents(home) for value in values if value.encode() in raw}
    assert not found, sorted(found)[:20]


def test_nothing_planted_is_said(aftermath):
    _, answers, said, values = aftermath
    found = {(path, status) for path, status, text in answers for value in values if value in text}
    assert not found, sorted(found)
    assert not [each for each in said if any(value in repr(each) for value in values)]
