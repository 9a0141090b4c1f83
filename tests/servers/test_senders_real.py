"""Debian's Prometheus, Alertmanager and rsyslog against a running Vedette, with the configurations of `deploy/senders`."""

import socket
import time
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from deltalake.exceptions import TableNotFoundError

from vedette.core.identity import series_id

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("senders")]
BOOKS = ("stored", "duplicate", "dead_lettered", "rejected", "shed", "in_log")


@pytest.fixture(scope="module")
def vedette(town):
    """The town with a running Vedette, which calls an incident over after two calm seconds."""
    town.start_vedette(**{"outbound:": "act: {close_seconds: 2}\noutbound:"})
    return town


@pytest.fixture(scope="module")
def prometheus(vedette):
    """The same with a Prometheus that scrapes every second and sends on at once."""
    faster = {"scrape_interval: 15s": "scrape_interval: 1s", "batch_send_deadline: 5s": "batch_send_deadline: 1s"}
    path = vedette.configuration("prometheus.yml", **faster)
    vedette.start("node-exporter", "prometheus-node-exporter", f"--web.listen-address={vedette.address(9100)}")
    listen = (f"--web.listen-address={vedette.address(9090)}", f"--storage.tsdb.path={vedette.folder / 'tsdb'}")
    vedette.start("prometheus", "prometheus", f"--config.file={path}", *listen)
    return vedette


def table(town, name):
    """A table of the lake, read by another reader while Vedette writes."""
    try:
        return pl.read_delta(str(town.folder / "home" / "lake" / name))
    except TableNotFoundError:
        return pl.DataFrame()


def times(town, series):
    """Milliseconds of the samples of a series in the lake."""
    rows = table(town, "metrics")
    return set() if rows.is_empty() else set(rows.filter(series=series)["at"].dt.timestamp("ms"))


def scraped(town, expression):
    """Milliseconds and values of the samples that Prometheus itself holds."""
    (found,) = town.get(9090, "/api/v1/query", query=f"{expression}[5m]")["data"]["result"]
    return {round(at * 1000): float(value) for at, value in found["values"]}


def assert_balanced(town, source):
    """What came in from `source` is accounted for to the record."""
    books = town.get(4680, "/api/status")["sources"][source]
    assert books["received"] == sum(books[book] for book in BOOKS), books
    assert [books[book] for book in ("dead_lettered", "rejected", "shed")] == [0, 0, 0], books


def test_prometheus_sends_what_it_scrapes_of_others_and_of_us(prometheus):
    node = {"job": "node", "instance": prometheus.address(9100)}
    ours = {"job": "vedette", "instance": prometheus.address(4680)}
    load, build = series_id("node_load1", node), series_id("vedette_log_lag_records", {**ours, "role": "serve"})
    prometheus.wait_for(lambda: len(times(prometheus, load)) > 3 and len(times(prometheus, build)) > 3)
    assert_balanced(prometheus, "remote_write")
    held = scraped(prometheus, "node_memory_MemTotal_bytes")
    stored = table(prometheus, "metrics").filter(series=series_id("node_memory_MemTotal_bytes", node))
    assert set(stored["value"]) == set(held.values())
    known = prometheus.get(4680, "/api/series", match="node_cpu_seconds_total", limit=1000)["series"]
    assert {each["labels"]["job"] for each in known if "job" in each["labels"]} == {"node"}


def test_prometheus_leaves_no_gap_where_vedette_was_killed(prometheus):
    load = series_id("node_load1", {"job": "node", "instance": prometheus.address(9100)})
    prometheus.wait_for(lambda: times(prometheus, load))
    prometheus.kill("vedette")
    prometheus.start_vedette(**{"outbound:": "act: {close_seconds: 2}\noutbound:"})
    restarted = time.time() * 1000
    prometheus.wait_for(lambda: max(times(prometheus, load)) > restarted + 1000)
    stored = times(prometheus, load)
    # What came last may have been sent before Prometheus itself answers with it.
    assert {at for at in scraped(prometheus, "node_load1") if at < max(stored)} == stored - {max(stored)}
    rows = table(prometheus, "metrics").filter(series=load)
    assert rows.height == len(stored), "a sample came twice"
    assert_balanced(prometheus, "remote_write")


def test_an_alert_comes_in_by_the_alertmanager_and_goes_out_to_it_until_it_is_over(vedette):
    path = vedette.configuration("alertmanager.yml", **{"group_interval: 10s": "group_interval: 1s"})
    alone = ("--cluster.listen-address=", f"--storage.path={vedette.folder / 'alerts'}")
    vedette.start(
        "alertmanager",
        "prometheus-alertmanager",
        f"--config.file={path}",
        f"--web.listen-address={vedette.address(9093)}",
        *alone,
    )
    vedette.wait_for(lambda: vedette.get(9093, "/api/v2/status"))
    began = datetime.now(UTC)
    labels = {"alertname": "DiskAlmostFull", "host": "db-1", "severity": "critical"}
    alert = {"labels": labels, "annotations": {"summary": "the disk of db-1 is full in an hour"}, "startsAt": began.isoformat()}
    vedette.post(9093, "/api/v2/alerts", [alert])

    def told():
        return vedette.get(9093, "/api/v2/alerts", filter='alertname="VedetteIncident"')

    (ours,) = vedette.wait_for(told)
    assert ours["labels"]["severity"] == "critical"
    assert "the disk of db-1 is full" in ours["annotations"]["summary"]
    incident = vedette.get(4680, f"/api/incidents/{ours['labels']['incident']}")
    assert incident["labels"]["host"] == "db-1"
    vedette.post(9093, "/api/v2/alerts", [alert | {"endsAt": (began + timedelta(milliseconds=1)).isoformat()}])
    vedette.wait_for(lambda: not told())
    assert vedette.get(4680, f"/api/incidents/{incident['id']}")["status"] == "closed"
    statuses = table(vedette, "events").filter(source="alertmanager")["status"].to_list()
    assert sorted(statuses) == ["firing", "resolved"], "an alert of ours came back, or one came twice"
    assert_balanced(vedette, "alertmanager")


def test_rsyslog_forwards_every_line_as_it_was(vedette):
    own = vedette.folder / "log.socket"
    path = vedette.configuration(
        "rsyslog.conf",
        **{
            'module(load="imuxsock")': f'module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="{own}")',
            "/var/spool/rsyslog": str(vedette.folder),
        },
    )
    vedette.start("rsyslog", "rsyslogd", "-n", "-f", path, "-i", vedette.folder / "rsyslog.pid")
    vedette.wait_for(own.exists)
    lines = [f"order {number} took {number % 7} ms: naïve façade ✓" for number in range(500)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.connect(str(own))
        for line in lines:
            made.send(f"<11>{datetime.now(UTC):%b %e %H:%M:%S} shop[42]: {line}".encode())

    def arrived():
        rows = table(vedette, "logs")
        return None if rows.is_empty() else rows.filter(pl.col("source") == "syslog", pl.col("body").str.contains("order "))

    vedette.wait_for(lambda: (rows := arrived()) is not None and rows.height >= len(lines))
    rows = arrived()
    # rsyslog itself takes the space after `shop[42]:` for a part of the message.
    assert sorted(rows["body"].str.strip_prefix(" ")) == sorted(lines)
    assert set(rows["severity"]) == {17}
    assert_balanced(vedette, "syslog")
