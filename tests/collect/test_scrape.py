import gzip
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import httpx
import numpy as np
import pytest
from pydantic import ValidationError

from vedette.collect.exposition import Exposition
from vedette.collect.limits import Limits
from vedette.collect.scrape import ScrapeSettings, ScrapeSource
from vedette.collect.series import SeriesTable
from vedette.core.errors import BadRecord
from vedette.core.identity import series_id

TEXT = b"""# HELP http_requests_total Served.
# TYPE http_requests_total counter
http_requests_total{path="/a b",quote="\\"x\\\\"} 3
# TYPE latency histogram
latency_bucket{le="+Inf"} 4 1700000000000
latency_sum 1.5
temp NaN
# EOF
"""


def test_heads_become_series_and_tails_numbers():
    series, values = Exposition("s", SeriesTable(), {"job": "j"}).parse(TEXT)
    assert series[0] == series_id("http_requests_total", {"path": "/a b", "quote": '"x\\', "job": "j"})
    assert series[1] == series_id("latency_bucket", {"le": "+Inf", "job": "j"})
    assert values[:3] == [3.0, 4.0, 1.5]
    assert np.isnan(values[3])


def test_the_second_parse_gives_the_same_series():
    exposition = Exposition("s", SeriesTable(), {})
    assert exposition.parse(TEXT)[0] == exposition.parse(TEXT)[0]


def test_a_line_that_is_no_sample_is_named():
    with pytest.raises(BadRecord, match="record 1"):
        Exposition("s", SeriesTable(), {}).parse(b"a 1\n{oops\n")


OPENMETRICS = b"""# TYPE requests counter
# UNIT requests seconds
requests_total{code="200"} 7 1700000000.5 # {trace_id="a b # c"} 0.67 1700000000.1
requests_created{code="200"} 1.6e9
# TYPE wait histogram
wait_bucket{le="1.0"} 2 # {trace_id="x"} 0.5
wait_count 2
# TYPE build info
build_info{version="1 # 2"} 1
# TYPE size gaugehistogram
size_bucket{le="+Inf"} 3
size_gcount 3
# TYPE lag summary
lag{quantile="0.5"} nan
lag_sum 3
untold_total +Inf
# EOF
"""


class Kinds(SeriesTable):
    """Remembers the kind of each series by its name."""

    def __init__(self):
        super().__init__()
        self.kinds = {}

    def resolve(self, source, name, labels, kind="unknown", unit=""):
        self.kinds[name] = kind
        return super().resolve(source, name, labels, kind, unit)


def test_families_of_openmetrics_give_their_series_a_kind_and_exemplars_are_ignored():
    table = Kinds()
    exposition = Exposition("s", table, {})
    for _ in range(2):
        series, values = exposition.parse(OPENMETRICS)
    assert table.kinds == {
        "requests_total": "counter",
        "requests_created": "gauge",
        "wait_bucket": "bucket",
        "wait_count": "counter",
        "build_info": "gauge",
        "size_bucket": "gauge",
        "size_gcount": "gauge",
        "lag": "gauge",
        "lag_sum": "counter",
        "untold_total": "unknown",
    }
    assert series[0] == series_id("requests_total", {"code": "200"})
    assert series[4] == series_id("build_info", {"version": "1 # 2"})
    np.testing.assert_array_equal(values, [7, 1.6e9, 2, 2, 1, 3, 3, np.nan, 3, np.inf])


class World:
    """A source, its clock, and what it gave, by instance: {series: bits of the value} a scrape."""

    def __init__(self, client, limits=None, **options):
        self.now = 1_000_000_000
        self.failures = []
        self.scrapes = {}
        settings = ScrapeSettings(**{"timeout": 2, **options})
        self.source = ScrapeSource(settings, SeriesTable(), lambda: self.now, client, limits, failed=self.told)

        self.poll()  # from here on each target has one moment in every 15 seconds

    def told(self, target, reason):
        self.failures.append((target, reason))

    def poll(self):
        batch = self.source.poll(10)
        if batch is None:
            return False
        metrics = batch.items.frames["metrics"]
        values = metrics["value"].to_numpy().view(np.uint64).tolist()
        found = dict(zip(metrics["series"].to_list(), values, strict=True))
        self.scrapes.setdefault(batch.position.partition, []).append(found)
        return True

    def interval(self, scrapes):
        """Let an interval pass, and wait for so many answers."""
        for _ in range(3):
            self.now += 5_000_000
            scrapes -= self.poll()
        while scrapes > 0:
            scrapes -= self.poll()


def up(instance, found):
    return float(np.uint64(found[series_id("up", {"job": "scrape", "instance": instance})]).view(np.float64))


def scraped(answers, limits=None):
    """The metrics of one scrape for each of `answers`."""
    queue = list(answers)
    with httpx.Client(transport=httpx.MockTransport(lambda _: queue.pop(0))) as client:
        world = World(client, limits, targets=("a:1",))
        for _ in answers:
            world.interval(1)
        world.source.close()
    return world.scrapes["a:1"], world.failures


def test_a_series_that_vanishes_ends_with_the_stale_marker():
    labels = {"job": "scrape", "instance": "a:1"}
    (first, second, third), failures = scraped(
        [httpx.Response(200, text="x 1\ny 2\n"), httpx.Response(200, text="x 1\n"), httpx.Response(500)]
    )
    assert up("a:1", first) == 1
    assert second[series_id("y", labels)] == 0x7FF0000000000002
    assert third[series_id("x", labels)] == 0x7FF0000000000002
    assert up("a:1", third) == 0
    assert failures == [("a:1", "http://a:1/metrics: answered 500 Internal Server Error; metrics come with 200")]


def test_the_same_failure_is_told_once_and_another_again():
    bad = [httpx.Response(500), httpx.Response(500), httpx.Response(200, text="{oops"), httpx.Response(500)]
    _, failures = scraped(bad)
    assert [reason.rpartition("/metrics: ")[2].split(";")[0] for _, reason in failures] == [
        "answered 500 Internal Server Error",
        "record 0: field 'line': expected a sample",
        "answered 500 Internal Server Error",
    ]


def test_a_body_beyond_the_limit_counts_as_down():
    (only,), failures = scraped([httpx.Response(200, text="x 1\n" * 100)], Limits(decoded_bytes=100))
    assert up("a:1", only) == 0
    assert "larger than 100 bytes" in failures[0][1]


def test_targets_are_asked_at_moments_of_their_own_once_an_interval():
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, text="x 1\n"))) as client:
        world = World(client, targets=tuple(f"t{index}:1" for index in range(20)))
        for _ in range(3):
            world.interval(20)
        world.source.close()
    assert {len(scrapes) for scrapes in world.scrapes.values()} == {3}
    assert len({target.shift % 15_000_000 for target in world.source._targets}) == 20


@pytest.mark.parametrize("target", ["http://user:secret@a/metrics", "ftp://a/x", "a:port", ""])
def test_a_target_that_cannot_be_asked_is_refused_without_showing_its_secret(target):
    with pytest.raises(ValidationError, match="expected host:port") as caught:
        ScrapeSettings(targets=(target,))
    assert "got 'user" not in str(caught.value.errors()[0]["msg"])


class Handler(BaseHTTPRequestHandler):
    """Answers as real servers do, in each of the ways."""

    protocol_version = "HTTP/1.1"
    slow = Event()

    def do_GET(self):
        getattr(self, self.path.strip("/"))()

    def log_message(self, *_):
        pass

    def answer(self, body, *headers):
        self.send_response(200)
        for name, value in headers or (("Content-Length", str(len(body))),):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def chunked(self):
        self.answer(b"4\r\nx 1\n\r\n4\r\ny 2\n\r\n0\r\n\r\n", ("Transfer-Encoding", "chunked"))

    def gzipped(self):
        packed = gzip.compress(b"x 1\ny 2\n")
        self.answer(packed, ("Content-Encoding", "gzip"), ("Content-Length", str(len(packed))))

    def bomb(self):
        packed = gzip.compress(b"#" * 50_000_000)
        self.answer(packed, ("Content-Encoding", "gzip"), ("Content-Length", str(len(packed))))

    def refused(self):
        self.send_error(500)

    def broken(self):
        self.answer(b"x 1\n", ("Content-Length", "100"))
        self.close_connection = True

    def stuck(self):
        self.slow.wait(20)
        self.answer(b"x 1\n")


@contextmanager
def server():
    Handler.slow.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{made.server_address[1]}"
        Handler.slow.set()
        made.shutdown()
        thread.join()


@pytest.mark.parametrize(("way", "is_up"), [("chunked", 1), ("gzipped", 1), ("bomb", 0), ("refused", 0), ("broken", 0)])
def test_a_real_server_in_each_of_the_ways_it_may_answer(way, is_up):
    with server() as address, httpx.Client(trust_env=False) as client:
        world = World(client, Limits(decoded_bytes=1_000_000), targets=(f"http://{address}/{way}",))
        world.interval(1)
        world.source.close()
    (found,) = world.scrapes[address]
    assert up(address, found) == is_up
    assert len(found) == 3 + 2 * is_up
    assert len(world.failures) == 1 - is_up


def test_a_target_that_hangs_delays_no_other_and_no_poll():
    with server() as address, httpx.Client(trust_env=False) as client:
        targets = (f"http://{address}/stuck", f"http://localhost:{address.partition(':')[2]}/chunked")
        world = World(client, targets=targets, timeout=15)
        for _ in range(3):
            world.interval(1)
        assert [up(name, scrape) for name, scrapes in world.scrapes.items() for scrape in scrapes] == [1, 1, 1]
        Handler.slow.set()
        world.interval(2)
        world.source.close()
    assert up(address, world.scrapes[address][0]) == 1
