import httpx
import numpy as np
import pytest

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


def scraped(answers, limits=None):
    """The metrics of one scrape for each of `answers`, as {series: bits of the value}."""
    queue = list(answers)
    now = [0]
    client = httpx.Client(transport=httpx.MockTransport(lambda _: queue.pop(0)))
    source = ScrapeSource(ScrapeSettings(targets=("a:1",)), SeriesTable(), lambda: now[0], client, limits)
    out = []
    for _ in answers:
        now[0] += 15_000_000
        batch = source.poll(10)
        assert batch is not None
        metrics = batch.items.frames["metrics"]
        out.append(dict(zip(metrics["series"].to_list(), metrics["value"].to_numpy().view(np.uint64).tolist(), strict=True)))
    client.close()
    return out


def test_a_series_that_vanishes_ends_with_the_stale_marker():
    labels = {"job": "scrape", "instance": "a:1"}
    first, second, third = scraped([httpx.Response(200, text="x 1\ny 2\n"), httpx.Response(200, text="x 1\n"), httpx.Response(500)])
    assert first[series_id("up", labels)] == np.float64(1).view(np.uint64)
    assert second[series_id("y", labels)] == 0x7FF0000000000002
    assert third[series_id("x", labels)] == 0x7FF0000000000002
    assert third[series_id("up", labels)] == 0


def test_a_body_beyond_the_limit_counts_as_down():
    (only,) = scraped([httpx.Response(200, text="x 1\n" * 100)], Limits(decoded_bytes=100))
    assert only[series_id("up", {"job": "scrape", "instance": "a:1"})] == 0
