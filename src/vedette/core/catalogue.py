"""What is known of every series: its name, labels, kind and unit. Columns, so that 100,000 series stay small."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from threading import Lock

import numpy as np
import polars as pl

from vedette.core.frames import SERIES, conform, empty
from vedette.core.types import State


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """One series in words.

    >>> str(SeriesInfo(1, "up", {"job": "node", "instance": "a:9100"}, "gauge", ""))
    'up{instance="a:9100", job="node"}'
    """

    series: int
    name: str
    labels: Mapping[str, str]
    kind: str
    unit: str

    def __str__(self) -> str:
        inner = ", ".join(f'{key}="{value}"' for key, value in sorted(self.labels.items()))
        return f"{self.name}{{{inner}}}" if inner else self.name


class Catalogue:
    """Series by identity. Frames of definitions go in (by one thread), those that are new come out; any thread may look.

    >>> catalogue = Catalogue()
    >>> one = pl.DataFrame({"series": [7], "name": ["up"], "labels": [{}], "kind": ["gauge"], "unit": [""]}, schema=SERIES)
    >>> catalogue.add(one).height, catalogue.add(one).height
    (1, 0)
    >>> catalogue.get([7])[7].name
    'up'
    """

    def __init__(self) -> None:
        self._chunks: list[pl.DataFrame] = [empty(SERIES)]
        self._ids: dict[int, int] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, series: int) -> bool:
        return series in self._ids

    def add(self, definitions: pl.DataFrame) -> pl.DataFrame:
        """Remember `definitions` (SERIES columns, perhaps more); returns the rows not known before, once each."""
        if definitions.is_empty():
            return definitions
        fresh_ids = [series for series in dict.fromkeys(definitions["series"].to_list()) if series not in self._ids]
        if not fresh_ids:
            return definitions.clear()
        fresh = definitions.filter(pl.col("series").is_in(fresh_ids)).unique("series", keep="first", maintain_order=True)
        with self._lock:
            self._ids.update(zip(fresh["series"].to_list(), count(len(self._ids)), strict=False))
            self._chunks.append(conform(fresh.select(list(SERIES)), SERIES))
        return fresh

    def frame(self) -> pl.DataFrame:
        """Every definition, in the order in which it became known."""
        with self._lock:
            if len(self._chunks) > 1:
                self._chunks = [pl.concat(self._chunks, rechunk=True)]
            return self._chunks[0]

    def get(self, series: Iterable[int]) -> dict[int, SeriesInfo]:
        """What is known of `series`; the unknown are left out."""
        wanted = [each for each in dict.fromkeys(series) if each in self._ids]
        if not wanted:
            return {}
        rows = self.frame()[[self._ids[each] for each in wanted]].iter_rows()
        return {row[0]: SeriesInfo(row[0], row[1], dict(row[2] or {}), row[3], row[4]) for row in rows}

    def state(self) -> State:
        """The definitions as the bytes of one Arrow stream."""
        buffer = BytesIO()
        self.frame().write_ipc_stream(buffer)
        return {"frame": np.frombuffer(buffer.getvalue(), dtype=np.uint8)}

    def load(self, state: State) -> None:
        """Know exactly the series of `state`."""
        self._chunks, self._ids = [empty(SERIES)], {}
        self.add(pl.read_ipc_stream(state["frame"].tobytes()))
