"""What this room asks of a running pipeline; `vedette.app.App` is one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import polars as pl
from starlette.routing import Route

from vedette.app.home import Incident
from vedette.config import Config
from vedette.core.ports import Clock
from vedette.core.telemetry import Telemetry


class Tables(Protocol):
    """The lake, for reading."""

    def scan(self, table: str) -> pl.LazyFrame:
        """A table as it is now."""

    def series_window(self, series: Sequence[int], start: int, end: int, table: str = "metrics") -> pl.LazyFrame:
        """Rows of `series` with start <= at < end (UTC microseconds), sorted by (series, at)."""


class Cases(Protocol):
    """The incidents, for reading."""

    def open(self) -> tuple[Incident, ...]:
        """Those that are not over, the oldest first."""

    def list(self, *, status: str | None = None, since: int = 0, limit: int = 100) -> tuple[Incident, ...]:
        """At most `limit` that changed at `since` or later, the newest first."""

    def get(self, incident: str) -> Incident:
        """The incident with that id, or NotFound."""


class View(Protocol):
    """A running pipeline as its pages and its API see it. Every method may be called from several threads."""

    @property
    def config(self) -> Config:
        """What was declared."""

    @property
    def home(self) -> Path:
        """Where everything is kept."""

    @property
    def clock(self) -> Clock:
        """UTC microseconds."""

    @property
    def lake(self) -> Tables:
        """The tables."""

    @property
    def store(self) -> Cases:
        """The incidents."""

    @property
    def telemetry(self) -> Telemetry:
        """Its own metrics."""

    def receivers(self) -> list[Route]:
        """The routes that others send to."""

    def health(self) -> Mapping[str, Mapping[str, str]]:
        """Each part, its `state` (`ok`, `starting` or `failed`), and `why`."""

    def status(self) -> dict[str, Any]:
        """Sources and their books, the lag, how far the models are."""

    def verdict(self, incident: str, answer: str, actor: str, note: str) -> None:
        """Keep what `actor` says of an incident."""
