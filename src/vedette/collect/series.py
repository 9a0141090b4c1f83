"""From a name and its labels to the series they are: one table for all receivers of a process."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Lock

import numpy as np
import polars as pl

from vedette.collect.limits import Limits
from vedette.collect.named import instead
from vedette.core.frames import SERIES, empty
from vedette.core.identity import series_id

OVERFLOW = "__other__"
_NONE = empty(SERIES)


def checked(pairs: Sequence[tuple[str, str]], limits: Limits) -> dict[str, str]:
    """Names and values as labels of a series.

    Raises:
        ValueError: there are too many, one is too long or has no name, or a name comes twice.

    >>> checked([("job", "node")], Limits())
    {'job': 'node'}
    """
    names = dict(pairs)
    if len(pairs) > limits.labels:
        raise ValueError(f"{len(pairs)} labels, at most {limits.labels} are taken")
    if len(names) != len(pairs):
        raise ValueError("a name comes twice")
    if "" in names:
        raise ValueError("a label has no name")
    most = limits.label_bytes
    for each in (*names, *names.values()):
        if len(each) * 4 > most and len(each.encode()) > most:
            raise ValueError(f"a name or value is longer than {most} bytes")
    return names


def _uncounted(source: str, samples: int) -> None:
    """Where nobody counts."""


class SeriesTable:
    """Gives each series its identity, and announces those that the log may not know yet.

    A definition travels with every delivery until one of them is durable (`confirm`); then it is not sent again
    by this process. A source with more than `limit` series puts the rest into one overflow series.

    Args:
        limit: series a source may have.
        redact: takes secrets out of label values and names.
        limited: is told by `count_limited` the source and how many of its samples went into its overflow series.

    >>> table = SeriesTable(limit=1, limited=print)
    >>> first = table.resolve("host", "up", {"job": "node"})
    >>> table.definitions([first]).select("name", "labels").rows()
    [('up', {'job': 'node'})]
    >>> table.confirm([first])
    >>> table.pending, table.definitions([first]).height
    (False, 0)
    >>> other = table.resolve("host", "up", {"job": "db"})
    >>> table.definitions([other])["name"].to_list(), table.overflowed(other)
    (['__other__'], True)
    >>> table.count_limited(np.array([first, other, other]))
    host 2
    """

    def __init__(
        self, limit: int = 200_000, redact: Callable[[str], str] = str, limited: Callable[[str, int], None] = _uncounted
    ) -> None:
        self._limit = limit
        self._redact = redact
        self._limited = limited
        self._lock = Lock()
        self._pending: dict[int, tuple[str, dict[str, str], str, str]] = {}
        self._confirmed: set[int] = set()
        self._owned: dict[str, set[int]] = {}
        self._overflow: dict[str, int] = {}

    def resolve(self, source: str, name: str, labels: Mapping[str, str], kind: str = "unknown", unit: str = "") -> int:
        """The identity of a series, remembered for `definitions` where it is new. `kind` is one of SERIES_KINDS."""
        clean = {self._redact(key): instead(key, self._redact) or self._redact(value) for key, value in labels.items() if value}
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

    @property
    def pending(self) -> bool:
        """Whether any definition still waits for a durable delivery."""
        return bool(self._pending)

    def overflowed(self, identity: int) -> bool:
        """Whether `identity` is an overflow series."""
        return identity in self._overflow.values()

    def count_limited(self, series: np.ndarray) -> None:
        """Tell `limited` how many of the samples of `series` (int64, one a sample) lost their own identity to the limit."""
        for source, identity in tuple(self._overflow.items()):
            samples = int(np.count_nonzero(series == identity))
            if samples:
                self._limited(source, samples)

    def definitions(self, series: Iterable[int]) -> pl.DataFrame:
        """SERIES rows for those of `series` that no durable delivery has carried yet; free where nothing is pending."""
        if not self._pending:
            return _NONE
        with self._lock:
            rows = [(each, *self._pending[each]) for each in dict.fromkeys(series) if each in self._pending]
        # By columns: of rows Polars makes nulls where a column is a map.
        columns = dict(zip(SERIES, zip(*rows, strict=True), strict=True)) if rows else {}
        return pl.DataFrame({name: list(values) for name, values in columns.items()}, schema=SERIES)

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
