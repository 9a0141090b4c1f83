import pytest

FOREIGN = [
    "evil.example",
    "evil.example:4680",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "x/abc?y=",
    "localhost/abc?y=",
    "localhost@evil.example",
    "localhost:4680:80",
    "localhost:99999999",
    "",
    " ",
    "127.0.0.2",
    "0.0.0.0",
    "[::]",
    "[::1",
    "::1",
    "localhost.",
    "localhost,evil.example",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "[::ffff:127.0.0.1]",
    "evil.example#localhost",
    "a b",
]


@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_name_is_refused_on_every_route(serve, host):
    view, client = serve()
    for path in ("/", "/api/status", "/livez", "/metrics", "/static/vedette.css"):
        assert client.get(path, headers={"Host": host}).status_code == 400
    assert client.post("/push/x", content=b"{}", headers={"Host": host}).status_code == 400
    assert view.received == []


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:4680", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:4680", "watch.example", "watch.example:443"],
)
def test_our_own_names_are_not(serve, host):
    _, client = serve(hosts=("watch.example",))
    assert client.get("/livez", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("listen", "host", "status"),
    [("10.1.2.3:80", "10.1.2.3", 200), ("[fd00::5]:80", "[fd00::5]:80", 200), ("0.0.0.0:80", "0.0.0.0", 400)],
)
def test_the_name_listened_on_is_ours(serve, listen, host, status):
    _, client = serve(listen=listen)
    assert client.get("/livez", headers={"Host": host}).status_code == status


def test_two_names_are_none(serve):
    _, client = serve()
    assert client.get("/livez", headers=[("Host", "localhost"), ("Host", "evil.example")]).status_code == 400


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Bearer s3cre",
        "Bearer s3cret2",
        "Bearer S3CRET",
        "s3cret",
        "Token s3cret",
        "Basic s3cret",
        "Basic !",
        "Basic czNjcmV0Og==",
        "Bearer " + "x" * 100_000,
        "Digest s3cret",
    ],
)
def test_without_the_token_nobody_comes_in(serve, given):
    view, client = serve(token="s3cret")
    headers = {} if given is None else {"Authorization": given}
    bodies = set()
    for path in ("/", "/api/status", "/readyz", "/metrics", "/static/vedette.css", "/nothing", "/api/openapi.json"):
        reply = client.get(path, headers=headers)
        assert reply.status_code == 401
        bodies.add(reply.content)
    assert client.post("/api/v1/write", content=b"x", headers=headers).status_code == 401
    assert view.received == []
    assert len(bodies) == 1
    assert client.get("/livez").status_code == 200


def test_with_the_token_everybody_does(serve):
    _, client = serve(token="s3cret")
    assert client.get("/api/status", headers={"Authorization": "Bearer s3cret"}).status_code == 200
    assert client.get("/api/status", headers={"Authorization": "bearer s3cret"}).status_code == 200
    assert client.get("/", auth=("ann", "s3cret")).status_code == 200


def test_a_browser_is_asked_for_the_token(serve):
    _, client = serve(token="s3cret")
    assert client.get("/").headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1:4681"},
        {"Origin": "http://127.0.0.1:4680.evil.example"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "file://"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://127.0.0.1:4680", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_page_of_another_site_changes_nothing(serve, headers):
    view, client = serve()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/incidents/a1b2c3/verdict", content="verdict=false", headers=headers | form).status_code == 403
    plain = {"Content-Type": "text/plain"}
    assert client.post("/api/incidents/a1b2c3/verdict", content='{"verdict":"false"}', headers=headers | plain).status_code == 403
    assert client.post("/push/x", content="line", headers=headers | plain).status_code == 403
    assert (view.said, view.received) == ([], [])


def test_our_own_page_and_no_page_at_all_do(serve):
    _, client = serve()
    for headers in ({}, {"Origin": "http://127.0.0.1:4680", "Sec-Fetch-Site": "same-origin"}):
        assert client.post("/incidents/a1b2c3/verdict", data={"verdict": "real"}, headers=headers).status_code == 303


def test_reading_never_changes_anything(serve):
    view, client = serve()
    for path in ("/incidents/a1b2c3/verdict?verdict=false", "/api/incidents/a1b2c3/verdict?verdict=false"):
        assert client.get(path).status_code in {404, 405}
    assert view.said == []


def test_no_other_site_may_read(serve):
    _, client = serve()
    reply = client.options("/api/status", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"})
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_receivers_are_served_behind_the_same_guard(serve):
    view, client = serve()
    assert client.post("/api/v1/write", content=b"abc").status_code == 204
    assert view.received == [b"abc"]
