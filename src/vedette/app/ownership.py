"""Whose series each is: the first declared model that selects it, unless it is made of log lines and not asked for by name."""

from collections.abc import Mapping, Sequence

from vedette.core.catalogue import Catalogue
from vedette.core.selection import Selection

#: Counts of log lines come and go with what is deployed; they stay with the detector as it is shipped.
LOG_COUNTS = ("log_template_lines", "log_severity_lines")
EVERYTHING = ".*"


class Ownership:
    """Implements `lane_of` of the fleet.

    >>> from vedette.core.frames import SERIES, from_rows
    >>> catalogue = Catalogue()
    >>> _ = catalogue.add(from_rows([(1, "up", {}, "gauge", ""), (2, "log_severity_lines", {}, "gauge", "")], SERIES))
    >>> Ownership(catalogue, {"all": Selection()})([1, 2, 3])
    ['all', '', '']
    """

    def __init__(self, catalogue: Catalogue, selections: Mapping[str, Selection]) -> None:
        self._catalogue = catalogue
        self._selections = selections

    def __call__(self, series: Sequence[int]) -> list[str]:
        """The model of each series; empty where it is nobody's."""
        infos = self._catalogue.get(series)
        return [self._owner(infos[each].name, infos[each].labels) if each in infos else "" for each in series]

    def _owner(self, name: str, labels: Mapping[str, str]) -> str:
        return next((model for model, selection in self._selections.items() if owns(selection, name, labels)), "")


def owns(selection: Selection, name: str, labels: Mapping[str, str]) -> bool:
    """Whether a model of `selection` is about the series of that name and those labels."""
    return (selection.name != EVERYTHING or name not in LOG_COUNTS) and selection.takes(name, labels)
