from html.parser import HTMLParser

import pytest

from vedette.core.errors import NotFound, Rejected, Transient
from vedette.web.models import REPORT_POLICY

BROWSER = {"Accept": "text/html"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Text(HTMLParser):
    """What one reads of a page, with single spaces."""

    def __init__(self, html):
        super().__init__()
        self.parts = []
        self.feed(html)
        self.text = " ".join("".join(self.parts).split())

    def handle_data(self, data):
        self.parts.append(data)


def read(client, path):
    reply = client.get(path, headers=BROWSER)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    return Text(reply.text).text


def test_every_model_tells_where_its_versions_stand_and_what_was_decided_last(serve):
    _, client = serve()
    text = read(client, "/models")
    for told in (
        "canaryversion 8championversion 7",
        "Version 7 has spoken for 5 d; version 8 speaks for 10 %.",
        "Version 8 stays in canary, 3 h ago: Two hours of canary are too few",
        "No version speaks yet; version 1 listens.",
        "9 of the 14 days",
    ):
        assert told in text, told
    assert 'href="/models"' in client.get("/").text


def test_the_worst_drift_is_shown_and_one_that_is_no_number_breaks_nothing(serve):
    view, client = serve(["x"])
    assert "drift residuals 1.18" in read(client, "/models")
    assert "drift residuals 1.18 drift 0.42" in read(client, "/models/cpu")
    assert "nan" in read(client, "/models/x")
    view.models.all = {}
    assert "None has been trained yet" in read(client, "/models")


def test_a_model_shows_versions_signals_and_decisions_with_evidence(serve):
    _, client = serve()
    text = read(client, "/models/cpu")
    order = ("Residuals are twice as wide", "Look at web-1", "1 of 3 failed", "Fewer alerts than the champion", "agreement=0.984")
    places = [text.index(each) for each in order]
    assert places == sorted(places)
    assert "by ann" in text


def test_a_version_shows_what_it_is_and_where_it_comes_from(serve):
    _, client = serve()
    text = read(client, "/models/cpu/6")
    assert text.index("failed alerts a week") < text.index("passed incidents caught")
    for told in ("measured 31, required at most 12", "hold seconds3,300", "datacpu@6", "version 5", "by ann", "sha256:fcde2b2e"):
        assert told in text
    assert "nothing: it is the first" in read(client, "/models/disk/1")


@pytest.mark.parametrize("path", ["/models/none", "/models/cpu/99", "/models/none/1", "/models/cpu/99/report"])
def test_what_is_not_there_is_404(serve, path):
    _, client = serve()
    assert client.get(path, headers=BROWSER).status_code == 404
    if not path.endswith("report"):
        assert client.get(f"/api{path}").json().keys() == {"error", "field", "position"}


@pytest.mark.parametrize("version", ["0", "-1", "x", "1.0", "9" * 30, "%00"])
def test_what_is_no_version_is_refused(serve, version):
    _, client = serve()
    assert client.get(f"/models/cpu/{version}").status_code in {400, 404}
    assert client.get(f"/api/models/cpu/{version}").status_code in {400, 404}
    assert client.post("/models/cpu/promote", data={"version": version, "reason": "r"}).status_code in {400, 409}


def test_a_report_is_of_no_origin_runs_nothing_and_loads_nothing(serve):
    _, client = serve()
    reply = client.get("/models/cpu/8/report")
    assert (reply.status_code, reply.headers["content-security-policy"]) == (200, REPORT_POLICY)
    assert REPORT_POLICY.startswith("sandbox; default-src 'none'")
    assert "script-src" not in REPORT_POLICY
    assert (reply.headers["x-frame-options"], reply.headers["x-content-type-options"]) == ("DENY", "nosniff")


def test_a_version_is_promoted_by_a_plain_form_with_a_reason(serve):
    view, client = serve()
    reply = client.post("/models/cpu/promote", data={"version": "8", "reason": " six hours are over "}, headers=BROWSER)
    assert (reply.status_code, reply.headers["location"]) == (303, "/models/cpu")
    assert view.models.said == [("promote", "cpu", 8, "web", "six hours are over")]
    assert "Version 8 is the champion now six hours are over" in read(client, "/models/cpu")


def test_a_champion_is_rolled_back_by_a_plain_form_with_a_reason(serve):
    view, client = serve(token="abc")
    reply = client.post("/models/cpu/rollback", data={"reason": "it misses web-1"}, auth=("ann", "abc"))
    assert (reply.status_code, view.models.said) == (303, [("rollback", "cpu", "ann", "it misses web-1")])


@pytest.mark.parametrize(
    ("verb", "body", "status"),
    [
        ("promote", "version=8", 400),
        ("promote", "version=8&reason=+", 400),
        ("promote", "reason=r", 400),
        ("promote", "version=6&reason=r", 409),
        ("promote", "version=8&reason=" + "x" * 40_000, 413),
        ("rollback", "", 400),
        ("rollback", "%ff", 400),
    ],
)
def test_a_move_that_is_refused_changes_nothing_and_says_why(serve, verb, body, status):
    view, client = serve()
    reply = client.post(f"/models/cpu/{verb}", content=body, headers=FORM | BROWSER)
    assert (reply.status_code, view.models.said) == (status, [])
    if status == 409:
        assert "did not pass its gates" in reply.text


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_page_of_another_site_moves_nothing(serve, headers):
    view, client = serve()
    for path in ("/models/cpu/promote", "/models/cpu/rollback", "/api/models/cpu/promote", "/api/models/cpu/rollback"):
        assert client.post(path, content="version=8&reason=r", headers=headers | FORM).status_code == 403
        assert client.get(path).status_code in {400, 405}
    assert view.models.said == []


def test_models_are_told_as_json(serve):
    _, client = serve(["x"])
    assert [each["name"] for each in client.get("/api/models").json()["models"]] == ["cpu", "tickets", "disk", "x"]
    cpu = client.get("/api/models/cpu").json()
    assert (cpu["champion"], cpu["candidate"], cpu["stage"], cpu["share"]) == (7, 8, "canary", 0.1)
    assert cpu["versions"][0] == client.get("/api/models/cpu/8").json()
    assert cpu["versions"][2]["passed"] is False
    assert client.get("/api/models/x").json()["gauges"] == {"x": None, "driftx": None, "x_seconds": None}
    (dataset,) = client.get("/api/datasets").json()["datasets"]
    assert (dataset["name"], dataset["version"], dataset["worst"]) == ("cpu", 3, None)


def test_decisions_are_told_newest_first_of_all_models_or_of_one(serve):
    _, client = serve()
    told = client.get("/api/decisions").json()["decisions"]
    assert [each["at"] for each in told] == sorted((each["at"] for each in told), reverse=True)
    assert {each["model"] for each in told} == {"cpu", "tickets"}
    assert len(client.get("/api/decisions?limit=2").json()["decisions"]) == 2
    assert {each["model"] for each in client.get("/api/decisions?model=tickets").json()["decisions"]} == {"tickets"}
    assert client.get("/api/decisions?model=none").status_code == 404


def test_moves_are_made_over_the_api(serve):
    view, client = serve()
    made = client.post("/api/models/cpu/promote", json={"version": 8, "reason": "it is better"}).json()
    assert (made["version"], made["stage"], made["actor"]) == (8, "champion", "web")
    assert client.post("/api/models/cpu/rollback", json={"reason": "it is not"}).json()["move"] == "ROLL_BACK"
    refused = client.post("/api/models/disk/rollback", json={"reason": "r"})
    assert (refused.status_code, refused.json()["error"]) == (409, "disk has no champion before this one")
    right = {"version": 8, "reason": "r"}
    for body in ({}, {"version": 8}, {"reason": "r"}, right | {"reason": ""}, right | {"version": 0}, right | {"more": 1}):
        assert client.post("/api/models/cpu/promote", json=body).status_code == 400
    assert len(view.models.said) == 2


def test_what_the_port_says_becomes_a_status(serve):
    view, client = serve()
    for error, status in ((NotFound("x"), 404), (Rejected("x"), 409), (Transient("x"), 503)):

        def fails(*_, error=error):
            raise error

        view.models.rollback = fails
        assert client.post("/models/cpu/rollback", data={"reason": "r"}).status_code == status
