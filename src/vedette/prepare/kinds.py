"""What the numbers of a series mean: from what was declared, else from how Prometheus names things."""

import re
from enum import IntEnum

from vedette.core.types import Finding

OVERFLOW = "__other__"
COUNTER_SUFFIXES = ("_total", "_count", "_sum")
TEXT_SUFFIXES = ("_info", "_created")
#: Counters of the kernel that the node exporter hands on without a type, under the names they have there.
KERNEL_COUNTERS = r"node_vmstat_(pg|psw|oom).*|node_netstat_(?!Tcp_CurrEstab|Ip_Forwarding).*"


class Kind(IntEnum):
    """How the values of a series become points. SKIP: stored, never scored."""

    SKIP = 0
    GAUGE = 1
    COUNTER = 2
    DELTA = 3
    BUCKET = 4


DECLARED = {"gauge": Kind.GAUGE, "counter": Kind.COUNTER, "delta": Kind.DELTA, "bucket": Kind.BUCKET, "stream": Kind.SKIP}


def kind_of(name: str, declared: str, *, has_le: bool) -> Kind:
    """The kind of a series by its declared kind (one of SERIES_KINDS), else by the suffix of its name.

    Info series, creation times and the overflow series are never scored, whatever was declared. A declared
    counter ending in `_bucket` with a label `le` is a bucket: remote write 1.0 cannot tell the two apart.
    Source: https://prometheus.io/docs/practices/naming and the OpenMetrics suffixes.

    >>> kind_of("node_netstat_Tcp_InSegs", "unknown", has_le=False).name
    'COUNTER'
    >>> kind_of("http_requests_total", "unknown", has_le=False).name, kind_of("up", "unknown", has_le=False).name
    ('COUNTER', 'GAUGE')
    >>> kind_of("rpc_seconds_bucket", "unknown", has_le=True).name, kind_of("build_info", "gauge", has_le=False).name
    ('BUCKET', 'SKIP')
    """
    if name == OVERFLOW or name.endswith(TEXT_SUFFIXES):
        return Kind.SKIP
    if has_le and name.endswith("_bucket") and declared in {"unknown", "counter"}:
        return Kind.BUCKET
    if declared == "bucket" and not has_le:
        return Kind.COUNTER
    if declared in DECLARED:
        return DECLARED[declared]
    counts = name.endswith(COUNTER_SUFFIXES) or re.fullmatch(KERNEL_COUNTERS, name)
    return Kind.COUNTER if counts else Kind.GAUGE


class Units:
    """The unit of each metric name: the first that was declared. Another one later is never mixed in.

    >>> units = Units()
    >>> units.check("latency", "ms"), units.check("latency", "")
    (None, None)
    >>> units.check("latency", "s").measured
    's'
    """

    def __init__(self) -> None:
        self._units: dict[str, str] = {}

    def check(self, name: str, unit: str) -> Finding | None:
        """None where `unit` agrees with what is known of `name`, or nothing is declared; else what is wrong."""
        known = self._units.setdefault(name, unit) if unit else unit
        if known == unit:
            return None
        return Finding(
            check="unit",
            passed=False,
            measured=unit,
            required=known,
            why=f"{name}: field 'unit': expected {known} got {unit}; stored but not scored until declared as before",
        )
