"""The client that connects only to the address that was checked (S06)."""

import httpx
import pytest

from vedette.security.outbound import Guarded


def echo(request):
    return httpx.Response(
        200, json={"to": str(request.url), "host": request.headers["host"], "sni": request.extensions["sni_hostname"]}
    )


def answers(*addresses):
    given = iter(addresses)
    return lambda _host, _port: [next(given)]


def test_the_checked_address_is_connected_to_and_the_name_is_kept():
    client = httpx.Client(transport=Guarded(httpx.MockTransport(echo), resolve=answers("9.9.9.9")))
    answer = client.get("https://hook.example.org/a?b=c").json()
    assert answer == {"to": "https://9.9.9.9/a?b=c", "host": "hook.example.org", "sni": "hook.example.org"}


def test_a_name_that_turns_inward_after_the_first_answer_is_refused():
    client = httpx.Client(transport=Guarded(httpx.MockTransport(echo), resolve=answers("9.9.9.9", "169.254.169.254")))
    assert client.get("http://a.example/").status_code == 200
    with pytest.raises(httpx.ConnectError, match="link-local"):
        client.get("http://a.example/")


def test_a_redirect_inward_is_refused_too():
    def redirect(request):
        return httpx.Response(302, headers={"location": "http://127.0.0.1:9/"})

    client = httpx.Client(
        transport=Guarded(httpx.MockTransport(redirect), resolve=lambda host, _port: ["9.9.9.9" if host == "a.example" else host]),
        follow_redirects=True,
    )
    with pytest.raises(httpx.ConnectError, match="loopback"):
        client.get("http://a.example/")


def test_an_allowed_network_is_reached():
    client = httpx.Client(transport=Guarded(httpx.MockTransport(echo), ["10.0.0.0/8"], resolve=answers("10.1.2.3")))
    assert client.get("http://am:9093/").json()["to"] == "http://10.1.2.3:9093/"
