"""The company: its services and the script of what happens to them, as frames of any stretch of time."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from vedette.core.digest import of_values
from vedette.core.errors import ConfigError
from vedette.core.frames import AT, EVENTS, LOGS, METRICS, SERIES, Schema, empty, from_rows
from vedette.core.identity import series_id
from vedette.core.types import Delivery
from vedette.testing.simulation.chance import Chance, Floats, Places
from vedette.testing.simulation.happenings import INCIDENTS, KINDS, Happening, condition, held
from vedette.testing.simulation.lines import STREAM, lines
from vedette.testing.simulation.physics import HOST, REQUESTS, measure
from vedette.testing.simulation.services import DEFAULT, SECOND, START, Service
from vedette.testing.simulation.told import events

#: What really happened, for whoever judges.
TRUTH: Final[Schema] = {"start": AT, "end": AT, "service": pl.String, "kind": pl.String, "is_incident": pl.Boolean}


class Simulation:
    """A company whose telemetry follows from its arguments alone; any stretch of time gives what the whole would have given.

    Every row is a function of the seed, the script and its own time: nothing runs, so nothing has to be run again to come back.

    Args:
        seed: of everything that the script leaves open.
        start: UTC microseconds of the first step; there is nothing before it.
        step_seconds: between two values of a series.
        services: of the company.
        script: what happens to them.

    Raises:
        ConfigError: listing every fault of services and script.

    >>> from vedette.testing.simulation import HOUR, START
    >>> drill = Happening(START + 12 * HOUR, START + 13 * HOUR, "web", "outage")
    >>> requests = series_id("http_requests_per_second", {"service": "web", "host": "web-1"})
    >>> values = Simulation(script=[drill]).metrics(START + 11 * HOUR, START + 13 * HOUR).filter(series=requests)["value"]
    >>> bool(values[:60].mean() > 50), bool(values[60:].mean() < 5)
    (True, True)
    """

    def __init__(
        self,
        seed: int = 0,
        start: int = START,
        step_seconds: int = 60,
        services: Sequence[Service] = DEFAULT,
        script: Sequence[Happening] = (),
    ) -> None:
        self.seed = seed
        self.start = start
        self.step_seconds = step_seconds
        self.services = tuple(services)
        self.script = tuple(script)
        faults = list(self._faults())
        if faults:
            raise ConfigError(faults)

    def definitions(self) -> pl.DataFrame:
        """SERIES: what the hosts export, and a log stream a host, sorted by identity."""
        return self._definitions

    @cached_property
    def _definitions(self) -> pl.DataFrame:
        rows = [
            (series_id(name, labels), name, labels, "stream" if name == STREAM else "gauge", _unit(name))
            for service in self.services
            for host in service.names
            for labels in [{"service": service.name, "host": host}]
            for name in (*REQUESTS[service.kind], *HOST, STREAM)
        ]
        return from_rows(rows, SERIES).sort("series")

    def metrics(self, start: int, end: int) -> pl.DataFrame:
        """METRICS with start <= at < end (UTC microseconds), sorted by (at, series)."""
        at = self._steps(start, end)
        if not len(at):
            return empty(METRICS)
        measured = [part for service in self.services for part in self._measured(service, at)]
        measured.sort(key=lambda part: part[0])
        names = np.array([series for series, _, _ in measured])
        values = np.stack([column for _, column, _ in measured], axis=1).reshape(-1)
        seen = np.stack([column for _, _, column in measured], axis=1).reshape(-1)
        columns = (np.tile(names, len(at)), np.repeat(at, len(names)), values)
        frame = pl.DataFrame(dict(zip(METRICS, columns, strict=True))).cast({"at": AT})
        return frame if seen.all() else frame.filter(pl.Series(seen))

    def logs(self, start: int, end: int) -> pl.DataFrame:
        """LOGS with start <= at < end (UTC microseconds), sorted by (at, series)."""
        step = self._step
        at = self._steps(start - step + 1, end)
        if not len(at) or end <= start:
            return empty(LOGS)
        parts = (lines(each, condition(self._of(each), at, self._chance), at, step, self._chance) for each in self.services)
        written = pl.concat(parts).filter(pl.col("at").to_physical().is_between(start, end, closed="left"))
        return written.sort("at", "series", "body")

    def events(self, start: int, end: int) -> pl.DataFrame:
        """EVENTS with start <= at < end (UTC microseconds), in the order of time: alerts, changes and tickets."""
        first = max(start, self.start)
        if end <= first:
            return empty(EVENTS)
        return from_rows(events(self.services, self.script, first, end, self._chance), EVENTS)

    def deliveries(self, start: int, end: int, source: str = "simulation") -> Delivery:
        """The stretch as a receiver would hand it to the log. Delivered twice, it is recognised by its key."""
        frames = {
            "series": self.definitions(),
            "metrics": self.metrics(start, end),
            "logs": self.logs(start, end),
            "events": self.events(start, end),
        }
        return Delivery(source, frames, key=of_values([self._identity, start, end]))

    def truth(self) -> pl.DataFrame:
        """TRUTH: the script, and which of it an operator would want to be told of, sorted by start and service."""
        rows = [(each.start, each.end, each.service, each.kind, each.kind in INCIDENTS) for each in self.script]
        return from_rows(rows, TRUTH).sort("start", "service", maintain_order=True)

    @property
    def _step(self) -> int:
        return self.step_seconds * SECOND

    @cached_property
    def _chance(self) -> Chance:
        return Chance(self.seed)

    @cached_property
    def _identity(self) -> str:
        told = ([asdict(each) for each in self.services], [asdict(each) for each in self.script])
        return of_values([self.seed, self.start, self.step_seconds, *told])

    def _faults(self) -> Iterator[str]:
        if self.step_seconds < 1:
            yield f"step_seconds: expected 1 or more, got {self.step_seconds}"
        names = [each.name for each in self.services]
        if len(set(names)) < len(names):
            yield f"services: expected each name once, got {names}"
        for service in self.services:
            yield from service.faults()
        for number, each in enumerate(self.script):
            if each.service not in names:
                yield f"script[{number}]: service: expected one of {names}, got {each.service!r}"
            if each.kind not in KINDS:
                yield f"script[{number}]: kind: expected one of {sorted(KINDS)}, got {each.kind!r}"
            if not each.start < each.end:
                yield f"script[{number}]: end: expected after the start, got {each.end}"
            if not 0.0 <= each.size <= 10.0:
                yield f"script[{number}]: size: expected 0 to 10, got {each.size}"

    def _of(self, service: Service) -> tuple[Happening, ...]:
        return tuple(each for each in self.script if each.service == service.name)

    def _steps(self, start: int, end: int) -> Places:
        """The times of the steps in [start, end)."""
        first, last = (max(-((self.start - edge) // self._step), 0) for edge in (start, end))
        return self.start + np.arange(first, last, dtype=np.int64) * self._step

    def _measured(self, service: Service, at: Places) -> Iterator[tuple[int, Floats, NDArray[np.bool_]]]:
        """(series, values, whether they arrive) of each series of one service."""
        script = self._of(service)
        shown = self.start + held(script, self.start, self._step, (at - self.start) // self._step) * self._step
        seen = condition(script, at, self._chance).seen
        state = condition(script, shown, self._chance)
        for (host, name), values in measure(service, state, shown, self.start, self._chance).items():
            yield series_id(name, {"service": service.name, "host": host}), values, seen


def _unit(name: str) -> str:
    return next((unit for unit in ("seconds", "bytes", "ratio") if name.endswith(f"_{unit}")), "")
