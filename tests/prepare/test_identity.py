"""A series of a workload survives its pods."""

import polars as pl
import pytest

from vedette.core.catalogue import Catalogue
from vedette.core.frames import METRICS, SERIES
from vedette.core.identity import series_id
from vedette.core.types import Beat
from vedette.prepare import PrepareSettings, StandardRecipe
from vedette.prepare.identity import workload_labels, workload_name

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("pod", "workload"),
    [
        ("web-7d9f8b6c5d-x2x4z", "web"),
        ("api-gateway-54c7d9b4f7-qqk7d", "api-gateway"),
        ("node-exporter-4kq7p", "node-exporter"),
        ("db-0", "db-0"),
        ("kafka-24567", "kafka-24567"),
        ("backup-28391040-7xk2p", "backup"),
        ("plain", "plain"),
        ("my-nginx", "my-nginx"),
    ],
)
def test_the_random_parts_of_a_pods_name_go_and_ordinals_stay(pod, workload):
    assert workload_name(pod) == workload


def test_labels_without_a_pod_stay_as_they_are_but_for_random_process_ids():
    plain = {"instance": "10.0.0.1:9100", "job": "node", "id": "7"}
    assert workload_labels(plain) == plain
    assert workload_labels({"instance": "1b4e28ba-2fa1-11d2-883f-0016d3cca427", "job": "a"}) == {"job": "a"}


@pytest.mark.parametrize(
    ("labels", "workload"),
    [
        ({"pod": "web-7d9f8b6c5d-x2x4z", "node": "n1", "image": "web:2"}, {"pod": "web"}),
        ({"pod": "db-0", "node": "n7", "instance": "10.0.0.1:80"}, {"pod": "db-0"}),
        ({"pod": "node-exporter-4kq7p", "node": "n1"}, {"pod": "node-exporter", "node": "n1"}),
        ({"pod": "backup-28391040-7xk2p", "job_name": "backup-28391040"}, {"pod": "backup", "job_name": "backup"}),
        ({"exported_pod": "web-7d9f8b6c5d-x2x4z", "pod": "ksm-54c7d9b4f7-qqk7d"}, {"exported_pod": "web", "pod": "ksm"}),
        ({"replicaset": "web-7d9f8b6c5d", "namespace": "shop"}, {"replicaset": "web", "namespace": "shop"}),
        ({"k8s.pod.name": "web-7d9f8b6c5d-x2x4z", "k8s.pod.uid": "6ba7", "k8s.node.name": "n1"}, {"k8s.pod.name": "web"}),
        ({"node": "n1", "job_name": "etl"}, {"node": "n1", "job_name": "etl"}),
    ],
)
def test_what_made_a_pod_stays_and_what_is_of_one_pod_goes(labels, workload):
    assert workload_labels(labels) == workload


def beat_of(name, samples, now, kind="gauge"):
    """`samples`: (pod, second, value)."""
    pods = {pod: series_id(name, {"pod": pod, "job": "web"}) for pod, _, _ in samples}
    columns = {
        "series": list(pods.values()),
        "name": [name] * len(pods),
        "labels": [{"pod": pod, "job": "web"} for pod in pods],
        "kind": [kind] * len(pods),
        "unit": [""] * len(pods),
    }
    tag = pl.lit("s").alias("source")
    rows = [(pods[pod], second * SECOND, float(value)) for pod, second, value in samples]
    metrics = pl.DataFrame(rows, schema={"series": pl.Int64, "at": pl.Int64, "value": pl.Float64}, orient="row").cast(METRICS)
    series = pl.DataFrame(columns, schema=SERIES)
    return Beat(at=now * SECOND, last=1, frames={"metrics": metrics.with_columns(tag), "series": series.with_columns(tag)})


def points_of(prepared):
    return prepared["points"].select("series", pl.col("at").to_physical() // SECOND, "value").rows()


def test_the_gauges_of_two_pods_become_their_mean_on_the_grid_and_a_new_pod_goes_on_with_it():
    recipe = StandardRecipe(PrepareSettings(), Catalogue())
    workload = series_id("heap", {"pod": "web", "job": "web"})
    first = recipe(beat_of("heap", [("web-7d9f8b6c5d-x2x4z", 5, 10), ("web-7d9f8b6c5d-k7k7k", 20, 30)], now=21))
    assert points_of(first) == []
    assert workload in first["series"]["series"].to_list()
    second = recipe(beat_of("heap", [("web-54c7d9b4f7-qqk7d", 65, 50)], now=80))
    assert points_of(second) == [(workload, 60, 20.0)]
    assert workload not in second["series"]["series"].to_list()
    assert points_of(recipe(Beat(at=131 * SECOND, last=1, frames={}))) == [(workload, 120, 50.0)]


def test_a_workloads_rate_is_the_sum_over_its_pods_and_a_new_pod_without_a_rate_does_not_bend_it():
    recipe = StandardRecipe(PrepareSettings(), Catalogue())
    one, two, new = "web-7d9f8b6c5d-x2x4z", "web-7d9f8b6c5d-k7k7k", "web-7d9f8b6c5d-9q9q9"
    samples = [(one, 1, 0), (two, 1, 0), (one, 31, 60), (two, 31, 60), (new, 31, 0)]
    prepared = recipe(beat_of("hits_total", samples, now=75, kind="counter"))
    assert [value for _, _, value in points_of(prepared)] == [6.0]


def test_the_first_samples_of_the_next_cell_do_not_shut_out_pods_that_are_still_within_the_patience():
    recipe = StandardRecipe(PrepareSettings(), Catalogue())
    workload = series_id("heap", {"pod": "web", "job": "web"})
    recipe(beat_of("heap", [("web-7d9f8b6c5d-x2x4z", 50, 10), ("web-7d9f8b6c5d-x2x4z", 61, 70)], now=62))
    prepared = recipe(beat_of("heap", [("web-7d9f8b6c5d-k7k7k", 59, 30)], now=66))
    assert dict(prepared.late) == {}
    assert points_of(recipe(Beat(at=131 * SECOND, last=1, frames={}))) == [(workload, 60, 20.0), (workload, 120, 70.0)]


def test_a_point_for_a_cell_that_is_closed_is_late_and_counted():
    recipe = StandardRecipe(PrepareSettings(), Catalogue())
    recipe(beat_of("heap", [("web-7d9f8b6c5d-x2x4z", 5, 10)], now=75))
    prepared = recipe(beat_of("heap", [("web-7d9f8b6c5d-k7k7k", 6, 10)], now=76))
    assert dict(prepared.late) == {"s": 1}
    assert points_of(prepared) == []
