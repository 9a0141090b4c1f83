"""What is known of a series, and the rule it falls under."""

from collections.abc import Iterable
from typing import Final

from vedette.act.rules import Rule
from vedette.act.settings import ActSettings
from vedette.core.catalogue import Catalogue, SeriesInfo

_KEPT: Final = 50_000


class Known:
    """Remembers what it was asked, since the catalogue is large and what moves is little.

    Args:
        catalogue: what is known of every series; only read.
        settings: whose rules count.
        here: the name of the host whose loopback addresses are meant; empty where that is not known.

    >>> Known(Catalogue(), ActSettings()).info(7).name
    'series 7'
    """

    def __init__(self, catalogue: Catalogue, settings: ActSettings, here: str = "") -> None:
        self.here = here
        self._catalogue = catalogue
        self._settings = settings
        self._found: dict[int, tuple[SeriesInfo, Rule]] = {}

    def learn(self, series: Iterable[int]) -> None:
        """Look up all of `series` at once."""
        fresh = sorted({each for each in series if each not in self._found})
        if not fresh:
            return
        if len(self._found) > _KEPT:
            self._found = {}
        for each, info in self._catalogue.get(fresh).items():
            self._found[each] = (info, self._settings.rule(info.name, info.labels))

    def info(self, series: int) -> SeriesInfo:
        """Name and labels; of an unknown series, its number."""
        return self._get(series)[0]

    def rule(self, series: int) -> Rule:
        """What counts for it."""
        return self._get(series)[1]

    def _get(self, series: int) -> tuple[SeriesInfo, Rule]:
        if series not in self._found:
            self.learn([series])
        return self._found.get(series) or (SeriesInfo(series, f"series {series}", {}, "unknown", ""), Rule())
