"""From a name and its labels to the series they are: one table for all receivers of a process."""

from collections.abc import Callable, Iterable, Mapping
from threading import Lock

import polars as pl

from vedette.core.frames import SERIES
from vedette.core.identity import series_id

OVERFLOW = "__other__"


class SeriesTable:
    """Gives each series its identity, and announces those that the log may not know yet.

    A definition travels with every delivery until one of them is durable (`confirm`); then it is not sent again
    by this process. A source with more than `limit` series puts the rest into one overflow series.

    Args:
        limit: series a source may have.
        redact: takes secrets out of label values and names.
        limited: is called with the source each time a sample of a series beyond the limit is resolved anew.

    >>> table = SeriesTable(limit=1)
    >>> first = table.resolve("host", "up", {"job": "node"})
    >>> table.definitions([first])["name"].to_list()
    ['up']
    >>> table.confirm([first])
    >>> table.definitions([first]).height
    0
    >>> other = table.resolve("host", "up", {"job": "db"})
    >>> table.definitions([other])["name"].to_list(), table.overflowed(other)
    (['__other__'], True)
    """

    def __init__(self, limit: int = 200_000, redact: Callable[[str], str] = str) -> None:
        self._limit = limit
        self._redact = redact
        self._lock = Lock()
        self._pending: dict[int, tuple[str, dict[str, str], str, str]] = {}
        self._confirmed: set[int] = set()
        self._owned: dict[str, set[int]] = {}
        self._overflow: dict[str, int] = {}

    def resolve(self, source: str, name: str, labels: Mapping[str, str], kind: str = "unknown", unit: str = "") -> int:
        """The identity of a series, remembered for `definitions` where it is new. `kind` is one of SERIES_KINDS."""
        clean = {self._redact(key): self._redact(value) for key, value in labels.items() if value}
        name = self._redact(name)
        identity = series_id(name, clean)
        with self._lock:
            owned = self._owned.setdefault(source, set())
            if identity in owned:
                if identity not in self._confirmed and identity not in self._pending:
                    self._pending[identity] = (name, clean, kind, unit)
                return identity
            if len(owned) >= self._limit:
                return self._overflowing(source)
            owned.add(identity)
            if identity not in self._confirmed:
                self._pending[identity] = (name, clean, kind, unit)
            return identity

    def overflowed(self, identity: int) -> bool:
        """Whether `identity` is an overflow series."""
        return identity in self._overflow.values()

    def definitions(self, series: Iterable[int]) -> pl.DataFrame:
        """SERIES rows for those of `series` that no durable delivery has carried yet."""
        with self._lock:
            rows = [(each, *self._pending[each]) for each in dict.fromkeys(series) if each in self._pending]
        return pl.DataFrame(rows, schema=SERIES, orient="row")

    def confirm(self, series: Iterable[int]) -> None:
        """A delivery with the definitions of `series` is durable."""
        with self._lock:
            for each in series:
                self._pending.pop(each, None)
                self._confirmed.add(each)

    def _overflowing(self, source: str) -> int:
        identity = self._overflow.get(source)
        if identity is None:
            labels = {"source": source}
            identity = self._overflow[source] = series_id(OVERFLOW, labels)
            if identity not in self._confirmed:
                self._pending[identity] = (OVERFLOW, labels, "gauge", "")
        return identity
