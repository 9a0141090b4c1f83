"""A name from outside is never a path: nothing outside the home is made, changed or read (S03)."""

import asyncio
import json
import os
import time
from urllib.parse import quote

import httpx
import pytest

from vedette import config
from vedette.app.stream import App
from vedette.core.errors import ConfigError
from vedette.web import build

HOSTILE = [
    f"{head}{body}"
    for head in ("", "a/", "/", "./", "\\", "C:\\", "-", "file://", "\u2025/", "%2e%2e/", "..%252f", "....//")
    for body in (
        *("../canary", "../../canary", "..", "..\\canary", "%2e%2e%2fcanary", "%252e%252e%252fcanary", "canary\0.txt", "CON", "."),
        *(
            "x" * 300,
            "\uff0e\uff0e\uff0fcanary",
            "\u2024\u2024\u2215canary",
            "~root",
            "$(touch canary)",
            "a\nb",
            "status.json",
            "link",
        ),
    )
]
#: One of them is a name that a source may have: it is a name all the same, and never the file that is called so.
LEGAL = "link"
READ = "what-no-answer-may-hold"


def snapshot(folder, home):
    """Every file outside `home`, with what it holds."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and home not in path.parents}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A running pipeline in a folder of its own, with a file beside the home that nobody may read, and a link to it within."""
    folder = tmp_path_factory.mktemp("paths")
    beside = folder / "a" / "b"  # so that two steps up are still within what is looked at
    beside.mkdir(parents=True)
    for above in (folder, folder / "a", beside):
        (above / "canary").write_text(READ)
    home = beside / "home"
    declared = config.Config.model_validate({"sources": {name: {"kind": "push"} for name in ("lines", LEGAL)}})
    with App(declared, home, lambda: time.time_ns() // 1000) as app:
        (home / LEGAL).symlink_to(beside / "canary")
        (home / "hard").hardlink_to(beside / "canary")
        yield folder, home, app


def ask_all(app, asked):
    async def ask():
        transport = httpx.ASGITransport(build(app), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:4680") as client:
            return [(method, path, await client.request(method, path, **more)) for method, path, more in asked]

    return asyncio.run(ask())


def test_there_are_two_hundred_hostile_names():
    assert len(set(HOSTILE)) >= 200


def test_a_name_in_a_route_is_no_path(place):
    folder, home, app = place
    before = snapshot(folder, home)
    text, plain = {"content-type": "text/plain"}, {}
    asked = []
    for name in HOSTILE:
        safe = quote(name, safe="")
        asked += [("POST", f"/push/{safe}", {"content": b"x", "headers": text})]
        asked += [
            ("GET", f"/{kind}/{safe}", plain)
            for kind in ("incidents", "series", "static", "api/incidents", "api/series", "v2/models")
        ]
        asked += [("POST", f"/api/incidents/{safe}/verdict", {"json": {"verdict": "real"}})]
    for method, path, reply in ask_all(app, asked):
        assert reply.status_code < 500, (method, path, reply.text)
        assert READ not in reply.text, (method, path)
    assert snapshot(folder, home) == before


def test_a_name_in_a_record_is_no_path(place):
    folder, home, app = place
    before = snapshot(folder, home)
    inside = {path.relative_to(home) for path in home.rglob("*") if "lake" not in path.parts and "checkpoints" not in path.parts}
    lines = [{"message": name, "source": name, "service": name, "labels": {"name": name}} for name in HOSTILE]
    body = "\n".join(map(json.dumps, lines))
    headers = {"content-type": "application/x-ndjson"}
    asked = [("POST", "/push/lines", {"content": body, "headers": headers})]
    asked += [
        ("POST", "/push/lines", {"content": "x", "headers": {"content-type": "text/plain", "idempotency-key": quote(n)}})
        for n in HOSTILE
    ]
    for method, path, reply in ask_all(app, asked):
        assert reply.status_code < 400, (method, path, reply.text)
    assert snapshot(folder, home) == before
    made = {
        path.relative_to(home) for path in home.rglob("*") if "lake" not in path.parts and "checkpoints" not in path.parts
    } - inside
    assert not [path for path in made if not path.name.startswith(("log.db", "vedette.db", "status.json"))]


@pytest.mark.parametrize("name", [each for each in dict.fromkeys(HOSTILE) if "\0" not in each and each != LEGAL])
def test_a_source_is_not_called_like_a_path(tmp_path, name):
    path = tmp_path / "vedette.yaml"
    path.write_text(json.dumps({"sources": {name: {"kind": "push"}}}))
    with pytest.raises(ConfigError, match="sources"):
        config.load(path)
    assert os.listdir(tmp_path) == ["vedette.yaml"]  # noqa: PTH208 -- names are what is compared


def test_a_name_that_is_legal_is_an_opaque_id(place):
    folder, home, app = place
    before = snapshot(folder, home)
    asked = [("POST", f"/push/{LEGAL}", {"content": b"x", "headers": {"content-type": "text/plain"}})]
    known = app.log.books().get(LEGAL, {}).get("received", 0)
    assert [reply.status_code for _, _, reply in ask_all(app, asked)] == [200]
    assert app.log.books()[LEGAL]["received"] == known + 1
    assert snapshot(folder, home) == before
    assert (home / LEGAL).is_symlink()
