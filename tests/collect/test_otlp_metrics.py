import json
import struct
from contextlib import suppress

import numpy as np
import polars as pl
import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest as Request
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from vedette.collect.limits import Limits
from vedette.collect.otlp import Otlp
from vedette.collect.series import SeriesTable
from vedette.core.errors import BadRecord
from vedette.core.identity import series_id

NOW = 1_760_000_000_000_000
NS = NOW * 1000
RESOURCE = {"service.name": "checkout", "host.name": "web-1"}
DELTA, CUMULATIVE = 1, 2


def attach(attributes, pairs):
    for key, value in pairs.items():
        each = attributes.add(key=key)
        if isinstance(value, bool):
            each.value.bool_value = value
        elif isinstance(value, str):
            each.value.string_value = value
        elif isinstance(value, int):
            each.value.int_value = value
        elif isinstance(value, float):
            each.value.double_value = value
        elif isinstance(value, bytes):
            each.value.bytes_value = value
        else:
            for item in value:
                each.value.array_value.values.add(string_value=item)


def request(*metrics, resource=RESOURCE):
    message = Request()
    group = message.resource_metrics.add()
    attach(group.resource.attributes, resource)
    group.scope_metrics.add().metrics.extend(metrics)
    return message


def point(points, value, attributes=(), **more):
    kind = {"as_int": value} if isinstance(value, int) else {} if value is None else {"as_double": value}
    attach(points.add(time_unix_nano=NS, **kind | more).attributes, dict(attributes))


def gauge(name="load", values=(1.5,), attributes=(), unit="", **more):
    metric = Metric(name=name, unit=unit)
    for value in values:
        point(metric.gauge.data_points, value, attributes, **more)
    return metric


def total(temporality, *, monotonic):
    metric = Metric(name="requests")
    metric.sum.aggregation_temporality = temporality
    metric.sum.is_monotonic = monotonic
    point(metric.sum.data_points, 3)
    return metric


def histogram(temporality=CUMULATIVE, **more):
    metric = Metric(name="lat", unit="s")
    metric.histogram.aggregation_temporality = temporality
    fields = {"count": 6, "sum": 9.5, "bucket_counts": [1, 2, 3], "explicit_bounds": [0.5, 1.0]} | more
    attach(metric.histogram.data_points.add(time_unix_nano=NS, **fields).attributes, {"route": "/"})
    return metric


def codec(**limits):
    bounds = Limits(**limits)
    return Otlp(SeriesTable(bounds.series_per_source), bounds)


def decode(message, door=None):
    return (door or codec()).metrics(message.SerializeToString(), now=NOW)


def rows(got, *columns):
    frame = got.frames["metrics"].join(got.frames["series"], on="series", how="left", maintain_order="left")
    return frame.select(columns).rows()


def parts(got):
    return [
        (name, labels.get("le") or labels.get("quantile"), value) for name, labels, value in rows(got, "name", "labels", "value")
    ]


def test_a_gauge_has_the_labels_of_its_resource_under_its_own():
    got = decode(
        request(gauge(attributes={"host.name": "other", "cpu": 3, "on": True, "x": 0.5, "y": b"ab", "z": ["a", "b"]}, unit="1"))
    )
    labels = {"service.name": "checkout", "host.name": "other", "cpu": "3", "on": "true", "x": "0.5", "y": "YWI=", "z": '["a","b"]'}
    assert got.frames["series"].rows() == [(series_id("load", labels), "load", labels, "gauge", "1")]
    assert got.frames["metrics"]["at"].cast(pl.Int64).to_list() == [NOW]
    assert (got.source, got.records, got.rejected) == ("otlp", 1, 0)


@pytest.mark.parametrize(
    ("temporality", "monotonic", "kind"),
    [(CUMULATIVE, True, "counter"), (DELTA, True, "delta"), (CUMULATIVE, False, "gauge"), (DELTA, False, "delta")],
)
def test_temporality_and_monotony_give_the_kind_of_a_sum(temporality, monotonic, kind):
    got = decode(request(total(temporality, monotonic=monotonic)))
    assert rows(got, "name", "kind", "value") == [("requests", kind, 3.0)]


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
numbers = st.one_of(st.floats(), st.integers(-(2**63), 2**63 - 1))
metrics = st.lists(st.tuples(words, st.dictionaries(words, words, max_size=4), st.lists(numbers, max_size=4)), max_size=5)


@settings(max_examples=60, deadline=None)
@given(metrics, st.dictionaries(words, words, max_size=3))
def test_what_the_reference_encodes_is_decoded_twice_alike(given_metrics, resource):
    message = request(*(gauge(name, values, pairs) for name, pairs, values in given_metrics), resource=resource)
    expected = [
        (series_id(name, {**resource, **pairs}), struct.pack("<d", float(value)))
        for name, pairs, values in given_metrics
        for value in values
    ]
    door = codec()
    for _ in range(2):
        frame = decode(message, door).frames["metrics"]
        assert [(a, struct.pack("<d", b)) for a, b in zip(frame["series"], frame["value"], strict=True)] == expected


@pytest.mark.parametrize(("temporality", "kinds"), [(CUMULATIVE, ["counter", *["bucket"] * 3, "counter"]), (DELTA, ["delta"] * 5)])
def test_a_histogram_becomes_cumulative_buckets_count_and_sum(temporality, kinds):
    door = codec()
    for _ in range(2):
        got = decode(request(histogram(temporality)), door)
        assert [kind for (kind,) in rows(got, "kind")] == kinds
        assert parts(got) == [
            ("lat_count", None, 6.0),
            ("lat_bucket", "0.5", 1.0),
            ("lat_bucket", "1", 3.0),
            ("lat_bucket", "+Inf", 6.0),
            ("lat_sum", None, 9.5),
        ]


def test_a_histogram_of_count_and_sum_alone_has_one_bucket():
    got = decode(request(histogram(bucket_counts=[], explicit_bounds=[])))
    assert parts(got) == [("lat_count", None, 6.0), ("lat_bucket", "+Inf", 6.0), ("lat_sum", None, 9.5)]


def test_histograms_with_other_bounds_or_without_sum_are_told_apart():
    plain, other = histogram(), histogram(explicit_bounds=[0.5, 2.0])
    bare = histogram()
    bare.histogram.data_points[0].ClearField("sum")
    door = codec()
    for _ in range(2):
        names = [(name, le) for name, le, _ in parts(decode(request(plain, other, bare), door))]
        assert names[5:] == [
            ("lat_count", None),
            ("lat_bucket", "0.5"),
            ("lat_bucket", "2"),
            ("lat_bucket", "+Inf"),
            ("lat_sum", None),
            *names[:4],
        ]


def test_buckets_that_do_not_fit_their_bounds_are_refused():
    got = decode(request(histogram(explicit_bounds=[0.5]), gauge()))
    assert (got.records, got.rejected, got.faults[0].position, got.faults[0].field) == (1, 1, 0, "bucketCounts")


def test_an_exponential_histogram_ends_its_buckets_at_powers_of_two():
    metric = Metric(name="lat")
    metric.exponential_histogram.aggregation_temporality = CUMULATIVE
    each = metric.exponential_histogram.data_points.add(time_unix_nano=NS, count=7, sum=9.0, scale=1, zero_count=1)
    # with scale 1 the buckets from 1 on end at sqrt(2), 2, 2 sqrt(2), 4
    each.positive.offset = 0
    each.positive.bucket_counts.extend([1, 1, 2, 1])
    each.negative.bucket_counts.append(1)
    got = decode(request(metric))
    assert parts(got) == [
        ("lat_count", None, 7.0),
        ("lat_sum", None, 9.0),
        ("lat_bucket", "0", 2.0),
        ("lat_bucket", "2", 4.0),
        ("lat_bucket", "4", 7.0),
        ("lat_bucket", "+Inf", 7.0),
    ]


@pytest.mark.parametrize(("scale", "offset"), [(-10, 2**31 - 9), (0, -(2**31)), (20, 2**31 - 9)])
def test_far_buckets_of_an_exponential_histogram_cost_nothing(scale, offset):
    metric = Metric(name="lat")
    each = metric.exponential_histogram.data_points.add(time_unix_nano=NS, count=2, sum=9.0, scale=scale)
    each.positive.offset = offset
    each.positive.bucket_counts.extend([1, 1])
    got = decode(request(metric))
    assert (got.rejected, parts(got)[-1]) == (0, ("lat_bucket", "+Inf", 2.0))


def test_a_scale_beyond_the_known_is_refused():
    metric = Metric(name="lat")
    metric.exponential_histogram.data_points.add(time_unix_nano=NS, count=2, scale=-400)
    got = decode(request(metric))
    assert (got.records, got.rejected, got.faults[0].reason) == (0, 1, "scale -400 is not known")


def test_a_summary_has_a_series_a_quantile():
    metric = Metric(name="gc")
    each = metric.summary.data_points.add(time_unix_nano=NS, count=4, sum=2.0)
    each.quantile_values.add(quantile=0.99, value=0.75)
    got = decode(request(metric))
    assert parts(got) == [("gc_count", None, 4.0), ("gc_sum", None, 2.0), ("gc", "0.99", 0.75)]
    assert [kind for (kind,) in rows(got, "kind")] == ["counter", "counter", "gauge"]


def test_no_recorded_value_is_a_staleness_marker():
    stale = histogram(flags=1, bucket_counts=[], explicit_bounds=[])
    got = decode(request(gauge(values=[None], flags=1), stale))
    assert set(got.frames["metrics"]["value"].to_numpy().view(np.uint64).tolist()) == {0x7FF0000000000002}
    assert got.records == 4


def test_points_without_time_or_value_are_refused_one_by_one():
    metric = gauge(values=[1.0, None, 2.0, 3.0])
    metric.gauge.data_points[0].time_unix_nano = 0
    metric.gauge.data_points[3].time_unix_nano = 2**64 - 1
    got = decode(request(metric))
    assert got.frames["metrics"]["value"].to_list() == [2.0]
    assert [(fault.position, fault.field) for fault in got.faults] == [(0, "timeUnixNano"), (1, "value"), (3, "timeUnixNano")]
    assert got.rejected == 3


@pytest.mark.parametrize("attributes", [{"": "x"}, {"a": "b" * 5000}, {str(i): "x" for i in range(99)}])
def test_bad_attributes_refuse_their_points_only(attributes):
    got = decode(request(gauge("bad", [1.0, 2.0], attributes), gauge()))
    assert (got.rejected, got.records) == (2, 1)
    assert [fault.position for fault in got.faults] == [0, 1]


def test_a_resource_with_a_name_twice_refuses_all_its_points():
    message = request(gauge(), histogram())
    message.MergeFrom(request(gauge()))
    message.resource_metrics[0].resource.attributes.add(key="host.name")
    got = decode(message)
    assert (got.rejected, got.records, {fault.reason for fault in got.faults}) == (2, 1, {"a name comes twice"})


def test_a_metric_without_a_name_is_refused():
    assert decode(request(gauge(name=""))).rejected == 1


def every_kind():
    summary = Metric(name="gc")
    summary.summary.data_points.add(time_unix_nano=NS).quantile_values.add(quantile=0.5, value=1.0)
    exponential = Metric(name="size")
    exponential.exponential_histogram.data_points.add(time_unix_nano=NS, count=1).positive.bucket_counts.append(1)
    return request(
        gauge(values=[1.0, 2], attributes={"a": "b"}), total(CUMULATIVE, monotonic=True), histogram(), summary, exponential
    )


def test_a_body_cut_anywhere_is_refused():
    whole = every_kind().SerializeToString()
    door = codec()
    for cut in range(1, len(whole)):
        with pytest.raises(BadRecord) as refused:
            door.metrics(whole[:cut], now=NOW)
        assert refused.value.status == 400
    assert door.metrics(b"", now=NOW).records == 0


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_garbled_bytes_never_raise_anything_else(data):
    raw = bytearray(every_kind().SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with suppress(BadRecord):
        codec().metrics(bytes(raw), now=NOW)


def test_json_is_the_same_as_protobuf():
    message = every_kind()
    text = json.dumps(MessageToDict(message)).encode()
    plain, other = decode(message), codec().metrics(text, now=NOW, json=True)
    assert other.frames["metrics"].equals(plain.frames["metrics"])
    assert other.frames["series"].equals(plain.frames["series"])


def test_json_takes_numbers_as_texts_or_numbers_and_enums_by_name_or_number():
    def body(value, temporality):
        points = {
            "dataPoints": [{"timeUnixNano": str(NS), "asInt": value}],
            "isMonotonic": True,
            "aggregationTemporality": temporality,
        }
        return json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "n", "sum": points}]}]}], "new": 1}).encode()

    first = codec().metrics(body("7", "AGGREGATION_TEMPORALITY_DELTA"), now=NOW, json=True)
    second = codec().metrics(body(7, 1), now=NOW, json=True)
    assert rows(first, "name", "kind", "value") == rows(second, "name", "kind", "value") == [("n", "delta", 7.0)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", ""),
        (b"[]", ""),
        (b'{"resourceMetrics": {}}', "resourceMetrics"),
        (
            b'{"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": 3}]}]}]}',
            "resourceMetrics[0].scopeMetrics[0].metrics[0].name",
        ),
        (b"[" * 100, ""),
    ],
)
def test_json_that_is_no_request_names_the_field(body, field):
    with pytest.raises(BadRecord) as refused:
        codec().metrics(body, now=NOW, json=True)
    assert (refused.value.status, refused.value.field) == (400, field)


def test_points_beyond_the_limit_of_series_are_counted_each():
    counted = []
    door = Otlp(SeriesTable(1, limited=lambda source, samples: counted.append((source, samples))), Limits())
    for _ in range(2):
        assert decode(request(gauge("a"), gauge("b", [1.0, 2.0])), door).records == 3
    assert counted == [("otlp", 2), ("otlp", 2)]


def test_more_points_than_there_was_room_for():
    metric = Metric(name="n")
    for each in range(6000):
        point(metric.gauge.data_points, float(each), {"i": str(each)})
    door = codec()
    for _ in range(2):
        got = decode(request(metric), door)
        assert got.frames["metrics"]["value"].to_list() == [float(each) for each in range(6000)]
        assert got.frames["metrics"]["series"].n_unique() == 6000


def test_a_new_series_may_come_many_times_in_one_body():
    got = decode(request(gauge(values=[1.0, 2.0]), gauge(values=[3.0]), histogram(), histogram()))
    assert got.frames["metrics"]["value"].to_list() == [1.0, 2.0, 3.0, *[6.0, 1.0, 3.0, 6.0, 9.5] * 2]
    assert got.frames["series"].height == 6


def test_too_many_points_that_are_read_one_by_one_are_refused_at_once():
    metric = Metric(name="gc")
    metric.summary.data_points.add(time_unix_nano=NS)
    metric.summary.data_points.extend(list(metric.summary.data_points) * (1 << 16))
    with pytest.raises(BadRecord) as refused:
        decode(request(metric))
    assert (refused.value.status, refused.value.field) == (413, "dataPoints")
