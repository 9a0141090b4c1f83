"""Range queries and scrapes against Debian's own Prometheus and node exporter, on free loopback ports."""

import shutil
import socket
import subprocess
import time
from contextlib import ExitStack

import httpx
import pytest

from vedette.collect.prometheus import PrometheusSettings, PrometheusSource
from vedette.collect.scrape import ScrapeSettings, ScrapeSource
from vedette.collect.series import SeriesTable
from vedette.core.errors import BadRecord, Transient
from vedette.core.identity import series_id

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("prometheus")]
SECOND = 1_000_000
CONFIGURATION = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: node
    static_configs:
      - targets: ["127.0.0.1:{node}"]
"""


def now():
    return time.time_ns() // 1000


def free_port():
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


def wait_for(what, seconds=30.0):
    """The first true answer of `what`, which may fail until then."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if found := what():
                return found
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    pytest.fail(f"nothing came within {seconds:g} s")


@pytest.fixture(scope="module")
def client():
    with httpx.Client(trust_env=False, timeout=5) as made:
        yield made


@pytest.fixture(scope="module")
def servers(tmp_path_factory, client):
    """(Prometheus' address, the node exporter's) with some seconds of samples."""
    names = ("prometheus", "prometheus-node-exporter")
    if absent := [name for name in names if shutil.which(name) is None]:
        pytest.skip(f"{absent[0]} is not installed: run `make servers`")
    folder = tmp_path_factory.mktemp("prometheus")
    main, node = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    (folder / "prometheus.yml").write_text(CONFIGURATION.format(node=node.partition(":")[2]))
    commands = [
        ["prometheus-node-exporter", f"--web.listen-address={node}"],
        [
            "prometheus",
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address={main}",
        ],
    ]
    with ExitStack() as undo:
        for command in commands:
            log = undo.enter_context((folder / f"{command[0]}.log").open("wb"))
            process = undo.enter_context(subprocess.Popen(command, cwd=folder, stdout=log, stderr=log))
            undo.callback(process.terminate)
        query = {"query": "count_over_time(up[1m]) > 8"}
        wait_for(lambda: client.get(f"http://{main}/api/v1/query", params=query).json()["data"]["result"])
        yield main, node


def pull(address, client, **options):
    settings = PrometheusSettings(url=f"http://{address}", step=1, **{"interval": 1, "delay": 2, "match": ("up",), **options})
    return PrometheusSource(settings, SeriesTable(), now, client)


def test_what_is_pulled_is_what_the_server_holds(servers, client):
    main, node = servers
    matches = ('{__name__=~"node_(load1|memory_MemTotal_bytes)"}', "node_cpu_seconds_total")
    end = now() // SECOND * SECOND - 2 * SECOND
    metrics = pull(main, client, match=matches).span(end - 3 * SECOND, end).frames["metrics"]
    (total,) = client.get(f"http://{main}/api/v1/query", params={"query": "node_memory_MemTotal_bytes"}).json()["data"]["result"]
    ours = metrics.filter(series=series_id("node_memory_MemTotal_bytes", {"instance": node, "job": "node"}))
    assert ours["value"].unique().to_list() == [float(total["value"][1])]
    assert ours["at"].to_physical().to_list() == [end - back * SECOND for back in (3, 2, 1, 0)]
    assert metrics["series"].n_unique() > 2 + 8


def test_following_and_resuming_leave_no_gap(servers, client):
    main, _ = servers
    made, times, last = pull(main, client), [], None
    for round_ in range(4):
        if round_ == 2:
            made = pull(main, client)
            made.seek(last)
        batch = wait_for(lambda made=made: made.poll(1000))
        last = batch.position
        times += batch.items.frames["metrics"]["at"].to_physical().to_list()
    assert times == list(range(times[0], times[-1] + 1, SECOND))
    assert len(times) >= 4


def test_history_of_a_range_is_whole(servers, client):
    main, _ = servers
    end = now() // SECOND * SECOND - 2 * SECOND
    pieces = list(pull(main, client, window=2).history(end - 4 * SECOND, end))
    times = [at for piece in pieces for at in piece.frames["metrics"]["at"].to_physical().to_list()]
    assert times == [end - back * SECOND for back in (4, 3, 2, 1, 0)]
    assert len({piece.key for piece in pieces}) == len(pieces) >= 3


def test_a_refused_question_and_a_server_that_is_gone(servers, client):
    main, _ = servers
    with pytest.raises(BadRecord, match="parse error"):
        pull(main, client, match=("{{",)).span(now(), now())
    with pytest.raises(Transient, match="refused"):
        pull(f"127.0.0.1:{free_port()}", client).span(now(), now())


def test_real_exporters_are_scraped(servers, client):
    main, node = servers
    failures = []
    settings = ScrapeSettings(targets=(main, node), interval=1)
    source = ScrapeSource(settings, SeriesTable(), now, client, failed=lambda *told: failures.append(told))
    seen = {}
    while len(seen) < 2:
        batch = wait_for(lambda: source.poll(1))
        seen[batch.position.partition] = batch.items.frames
    source.close()
    assert failures == []
    for instance, name in ((main, "prometheus_build_info"), (node, "node_cpu_seconds_total")):
        assert name in seen[instance]["series"]["name"].to_list()
        up = seen[instance]["metrics"].filter(series=series_id("up", {"job": "scrape", "instance": instance}))
        assert up["value"].to_list() == [1.0]
    kinds = dict(seen[main]["series"].select("name", "kind").iter_rows())
    assert kinds["prometheus_http_requests_total"] == "counter"
    assert kinds["prometheus_http_request_duration_seconds_bucket"] == "bucket"
    assert kinds["go_goroutines"] == "gauge"
