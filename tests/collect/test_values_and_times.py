"""Numbers that are none and times that cannot be, at every door that takes samples (R27, R28).

The doors whose format has such numbers keep them to the bit, for the lake is faithful and it is `prepare` that keeps them
from models. JSON has none, so there a text that stands for one is refused by the name of its field. No unit is guessed
by the size of a time: what does not fit the declared one is refused, and the field is named.
"""

import math
import struct

import cramjam
import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from vedette.collect.limits import Limits
from vedette.collect.otlp import Otlp
from vedette.collect.pieces import Piece
from vedette.collect.push import Push, PushSettings
from vedette.collect.remote_write import RemoteWrite
from vedette.collect.series import SeriesTable

SECOND = 1_767_225_600
NOW = SECOND * 1_000_000
VALUES = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 2.0**63, -(2.0**63), 1.7976931348623157e308, 0.1]


def number(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def part(field, content):
    return number(field << 3 | 2) + number(len(content)) + content


def through_remote_write(time, value):
    sample = part(2, b"\x09" + struct.pack("<d", value) + b"\x10" + number(time))
    body = part(1, part(1, part(1, b"__name__") + part(2, b"m")) + sample)
    return RemoteWrite(SeriesTable(), Limits()).decode(bytes(cramjam.snappy.compress_raw(body)), now=NOW, version=1)


def through_otlp(time, value):
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    metric.gauge.data_points.add(time_unix_nano=time & (1 << 64) - 1, as_double=value)
    return Otlp(SeriesTable(), Limits()).metrics(request.SerializeToString(), now=NOW)


def through_push(time, value):
    raw = b'{"name": "m", "value": %r, "timestamp": %d}\n' % (value, time)
    return Push("p", PushSettings(records="metrics", time_unit="ms"), SeriesTable(), Limits()).json(Piece(raw), NOW)


#: door -> what it is, units of its times in a second, and how it names the field of the time.
DOORS = {
    "remote write": (through_remote_write, 1000, "timestamp"),
    "otlp": (through_otlp, 1_000_000_000, "timeUnixNano"),
    "push": (through_push, 1000, "timestamp"),
}


@pytest.mark.parametrize("door", ["remote write", "otlp"])
@pytest.mark.parametrize("value", VALUES)
def test_a_number_is_kept_to_the_bit(door, value):
    send, unit, _ = DOORS[door]
    metrics = send(SECOND * unit, value).frames["metrics"]
    assert metrics["value"].to_numpy().view(np.uint64).tolist() == np.array([value]).view(np.uint64).tolist()


def times(unit):
    """What somebody who mistakes the unit, or has no clock, would send."""
    day = 86_400 * unit
    return {
        "negative": -1,
        "none": 1,
        "the largest": 2**63 - 1,
        "all bits": 2**64 - 1,
        "seconds": SECOND,
        "thousandfold": min(2**63, SECOND * unit * 1000),
        "a thousandth": SECOND * unit // 1000,
        "year 9999": min(253_402_300_799 * unit, 2**63 - 1),
        "beyond retention": SECOND * unit - 401 * day,
        "eleven minutes ahead": SECOND * unit + 660 * unit,
    }


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("which", times(1000))
def test_a_time_that_cannot_be_is_refused_by_the_name_of_its_field(door, which):
    send, unit, field = DOORS[door]
    got = send(times(unit)[which], 1.0)
    assert "metrics" not in got.frames or got.frames["metrics"].is_empty()
    assert [fault.field for fault in got.faults] == [field]
    assert got.rejected + (got.frames["dead_letters"].height if "dead_letters" in got.frames else 0) == 1


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("seconds", [0, -399 * 86_400, 599])
def test_a_time_within_the_window_is_believed(door, seconds):
    send, unit, _ = DOORS[door]
    got = send((SECOND + seconds) * unit, 1.0)
    assert got.frames["metrics"]["at"].to_physical().to_list() == [NOW + seconds * 1_000_000]
    assert not got.faults
