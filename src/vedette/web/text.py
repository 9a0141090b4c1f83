"""Values in words, and outsiders' text made safe to look at."""

import json
import re
from datetime import UTC, datetime
from typing import Any, Final

from markupsafe import Markup

from vedette.core.catalogue import SeriesInfo

#: Controls, format characters, surrogates: all that is not seen, or that moves what is seen. Tab and line feed stay.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))


def visible(text: str) -> str:
    r"""`text` with every character that is not seen spelt out.

    >>> visible("pay\u202egnp.exe"), visible("a\x00b"), visible("tab\tand\nline")
    ('pay\\u202egnp.exe', 'a\\x00b', 'tab\tand\nline')
    """
    return _UNSEEN.sub(lambda found: _spelt(ord(found[0])), text)


def shown(value: Any) -> Any:  # noqa: ANN401 -- whatever a template shows
    """What a template puts out for `value`, before it escapes it."""
    return visible(str(value)) if isinstance(value, str) and not isinstance(value, Markup) else value


def moment(micros: int) -> str:
    """A time in UTC.

    >>> moment(1_700_000_000_000_000)
    '2023-11-14 22:13:20 UTC'
    """
    return f"{datetime.fromtimestamp(micros / 1e6, UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso(micros: int) -> str:
    """The same for machines.

    >>> iso(1_700_000_000_000_000)
    '2023-11-14T22:13:20Z'
    """
    return f"{datetime.fromtimestamp(micros / 1e6, UTC):%Y-%m-%dT%H:%M:%SZ}"


def lasting(micros: int) -> str:
    """A duration to two units.

    >>> lasting(75_000_000), lasting(7_260_000_000), lasting(3), lasting(93_784_000_000)
    ('1 min 15 s', '2 h 1 min', '0 s', '1 d 2 h')
    """
    rest = max(0, micros // 1_000_000)
    parts = []
    for size, name in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join([*parts, f"{rest} s"][:2]) if rest or not parts else " ".join(parts[:2])


def number(value: float | None) -> str:
    """A number for people.

    >>> number(None), number(1234567), number(0.0123456), number(12.5)
    ('\u2013', '1,234,567', '0.01235', '12.5')
    """
    if value is None:
        return "\u2013"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def size(count: float) -> str:
    """Bytes for people.

    >>> size(512), size(5_000_000), size(2.5e12)
    ('512 B', '5 MB', '2.5 TB')
    """
    for scale, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count:.0f} B"


#: What an axis says after a number, by the unit's name in Prometheus and in OpenTelemetry.
_SYMBOLS: Final = {"bytes": "B", "By": "B", "seconds": "s", "s": "s", "celsius": "\u00b0C", "Cel": "\u00b0C", "volts": "V"}


def symbol(info: SeriesInfo) -> str:
    """The symbol of a series' unit, which its name may tell where nothing else does; empty where there is none that we know.

    >>> symbol(SeriesInfo(1, "node_disk_read_bytes_total", {}, "counter", "")), symbol(SeriesInfo(1, "up", {}, "gauge", ""))
    ('B', '')
    """
    return _SYMBOLS.get(info.unit or info.name.removesuffix("_total").rpartition("_")[2], "")


def kind(info: SeriesInfo) -> str:
    """What a series is, in words.

    >>> kind(SeriesInfo(1, "app.log", {}, "stream", "")), kind(SeriesInfo(1, "x_bytes", {}, "gauge", "bytes"))
    ('log stream', 'gauge, in bytes')
    """
    word = {"stream": "log stream", "unknown": "kind not told"}.get(info.kind, info.kind)
    return f"{word}, in {info.unit}" if info.unit else word


def told(value: Any) -> str:  # noqa: ANN401 -- evidence and parameters may be any plain value
    """A plain value in a few characters.

    >>> told(0.123456), told(True), told("x"), told([1, {"a": None}]), told(None)
    ('0.1235', 'yes', 'x', '[1, {"a": null}]', '\u2013')
    """
    match value:
        case bool():
            return "yes" if value else "no"
        case int() | float() | None:
            return number(value)
        case str():
            return value
        case _:
            return json.dumps(value, ensure_ascii=False, default=str)


_LEVELS: Final = ("", "trace", "debug", "info", "warn", "error", "fatal")


def level(severity: int | None) -> str:
    """The word for an OpenTelemetry severity number.

    >>> level(9), level(17), level(0), level(None), level(99)
    ('info', 'error', '', '', '')
    """
    if severity is None or not 0 < severity <= 24:
        return ""
    return _LEVELS[(severity + 3) // 4]


def _spelt(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
