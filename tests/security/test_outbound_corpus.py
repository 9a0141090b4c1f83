"""Addresses that must not be connected to, tried for real against a listener of this machine that counts (S06)."""

import socket
import threading
from contextlib import contextmanager, suppress

import httpx
import pytest

from vedette.act import Poster, Request
from vedette.core.errors import ConfigError, Transient
from vedette.security.addresses import checked
from vedette.security.outbound import client

LOOPBACK = (
    *(
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0x7f.1",
        "127.0.1.1",
        "127.255.255.254",
        "localhost",
        "0",
        "0.0.0.0",
    ),
    *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]"),
    *("[2002:7f00:1::]", "[2001:0:7f00:1::80ff:fffe]", "LOCALHOST", "localhost.", "①②⑦.⓪.⓪.①"),
)
ELSEWHERE = (
    *("169.254.169.254", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "100.64.0.1", "100.100.100.200"),
    *(
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[fe80::1]",
        "[ff02::1]",
        "[fc00::1]",
        "192.0.0.8",
        "192.0.0.192",
    ),
    *(
        "168.63.129.16",
        "192.88.99.1",
        "[64:ff9b:1::7f00:1]",
        "[::7f00:1]",
        "198.18.0.1",
        "203.0.113.1",
        "[2001:db8::1]",
        "[100::1]",
    ),
)
SCHEMES = (
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_x",
    "ftp://127.0.0.1:{port}/",
    "unix:///run/x",
    "ws://127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
)
CREDENTIALS = ("http://ann:s3cr3t@127.0.0.1:{port}/", "http://example.org@127.0.0.1:{port}/", "http://127.0.0.1:{port}#@9.9.9.9/")
URLS = [f"http://{host}:{{port}}/" for host in LOOPBACK + ELSEWHERE] + [*SCHEMES, *CREDENTIALS]


class Listener:
    """Counts connections; answers each with `answer`."""

    def __init__(self, answer):
        self.answer = answer
        self.connections = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._serve)

    def _serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            with peer:
                peer.recv(65536)
                with suppress(OSError):  # who hung up has seen enough
                    self.answer(peer)


@contextmanager
def listener(answer=lambda peer: peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")):
    one = Listener(answer)
    one.thread.start()
    try:
        yield one
    finally:
        one.socket.shutdown(socket.SHUT_RDWR)
        one.socket.close()
        one.thread.join()


@pytest.mark.parametrize("url", URLS)
def test_the_client_connects_to_nothing_of_the_inner_network(url):
    with listener() as inner, client(timeout=2) as outward:
        with pytest.raises((httpx.HTTPError, httpx.InvalidURL)):
            outward.get(url.format(port=inner.port))
        assert inner.connections == 0


@pytest.mark.parametrize("url", URLS)
def test_a_notification_connects_to_nothing_of_the_inner_network(url):
    with listener() as inner:
        with pytest.raises(ConfigError) as caught:
            Poster(checked)(Request(url.format(port=inner.port), b"{}", timeout=2))
        assert inner.connections == 0
        assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("allow", ["127.0.0.0/8", "127.0.0.1/32"])
def test_an_allowed_network_is_reached_by_both(allow):
    with listener() as inner:
        url = f"http://127.0.0.1:{inner.port}/"
        with client([allow]) as outward:
            assert outward.get(url).text == "ok"
        assert Poster(lambda asked: checked(asked, [allow]))(Request(url, b"{}", timeout=2)).status == 200
        assert inner.connections == 2


def test_a_redirect_is_followed_by_neither():
    with listener() as inner:

        def redirect(peer):
            peer.sendall(f"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:{inner.port}/\r\nContent-Length: 0\r\n\r\n".encode())

        with listener(redirect) as outer:
            url = f"http://127.0.0.1:{outer.port}/"
            with client(["127.0.0.0/8"]) as outward:
                assert outward.get(url).status_code == 307
            assert Poster(lambda asked: checked(asked, ["127.0.0.0/8"]))(Request(url, b"{}", timeout=2)).status == 307
        assert inner.connections == 0


def test_a_name_that_turns_inward_between_check_and_connection_gains_nothing():
    with listener() as inner:
        answers = iter([["192.0.2.1"], ["127.0.0.1"]])
        post = Poster(lambda url: checked(url, ["192.0.2.0/24"], resolve=lambda _host, _port: next(answers)))
        with pytest.raises(Transient):
            post(Request(f"http://rebind.example:{inner.port}/", b"", timeout=0.2))
        with pytest.raises(ConfigError):
            post(Request(f"http://rebind.example:{inner.port}/", b"", timeout=0.2))
        assert inner.connections == 0


def test_an_answer_without_an_end_is_not_read_by_a_notification():
    sent = []

    def endless(peer):
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        for _ in range(2000):
            peer.sendall(b"x" * 65536)
            sent.append(65536)

    with listener(endless) as inner:
        reply = Poster(lambda url: checked(url, ["127.0.0.0/8"]))(Request(f"http://127.0.0.1:{inner.port}/", b"", timeout=5))
    assert reply.status == 200
    assert sum(sent) < 64 << 20
