"""Series and numbers in the words of people."""

import re
from collections.abc import Mapping
from typing import Final

from vedette.act.grouping import identity
from vedette.core.catalogue import SeriesInfo

_KNOWN: Final[tuple[tuple[str, str], ...]] = (
    (r"node_cpu_seconds_total", "CPU ({mode})"),
    (r"node_load(\d+)", r"load over \1 min"),
    (r"node_memory_(\w+?)_bytes", r"memory \1"),
    (r"node_filesystem_avail_bytes", "free space on {mountpoint}"),
    (r"node_filesystem_files_free", "free inodes on {mountpoint}"),
    (r"node_disk_(\w+?)(_seconds|_bytes|_completed)*_total", r"disk \1 of {device}"),
    (r"node_network_(\w+?)_(bytes|packets|errs|drop)_total", r"network \1 \2 of {device}"),
    (r"node_pressure_(\w+?)_(waiting|stalled)_seconds_total", r"\1 pressure (\2)"),
    (r"namedprocess_namegroup_(\w+?)(_seconds|_bytes)?(_total)?", r"\1 of processes {groupname}"),
    (r"log_severity_lines", "log lines of severity {severity}"),
    (r"log_template_lines", "log lines of one kind"),
)
_SIZES: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_PLACES: Final = (("service", "service"), ("host", "host"), ("job", "job"), ("file", "file"))


def subject(info: SeriesInfo) -> str:
    """What a series measures.

    >>> subject(SeriesInfo(1, "node_cpu_seconds_total", {"mode": "user"}, "counter", ""))
    'CPU (user)'
    >>> subject(SeriesInfo(1, "http_requests_total", {}, "counter", ""))
    'http requests'
    """
    for pattern, phrase in _KNOWN:
        found = re.fullmatch(pattern, info.name)
        if found:
            return re.sub(r"\{(\w+)\}", lambda label: info.labels.get(label[1], "?"), found.expand(phrase)).replace("_", " ")
    return re.sub(r"(_total|_seconds|_bytes|_ratio|_count|_sum)+$", "", info.name).replace("_", " ").strip() or info.name


def place(labels: Mapping[str, str]) -> str:
    """Where it is, with its preposition; empty where the labels do not say.

    >>> place({"instance": "web-1:9100", "job": "node"}), place({"service.name": "pay", "host": "web-1"}), place({})
    (' of host web-1', ' of service pay on host web-1', '')
    """
    known = dict(sorted(identity(labels), reverse=True))
    named = [f"{word} {known[key]}" for key, word in _PLACES if key in known][:2]
    if named and not named[0].startswith("service"):
        named = named[:1]
    return f" of {' on '.join(named)}" if named else ""


def unit(info: SeriesInfo) -> str:
    """The unit of the points of a series: `%`, `s`, `B`, `/s`, `B/s`, or none.

    >>> unit(SeriesInfo(1, "node_cpu_seconds_total", {}, "counter", "")), unit(SeriesInfo(1, "x_bytes", {}, "gauge", ""))
    ('%', 'B')
    """
    rate = info.kind in {"counter", "delta"} or info.name.endswith(("_total", "_count", "_sum"))
    base = re.sub(r"(_total|_count|_sum)$", "", info.name)
    if info.unit in {"1", "ratio"} or base.endswith("_ratio"):
        return "%"
    if info.unit in {"s", "seconds"} or base.endswith("_seconds"):
        return "%" if rate else "s"
    if info.unit in {"By", "bytes"} or base.endswith("_bytes"):
        return "B/s" if rate else "B"
    return "/s" if rate else ""


def amount(value: float, of: str = "") -> str:
    """A number with its unit, to three digits.

    >>> amount(0.97, "%"), amount(1234567.0, "B"), amount(0.01234, "s"), amount(3.0), amount(12.5, "/s")
    ('97 %', '1.23 MB', '0.0123 s', '3', '12.5/s')
    """
    if of == "%":
        return f"{_short(value * 100)} %"
    size, prefix = next(((size, prefix) for size, prefix in _SIZES if abs(value) >= size), (1.0, ""))
    if of.startswith("B"):
        return f"{_short(value / size)} {prefix}{of}"
    gap = " " if of == "s" else ""
    return f"{_short(value / size)}{prefix}{gap}{of}" if abs(value) >= 1e6 else f"{_short(value)}{gap}{of}"


def span(seconds: float) -> str:
    """A duration.

    >>> span(75), span(7200), span(0.4)
    ('75 s', '2 h', '0.4 s')
    """
    for size, name, least in ((86_400, "d", 2), (3_600, "h", 2), (60, "min", 2)):
        if seconds >= size * least:
            return f"{_short(seconds / size)} {name}"
    return f"{_short(seconds)} s"


def _short(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"
