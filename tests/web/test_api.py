import json
import math
import re

import pytest

from vedette.core.errors import Transient

TRAVERSALS = [
    "../../etc/passwd",
    "%2e%2e%2f%2e%2e%2fetc",
    "%252e%252e%252f",
    "..%5c..%5c",
    "/etc/passwd",
    "%00",
    "a%00b",
    "C:%5Cx",
    "CON",
    "-",
    "--",
    "-1",
    "x" * 300,
    "9" * 400,
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "1e9",
    "0x10",
    "+5",
    " 5",
    "5%20",
    "%20",
    "%ff%fe",
    "%ED%A0%80",
    "%E2%80%AE",
    "%D9%A3",
    "%F0%9D%9F%98",
    "null",
    "NaN",
    "true",
    "[]",
    "{}",
    "%7B%7B7*7%7D%7D",
    "'; drop table x",
    "a'b\"c",
    "%0d%0aSet-Cookie:a=b",
    "~root",
    "file:",
    "%3Cscript%3E",
    ".",
    "..",
    "...",
    "%2F",
    "%2F%2F",
    ";",
    "a;b",
    "a%3Fb",
    "a%23b",
    "*",
    "%25",
    "%",
]
QUERIES = [
    "",
    "0",
    "-1",
    "1001",
    "1e3",
    "99999999999999999999",
    "NaN",
    "Infinity",
    "-0",
    "0x1",
    "%00",
    "\u202e",
    "[]",
    "a" * 600,
    "(",
    "[",
    "\\",
    ".*",
    "\ud800",
]


def strict(text):
    """JSON as its standard has it: no NaN, no Infinity."""

    def never(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=never)


def test_every_document_is_valid_json_whatever_the_lake_holds(serve, payloads, ids):
    _, client = serve(payloads[:30])
    paths = [
        "status",
        "series",
        "incidents",
        "incidents/a1b2c3",
        "deadletters",
        "models",
        "models/cpu",
        "models/cpu/8",
        "decisions",
        "datasets",
        "openapi.json",
    ]
    paths += [f"series/{each}" for each in ids.values()]
    for path in paths:
        reply = client.get(f"/api/{path}")
        assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json"), path
        strict(reply.text)


def test_numbers_that_are_none_are_null(serve, ids):
    _, client = serve()
    curve = client.get(f"/api/series/{ids['raw']}").json()["curves"]
    assert [(each["model"], each["value"]) for each in curve] == [("", [1.0, None, None, None, 2.0])]


def test_identities_of_64_bits_are_text(serve, ids):
    _, client = serve()
    assert {each["id"] for each in client.get("/api/series").json()["series"]} == {str(each) for each in ids.values()}
    explanation = client.get("/api/incidents/a1b2c3").json()["explanation"]
    assert [each["series"] for each in explanation["members"]] == [str(ids["cpu"]), str(ids["memory"])]
    assert explanation["logs"][0]["template"] == str(1 << 60)


def test_a_series_is_told_with_what_was_expected_of_it(serve, ids):
    view, client = serve()
    answer = client.get(f"/api/series/{ids['cpu']}", params={"start": view.now - 3_600_000_000, "end": view.now}).json()
    (curve,) = answer["curves"]
    assert curve["model"] == "envelope"
    assert len({len(curve[name]) for name in ("at", "value", "yhat", "yhat_lower", "yhat_upper", "score")}) == 1
    assert len(curve["at"]) == 60
    assert max(curve["score"]) > 1
    assert answer["name"] == "node_cpu_seconds_total"


def test_a_log_stream_is_told_with_its_lines(serve, ids):
    _, client = serve()
    lines = client.get(f"/api/series/{ids['stream']}").json()["lines"]
    assert [line["severity"] for line in lines] == [9, 17]
    assert lines[1]["body"].startswith("ERROR payment")


@pytest.mark.parametrize(
    ("match", "names"),
    [("CPU user", ["node_cpu_seconds_total"]), ("no such", []), ('mode="user"', ["node_cpu_seconds_total"]), (".*", [])],
)
def test_series_are_found_by_words(serve, match, names):
    _, client = serve()
    found = client.get("/api/series", params={"match": match}).json()["series"]
    assert [each["name"] for each in found] == names


@pytest.mark.parametrize("text", TRAVERSALS)
def test_no_path_breaks_anything(serve, text):
    view, client = serve()
    before = files_of(view)
    for path in (f"/api/series/{text}", f"/api/incidents/{text}", f"/series/{text}", f"/incidents/{text}", f"/static/{text}"):
        assert client.get(path).status_code in {200, 303, 307, 400, 404}, path
    assert client.post(f"/api/incidents/{text}/verdict", json={"verdict": "real"}).status_code in {400, 404, 405}
    assert files_of(view) == before


def files_of(view):
    found = [*view.lake.root.parent.rglob("*"), *view.home.rglob("*")]
    return sorted(each for each in found if not each.name.startswith("vedette.db"))


def test_no_query_breaks_anything(serve, ids):
    _, client = serve()
    one = ids["raw"]
    asked = {
        "/api/series": ("match", "limit"),
        f"/api/series/{one}": ("start", "end"),
        "/api/incidents": ("status", "limit"),
        "/api/deadletters": ("limit",),
        "/series": ("match",),
        f"/series/{one}": ("span",),
        "/incidents": ("status",),
    }
    for path, names in asked.items():
        for name in names:
            for value in QUERIES:
                query = "".join(f"%{byte:02x}" for byte in value.encode("utf-8", "surrogatepass"))
                reply = client.get(f"{path}?{name}={query}")
                assert reply.status_code in {200, 400}, (path, name, value)
                if reply.status_code == 400:
                    assert reply.json()["field"] in {name, "start"}


@pytest.mark.parametrize(("start", "end"), [(5, 5), (9, 5), (0, 32 * 86_400_000_000), (0, 1 << 61), (1 << 61, 1 << 62)])
def test_a_stretch_of_time_is_bounded(serve, ids, start, end):
    _, client = serve()
    reply = client.get(f"/api/series/{ids['raw']}", params={"start": start, "end": end})
    assert (reply.status_code, reply.json()["field"]) == (400, "start")


def test_a_verdict_is_kept_with_who_gave_it(serve):
    view, client = serve(token="t")
    reply = client.post("/api/incidents/a1b2c3/verdict", json={"verdict": "known", "note": "again"}, auth=("ann", "t"))
    assert (reply.status_code, reply.json()["verdict"]) == (200, "known")
    assert view.said == [("a1b2c3", "known", "ann", "again")]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"verdict": "perhaps"}', 400),
        (b"{}", 400),
        (b"", 400),
        (b"[]", 400),
        (b"{", 400),
        (b'{"verdict": "real", "more": 1}', 400),
        (b'{"verdict": "real", "note": "' + b"x" * 2001 + b'"}', 400),
        (b'{"verdict": "real", "note": "\\ud800"}', 400),
        (b'{"verdict": "\\ud800"}', 400),
        (b'{"verdict": NaN}', 400),
        (b"[" * 20_000, 400),
        (b"\xff\xfe", 400),
        (b'{"verdict": "real", "note": "' + b"x" * 40_000 + b'"}', 413),
    ],
)
def test_a_verdict_that_is_none_changes_nothing(serve, body, status):
    view, client = serve()
    reply = client.post("/api/incidents/a1b2c3/verdict", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code == status
    assert set(reply.json()) == {"error", "field", "position"}
    assert view.said == []


def test_a_body_of_unknown_length_is_not_read(serve):
    async def body():
        yield b"{}"

    view, client = serve()
    reply = client.post("/api/incidents/a1b2c3/verdict", content=body(), headers={"Content-Type": "application/json"})
    assert (reply.status_code, view.said) == (411, [])


def test_what_is_not_there_is_404_and_what_cannot_be_now_is_503(serve):
    view, client = serve()
    assert client.get("/api/incidents/none").json() == {
        "error": "there is no incident 'none'; `vedette incidents` lists them",
        "field": "",
        "position": None,
    }
    assert client.get("/api/incidents/none").status_code == 404
    assert client.get("/api/series/12345").status_code == 404

    def busy(**_):
        raise Transient("the database is busy", retry_after=2.5)

    view.store.list = busy
    reply = client.get("/api/incidents")
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "3")


def test_the_document_lists_every_route(serve):
    _, client = serve()
    described = client.get("/api/openapi.json").json()["paths"]
    pages = {"/", "/incidents", "/incidents/{incident}", "/incidents/{incident}/verdict", "/series", "/series/{series}"}
    versions = ("", "/{name}", "/{name}/{version}", "/{name}/{version}/report", "/{name}/promote", "/{name}/rollback")
    pages |= {f"/models{path}" for path in versions}
    served = {route.path for route in routes_of(client.app)}
    assert served - set(described) == pages | {"/static/{name}", "/api/openapi.json"}
    assert set(described) <= served


def routes_of(app):
    for route in app.routes:
        inner = getattr(route, "original_router", None)
        yield from (route,) if inner is None else inner.routes


def test_health_names_each_part(serve):
    view, client = serve()
    assert client.get("/readyz").json() == {"ready": True, "parts": view.parts}
    view.parts = view.parts | {"log": {"state": "starting", "why": "it reads its tail"}}
    reply = client.get("/readyz")
    assert (reply.status_code, reply.json()["parts"]["log"]["why"]) == (503, "it reads its tail")
    assert client.get("/livez").text == "ok\n"


def test_own_metrics_are_served_as_text(serve):
    view, client = serve()
    view.telemetry.build.labels("9").set(1)
    reply = client.get("/metrics")
    assert 'vedette_build_info{version="9"} 1.0' in reply.text
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_status_tells_disk_and_books(serve):
    _, client = serve()
    status = client.get("/api/status").json()
    assert status["disk"]["total"] >= status["disk"]["free"] > 0
    assert status["open_incidents"] == 1
    assert status["models"][0]["learning"] == 37
    assert status["sources"]["host"]["received"] == 1203344
    assert all(math.isfinite(count) for count in status["sources"]["host"].values())


def test_every_status_that_is_answered_is_described(serve):
    _, client = serve(token="abc")
    document = client.get("/api/openapi.json", headers={"Authorization": "Bearer abc"}).json()
    known = {"Authorization": "Bearer abc"}
    foreign = known | {"Origin": "http://evil.example"}
    verdict = "/api/incidents/{incident}/verdict"
    asked = [
        ("get", "/api/series/{series}", "/api/series/x", known, 400),
        ("get", "/api/series", "/api/series?limit=0", known, 400),
        ("get", "/api/incidents/{incident}", "/api/incidents/none", known, 404),
        ("get", "/api/status", "/api/status", {}, 401),
        ("post", verdict, "/api/incidents/a1b2c3/verdict", foreign, 403),
        ("post", verdict, "/api/incidents/a1b2c3/verdict", known, 400),
        ("post", "/api/v1/write", "/api/v1/write", {}, 401),
        ("post", "/api/v1/write", "/api/v1/write", foreign, 403),
    ]
    for verb, path, address, headers, status in asked:
        assert client.request(verb.upper(), address, headers=headers).status_code == status, address
        assert str(status) in document["paths"][path][verb]["responses"], path


def test_the_document_tells_no_status_that_is_never_answered_and_refers_to_nothing_missing(serve):
    _, client = serve()
    text = client.get("/api/openapi.json").text
    document = json.loads(text)
    operations = [operation for verbs in document["paths"].values() for operation in verbs.values()]
    assert not any("422" in operation["responses"] for operation in operations)
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    wanted = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert wanted <= set(document["components"]["schemas"])
    assert all(operation["summary"] for operation in operations)
