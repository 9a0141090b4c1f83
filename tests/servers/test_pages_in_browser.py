"""The pages in a real browser: nothing outsiders wrote runs, the policy is never violated, charts are drawn, forms work.

VEDETTE_SCREENSHOTS names a folder to leave pictures in.
"""

import base64
import fcntl
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

pytestmark = pytest.mark.servers
ROOT = Path(__file__).parents[2]
MADE_UP = ROOT / "tests" / "web" / "made_up.py"
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --remote-debugging-pipe --hide-scrollbars"
)
#: Before anything of a page runs: remember what its policy forbade, and what dialogs it asked for.
WITNESS = """
window.__seen = [];
document.addEventListener('securitypolicyviolation', (event) => {
  window.__seen.push(event.violatedDirective + ' ' + event.blockedURI);
});
for (const name of ['alert', 'confirm', 'prompt']) window[name] = () => window.__seen.push(name);
"""
PAGES = (
    "/",
    "/incidents",
    "/incidents/a1b2c3",
    "/incidents/d4e5f6",
    "/series",
    "/series/7",
    "/series/{cpu}",
    "/series/{stream}",
    "/models",
    "/models/cpu",
    "/models/cpu/8",
    "/models/tickets",
    "/nothing",
)


class Browser:
    """Chromium, told what to do over two pipes (the DevTools protocol, one JSON document a NUL)."""

    def __init__(self, program, profile):
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        # The shell renumbers to 3 and 4, so ours must lie beyond.
        given = [fcntl.fcntl(each, fcntl.F_DUPFD, 20) for each in (theirs_in, theirs_out)]
        command = f"exec {shlex.quote(program)} {FLAGS} --user-data-dir={shlex.quote(str(profile))} 3<&{given[0]} 4>&{given[1]}"
        self._process = subprocess.Popen(
            ["bash", "-c", command], pass_fds=given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for each in (theirs_in, theirs_out, *given):
            os.close(each)
        self._in, self._out = os.fdopen(ours_in, "rb", 0), os.fdopen(ours_out, "wb", 0)
        self._held = b""
        self._number = 0
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = None
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source=WITNESS)

    def call(self, method, **params):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if getattr(self, "_session", None):
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            reply = self._next()
            if reply.get("id") == self._number:
                assert "error" not in reply, reply
                return reply["result"]
            self.events.append(reply)

    def _next(self):
        while b"\0" not in self._held:
            chunk = self._in.read(65536)
            assert chunk, "the browser has gone"
            self._held += chunk
        message, _, self._held = self._held.partition(b"\0")
        return json.loads(message)

    def run(self, script):
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, url):
        self.events = []
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def wait(self, condition, seconds=30):
        end = time.monotonic() + seconds
        while not self.run(condition):
            assert time.monotonic() < end, f"never came true: {condition}"
            time.sleep(0.05)

    def draw(self):
        """Let every chart be drawn, also those below the fold."""
        self.run("document.querySelectorAll('figure.chart').forEach((each) => draw(each))")
        self.wait("[...document.querySelectorAll('figure.chart')].every((each) => each.querySelector('.state').textContent)")

    def look(self, width, *, dark=False):
        """A picture of the whole page at that width, as PNG."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        for height in (700, None):
            height = height or min(self.run("document.documentElement.scrollHeight"), 3000)  # noqa: PLW2901 -- as tall as it turned out
            self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        time.sleep(0.5)  # for charts to be drawn anew
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def complaints(self):
        """What the console was told: violations of the policy, and errors of scripts."""
        told = [each["params"]["entry"]["text"] for each in self.events if each.get("method") == "Log.entryAdded"]
        thrown = [str(each["params"]) for each in self.events if each.get("method") == "Runtime.exceptionThrown"]
        return told + thrown

    def close(self):
        self._in.close()
        self._out.close()
        self._process.terminate()
        self._process.wait(20)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed; `make servers` installs it")
    with closing(Browser(program, tmp_path_factory.mktemp("profile"))) as found:
        yield found


@pytest.fixture
def start(tmp_path):
    """Starts a made-up pipeline in a process of its own; gives its address."""
    running = []

    def serve(mood):
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        running.append(subprocess.Popen([sys.executable, MADE_UP, str(port), tmp_path / mood, mood]))
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/livez").close()
            except OSError:
                time.sleep(0.1)
            else:
                return f"http://127.0.0.1:{port}"
        raise AssertionError("the made-up pipeline did not start")

    yield serve
    for each in running:
        each.terminate()
        each.wait(20)


def addresses(base):
    with urllib.request.urlopen(f"{base}/api/series?limit=1000") as reply:  # noqa: S310 -- loopback
        series = json.load(reply)["series"]
    ids = {each["name"]: each["id"] for each in series}
    known = {"cpu": ids["node_cpu_seconds_total"], "stream": ids["app.log"]}
    return [base + page.format_map(known) for page in PAGES]


def keep(name, picture):
    folder = os.environ.get("VEDETTE_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{name}.png").write_bytes(picture)


def test_nothing_that_outsiders_wrote_runs_in_any_view(browser, start):
    base = start("hostile")
    for address in [*addresses(base), f"{base}/series?match=%22%3E%3Cscript%3Ewindow.__pwned%3D1%3C/script%3E"]:
        browser.open(address)
        browser.draw()
        browser.run("document.querySelectorAll('a, button, input, summary').forEach((each) => each.focus())")
        assert browser.run("typeof window.__pwned") == "undefined", address
        assert browser.run("window.__seen") == [], address
        outside = [each["params"]["request"]["url"] for each in browser.events if each.get("method") == "Network.requestWillBeSent"]
        assert [url for url in outside if not url.startswith(base)] == [], address


def test_our_own_pages_never_violate_the_policy_and_draw_their_charts(browser, start):
    base = start("calm")
    for number, address in enumerate(addresses(base)):
        browser.open(address)
        browser.draw()
        assert browser.run("window.__seen") == [], address
        told = [text for text in browser.complaints() if "404" not in text or not address.endswith("/nothing")]
        assert told == [], address
        figures = browser.run("document.querySelectorAll('figure.chart').length")
        drawn = browser.run("document.querySelectorAll('figure.chart[data-drawn] .main-svg .scatterlayer .trace').length")
        assert drawn >= figures, address
        for mood, dark in (("light", False), ("dark", True)):
            for width in (1100, 390):
                keep(f"{number}-{mood}-{width}", browser.look(width, dark=dark))
                assert browser.run("document.documentElement.scrollWidth <= innerWidth"), f"{address} is wider than {width}"


def test_a_version_is_promoted_by_the_form_and_only_with_a_reason(browser, start):
    base = start("calm")
    browser.open(f"{base}/models/cpu")
    browser.run("document.querySelector('form[action$=promote] button').click()")
    assert browser.run("document.querySelector('form[action$=promote]').checkValidity()") is False
    browser.run("document.querySelector('#why-promote').value = 'it is better'")
    browser.run("document.querySelector('form[action$=promote] button').click()")
    browser.wait("document.body?.textContent.includes('it is better') && document.readyState === 'complete'")
    assert "version 8" in browser.run("document.querySelector('.way .champion').textContent")


def test_a_verdict_is_given_by_the_form(browser, start):
    base = start("calm")
    browser.open(f"{base}/incidents/a1b2c3")
    browser.run("document.querySelector('#note').value = 'a load test'")
    browser.run("document.querySelector('button[value=false]').click()")
    browser.wait("document.querySelector('button.chosen') !== null")
    assert browser.run("document.querySelector('button.chosen').value") == "false"
    assert browser.run("location.pathname") == "/incidents/a1b2c3"
