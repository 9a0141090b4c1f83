"""What this room asks of a running pipeline; `vedette.app.App` is one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import polars as pl
from starlette.routing import Route

from vedette.app.home import Incident
from vedette.app.models import ModelView
from vedette.config import Config
from vedette.core.ports import Clock
from vedette.core.telemetry import Telemetry
from vedette.core.types import Decision


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


class Served(Protocol):
    """One version that is deployed. Its columns have the datatypes of the Open Inference Protocol: BYTES, FP64, INT64."""

    @property
    def name(self) -> str:
        """Of the model."""

    @property
    def version(self) -> str:
        """Of the model."""

    @property
    def family(self) -> str:
        """`anomalies`, `forecasts` or `classes`."""

    @property
    def inputs(self) -> Mapping[str, str]:
        """Datatype by column, in order; all are needed."""

    @property
    def outputs(self) -> Mapping[str, str]:
        """Datatype by column, in order."""

    def predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Row for row, or for forecasts some rows for each `series`; called by one thread at a time, with the columns of `inputs`.

        One call may hold the rows of several who asked; no two of them name the same `series`.
        """


class Serving(Protocol):
    """The versions that are deployed now. A version is the same object as long as it is deployed."""

    def served(self) -> Sequence[Served]:
        """All of them."""

    def get(self, name: str, version: str | None) -> Served:
        """That version, or where it is None the one that speaks for the model now; or NotFound."""


class Models(Protocol):
    """The models with all their versions, to look at and to decide on."""

    def names(self) -> Sequence[str]:
        """Of all, in order."""

    def model(self, name: str) -> ModelView:
        """One, or NotFound."""

    def report(self, name: str, version: int) -> bytes:
        """The report of a version as HTML, or NotFound."""

    def promote(self, name: str, version: int, actor: str, reason: str) -> Decision:
        """A step forward for `version`, by `actor`; or Rejected, which says why not."""

    def rollback(self, name: str, actor: str, reason: str) -> Decision:
        """Back to the champion before, by `actor`; or Rejected, which says why not."""


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
    def serving(self) -> Serving:
        """The versions that answer requests."""

    @property
    def models(self) -> Models:
        """All models and their versions."""

    @property
    def telemetry(self) -> Telemetry:
        """Its own metrics."""

    def datasets(self) -> Sequence[Mapping[str, Any]]:
        """What models learn from, the newest first: plain values by name, `name` and `version` among them."""

    def receivers(self) -> list[Route]:
        """The routes that others send to."""

    def health(self) -> Mapping[str, Mapping[str, str]]:
        """Each part, its `state` (`ok`, `starting` or `failed`), and `why`."""

    def status(self) -> dict[str, Any]:
        """Sources and their books, the lag, how far the models are."""

    def verdict(self, incident: str, answer: str, actor: str, note: str) -> None:
        """Keep what `actor` says of an incident."""
