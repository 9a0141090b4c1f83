"""The one way out to the network."""

import shutil
import ssl
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from vedette.act import Poster, Request
from vedette.core.errors import ConfigError, Transient


class Peer(ThreadingHTTPServer):
    """Answers as it is told, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.asked = []
        self.release = threading.Event()

    @property
    def port(self):
        return self.server_address[1]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, dict(self.headers), body))
        self.server.answer(self)

    def log_message(self, *_args):
        pass


@contextmanager
def peer(answer):
    server = Peer(answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


def fine(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def pinned(server):
    return Poster(lambda _url: ("hook.example", server.port, "127.0.0.1"))


def test_it_connects_to_the_checked_address_under_the_name_that_was_given():
    with peer(fine) as server:
        reply = pinned(server)(Request("http://hook.example/in?x=1", b"{}", {"Content-Type": "application/json"}))
    assert reply.status == 200
    ((path, headers, body),) = server.asked
    assert (path, headers["Host"], headers["Content-Type"], body) == ("/in?x=1", "hook.example", "application/json", b"{}")


def test_a_refused_address_is_not_connected_to():
    def refuse(_url):
        raise ConfigError(["127.0.0.1 is loopback"])

    with peer(fine) as server, pytest.raises(ConfigError, match="loopback"):
        Poster(refuse)(Request(f"http://127.0.0.1:{server.port}/", b""))
    assert server.asked == []


def test_a_redirect_is_not_followed():
    def elsewhere(handler):
        handler.send_response(307)
        handler.send_header("Location", f"http://127.0.0.1:{handler.server.port}/inner")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with peer(elsewhere) as server:
        assert pinned(server)(Request("http://hook.example/", b"")).status == 307
    assert [path for path, _, _ in server.asked] == ["/"]


def test_who_answers_too_slowly_is_given_up_even_while_bytes_drip():
    def drip(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not handler.server.release.wait(0.05):
            handler.wfile.write(b"x")
            handler.wfile.flush()

    with peer(drip) as server, pytest.raises(Transient, match=r"hook.example:\d+: no answer within 0.3 s"):
        pinned(server)(Request("http://hook.example/secret-path", b"", timeout=0.3))


def test_an_endless_answer_is_not_read():
    def flood(handler):
        handler.send_response(503)
        handler.send_header("Retry-After", "7")
        handler.send_header("Content-Length", str(1 << 40))
        handler.end_headers()
        try:
            while not handler.server.release.is_set():
                handler.wfile.write(b"x" * 65536)
        except OSError:
            handler.close_connection = True

    with peer(flood) as server:
        reply = pinned(server)(Request("http://hook.example/", b"", timeout=5.0))
    assert (reply.status, reply.retry_after) == (503, 7.0)


def test_nobody_there_is_said_without_the_path_of_the_address():
    with peer(fine) as server:
        poster = pinned(server)
    with pytest.raises(Transient) as told:
        poster(Request("http://hook.example/secret-path", b""))
    assert "secret-path" not in str(told.value)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate of this test; install it to run it")
@pytest.mark.parametrize(("name", "good"), [("hook.example", True), ("other.example", False)])
def test_a_certificate_is_checked_against_the_name_not_the_address(tmp_path, name, good):
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-subj",
        "/CN=x",
        "-addext",
        f"subjectAltName=DNS:{name}",
    ]
    subprocess.run(["openssl", "req", "-x509", *made, "-keyout", key, "-out", cert], check=True, capture_output=True)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(cert, key)
    with peer(fine) as server:
        server.socket = serving.wrap_socket(server.socket, server_side=True)
        poster = Poster(lambda _url: ("hook.example", server.port, "127.0.0.1"), ssl.create_default_context(cafile=str(cert)))
        if good:
            assert poster(Request("https://hook.example/", b"")).status == 200
        else:
            with pytest.raises(Transient, match="CERTIFICATE_VERIFY_FAILED"):
                poster(Request("https://hook.example/", b""))
