"""The Prometheus text format 0.0.4 and OpenMetrics 1.0, from text to series and numbers.

The part of a line before its value is the same at every scrape: it is parsed once and remembered.
"""

import re
from collections.abc import Mapping
from typing import Final

from vedette.collect.series import SeriesTable
from vedette.core.errors import BadRecord

LINE: Final = re.compile(r"\s*([a-zA-Z_:][\w:]*(?:\s*\{(?:[^\"}]|\"(?:[^\"\\]|\\.)*\")*\})?)\s*(\S+)(?:\s+(-?[\d.]+))?\s*(?:#.*)?$")
LABEL: Final = re.compile(r'\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?')
ESCAPED: Final = re.compile(r"\\(.)")
SUFFIXES: Final = ("_bucket", "_count", "_sum", "_total", "_created", "_gcount", "_gsum", "_info")
#: Kind of a series by the type of its family, and by its suffix where the family has several; anything else is unknown.
KINDS: Final = {
    "counter": {"": "counter", "_total": "counter", "_created": "gauge"},
    "gauge": {"": "gauge"},
    "histogram": {"_bucket": "bucket", "_count": "counter", "_sum": "counter", "_created": "gauge"},
    "gaugehistogram": {"_bucket": "gauge", "_gcount": "gauge", "_gsum": "gauge"},
    "summary": {"": "gauge", "_count": "counter", "_sum": "counter", "_created": "gauge"},
    "info": {"": "gauge", "_info": "gauge"},
    "stateset": {"": "gauge"},
}


class Exposition:
    r"""Parses the bodies of one target, remembering its series.

    Args:
        source: the declared name of the source.
        table: gives the series their identity.
        labels: of the target; a metric's own label of such a name becomes `exported_<name>`.

    >>> Exposition("scrape", SeriesTable(), {}).parse(b"# TYPE up gauge\nup 1\n")[1]
    [1.0]
    """

    def __init__(self, source: str, table: SeriesTable, labels: Mapping[str, str]) -> None:
        self._source = source
        self._table = table
        self._labels = dict(labels)
        self._known: dict[str, int] = {}

    def parse(self, body: bytes) -> tuple[list[int], list[float]]:
        """Series and values, in the order of the lines; time stamps and exemplars of the target are not used.

        Raises:
            BadRecord: a line that is no sample, by its number.
        """
        kinds: dict[str, str] = {}
        units: dict[str, str] = {}
        series: list[int] = []
        values: list[float] = []
        known = self._known
        for number, line in enumerate(body.decode("utf-8", "replace").split("\n")):
            if not line or line[0] == "#":
                _describe(line, kinds, units)
                continue
            head, _, tail = line.rpartition(" ")
            found = known.get(head)
            if found is None:
                match = LINE.match(line)
                if match is None:
                    if not line.strip():
                        continue
                    raise BadRecord("expected a sample", field="line", position=number)
                head, tail = match[1], match[2]
                found = known.get(head)
                if found is None:
                    found = known[head] = self._resolve(head, kinds, units)
            try:
                values.append(float(tail))
            except ValueError:
                raise BadRecord(f"expected a number, got '{tail[:40]}'", field="value", position=number) from None
            series.append(found)
        return series, values

    def _resolve(self, head: str, kinds: Mapping[str, str], units: Mapping[str, str]) -> int:
        name, _, inner = head.partition("{")
        name = name.strip()
        own = {match[1]: ESCAPED.sub(_plain, match[2]) for match in LABEL.finditer(inner)}
        labels = {(f"exported_{key}" if key in self._labels else key): value for key, value in own.items()} | self._labels
        suffix = "" if name in kinds else next((each for each in SUFFIXES if name.endswith(each)), "")
        family = name.removesuffix(suffix)
        kind = KINDS.get(kinds.get(family, ""), {}).get(suffix, "unknown")
        return self._table.resolve(self._source, name, labels, kind, units.get(family, ""))


def _describe(line: str, kinds: dict[str, str], units: dict[str, str]) -> None:
    parts = line.split(None, 3)
    if len(parts) == 4 and parts[1] in {"TYPE", "UNIT"}:
        (kinds if parts[1] == "TYPE" else units)[parts[2]] = parts[3].strip()


def _plain(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]
