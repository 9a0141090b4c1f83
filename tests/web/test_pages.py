import re
from html import unescape
from html.parser import HTMLParser
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from vedette.web.guard import HEADERS
from vedette.web.text import visible

PAGES = [
    "/",
    "/incidents",
    "/incidents?status=open",
    "/incidents/a1b2c3",
    "/incidents/d4e5f6",
    "/series",
    "/series/1000",
    "/series/7",
    "/models",
    "/models/cpu",
    "/models/cpu/8",
]
TAGS = {
    "a",
    "article",
    "bdi",
    "body",
    "button",
    "code",
    "dd",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "head",
    "header",
    "html",
    "img",
    "input",
    "label",
    "li",
    "link",
    "main",
    "meta",
    "nav",
    "noscript",
    "ol",
    "option",
    "p",
    "progress",
    "rect",
    "script",
    "section",
    "select",
    "span",
    "strong",
    "svg",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "time",
    "title",
    "tr",
    "ul",
}
ATTRIBUTES = {
    "alt",
    "aria-current",
    "aria-label",
    "aria-labelledby",
    "aria-pressed",
    "autocomplete",
    "charset",
    "class",
    "content",
    "data-rate",
    "data-since",
    "data-source",
    "data-unit",
    "data-until",
    "datetime",
    "defer",
    "for",
    "height",
    "hidden",
    "href",
    "id",
    "lang",
    "max",
    "maxlength",
    "method",
    "action",
    "name",
    "rel",
    "required",
    "role",
    "rx",
    "scope",
    "selected",
    "src",
    "tabindex",
    "type",
    "value",
    "viewbox",
    "width",
    "x",
}
BROWSER = {"Accept": "text/html"}


class Page(HTMLParser):
    """What a browser would make of a page: tags with their attributes, and all text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def reply_of(client, path):
    reply = client.get(path, headers=BROWSER)
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    return reply


def test_the_corpus_is_large_enough(payloads):
    assert len(set(payloads)) >= 100


def test_what_outsiders_wrote_is_only_ever_text(serve, payloads):
    _, client = serve(payloads)
    views = [*PAGES, f"/incidents/{quote('x0' + payloads[0], safe='')[:64]}"]
    named = [text for text in payloads if "/" not in text]
    views += [f"/models/{quote(text, safe='')}{version}" for text in named[:25] for version in ("", "/1")]
    for path in views:
        reply = reply_of(client, path)
        page = Page(reply.text)
        assert {tag for tag, _ in page.tags} <= TAGS, path
        assert {name for _, attributes in page.tags for name in attributes} <= ATTRIBUTES, path
        for tag, attributes in page.tags:
            assert not (tag == "script" and not attributes["src"].startswith("/static/")), path
            for name in ("href", "src", "action", "data-source"):
                assert re.match(r"/|\?|#main|$", attributes.get(name, "")), (path, attributes)
        assert visible(reply.text) == reply.text, path


@pytest.mark.parametrize("path", ["/", "/incidents", "/incidents/a1b2c3", "/series", "/series/7", "/models"])
def test_all_that_outsiders_wrote_can_be_read(serve, payloads, path):
    some = payloads[:40]
    _, client = serve(some)
    text = unescape(Page(client.get(path, headers=BROWSER).text).text)
    assert [payload for payload in some if visible(payload) not in text] == []


def test_what_is_searched_for_and_what_is_not_found_are_shown_as_text(serve, payloads):
    _, client = serve()
    for payload in payloads:
        for reply in (
            client.get("/series", params={"match": payload}, headers=BROWSER),
            client.get(f"/incidents/{quote(payload)}", headers=BROWSER),
            client.get("/incidents", params={"status": payload}, headers=BROWSER),
        ):
            assert reply.status_code in {200, 400, 404}
            assert {tag for tag, _ in Page(reply.text).tags} <= TAGS
            assert visible(reply.text) == reply.text


def test_every_answer_has_the_policy(serve):
    view, client = serve()
    view.lake = None
    strict = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in strict
    for path in [
        *PAGES,
        "/nothing",
        "/livez",
        "/readyz",
        "/metrics",
        "/api/status",
        "/api/nothing",
        "/static/vedette.css",
        "/static/no",
    ]:
        reply = client.get(path)
        assert {name: reply.headers[name] for name in HEADERS} == HEADERS, path
        assert "access-control-allow-origin" not in reply.headers
    assert client.get("/", headers={"Host": "evil.example"}).headers["content-security-policy"] == strict


def test_a_fault_of_ours_tells_nothing_and_keeps_the_policy(serve):
    view, client = serve()
    view.status = lambda: 1 / 0
    for headers in ({}, BROWSER):
        with capture_logs() as told:
            reply = client.get("/", headers=headers)
        assert [each["event"] for each in told] == ["a request failed"]
        assert reply.status_code == 500
        assert "ZeroDivision" not in reply.text
        assert "Traceback" not in reply.text
        assert reply.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]


def test_the_open_incidents_come_first(serve):
    _, client = serve()
    text = Page(client.get("/").text).text
    assert text.index("1 open incident") < text.index("far above expected") < text.index("Sources") < text.index("Target is down")


def test_an_incident_tells_what_moved_first_and_shows_it(serve, ids):
    _, client = serve()
    page = Page(client.get("/incidents/a1b2c3").text)
    assert page.text.index("CPU (user) of host web-1 far above") < page.text.index("memory MemAvailable")
    assert "shop 2.14.0 deployed" in page.text
    assert "connection pool is empty" in page.text
    sources = [attributes["data-source"] for tag, attributes in page.tags if tag == "figure"]
    assert [source.split("?")[0] for source in sources] == [f"/api/series/{ids['cpu']}", f"/api/series/{ids['memory']}"]
    for source in sources:
        assert client.get(source).status_code == 200


def test_a_verdict_is_given_by_a_plain_form(serve):
    view, client = serve()
    reply = client.post("/incidents/a1b2c3/verdict", data={"verdict": "false", "note": "a load test"})
    assert (reply.status_code, reply.headers["location"]) == (303, "/incidents/a1b2c3")
    assert view.said == [("a1b2c3", "false", "web", "a load test")]
    assert "said to be a false alarm" in client.get("/incidents/a1b2c3").text


@pytest.mark.parametrize(
    ("body", "status"),
    [("verdict=perhaps", 400), ("", 400), ("verdict=real&note=" + "x" * 40_000, 413), ("a=b&" * 50, 400), ("%ff=%fe", 400)],
)
def test_a_form_that_is_none_changes_nothing(serve, body, status):
    view, client = serve()
    reply = client.post(
        "/incidents/a1b2c3/verdict", content=body, headers={"Content-Type": "application/x-www-form-urlencoded"} | BROWSER
    )
    assert reply.status_code == status
    assert view.store.get("a1b2c3").verdict == ""


def test_a_log_stream_shows_its_lines(serve, ids):
    _, client = serve()
    page = Page(client.get(f"/series/{ids['stream']}").text)
    assert "GET /cart 200 12ms" in page.text
    assert "figure" not in {tag for tag, _ in page.tags}


def test_the_script_of_plotly_comes_from_here_and_is_kept_by_browsers(serve):
    _, client = serve()
    sources = [attributes["src"] for tag, attributes in Page(client.get("/series/7").text).tags if tag == "script"]
    assert [source.split("?")[0] for source in sources] == ["/static/plotly.min.js", "/static/charts.js"]
    reply = client.get(sources[0])
    assert reply.headers["content-encoding"] == "gzip"
    assert "immutable" in reply.headers["cache-control"]
    assert len(reply.content) > 1_000_000
    assert client.get(sources[0], headers={"Accept-Encoding": "identity"}).content == reply.content


def test_pages_are_not_kept(serve):
    _, client = serve()
    assert client.get("/").headers["cache-control"] == "no-store"
