"""What is different between the families of models: where their rows come from, what is searched, fitted and measured.

A family is an object with the few methods of `Family`; `app.training` does the rest, the same for each of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from vedette import config
from vedette.act import Incident, Window
from vedette.core.catalogue import SeriesInfo
from vedette.core.types import Finding, State
from vedette.train import Cuts, Dataset, Found, Space

Parameters = Mapping[str, Any]
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a training stands: the lake, what was declared, what people said, and until when it looks (UTC microseconds)."""

    lake: Path
    declared: config.Config
    model: config.Model
    incidents: Sequence[Incident] = ()
    windows: Sequence[Window] = ()
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Material:
    """What a dataset is made of.

    Attributes:
        rows: with `series` and `at` (for classes: `at` and what they look at), and `source`.
        spans: what is never learnt, columns SPANS.
        infos: who the series are.
        recipe: digest of the stages.
        tables: versions of the tables read.
        outages: confirmed ones, plain values.
    """

    rows: pl.DataFrame
    spans: pl.DataFrame
    infos: Mapping[int, SeriesInfo]
    recipe: str
    tables: Mapping[str, int]
    outages: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """What was measured of a candidate, and of the champion on the same rows.

    Attributes:
        metrics, champion: by the names that gates know.
        intervals: of some of them.
        findings: checks that are no gate on a figure.
        groups: a row a group.
        charts: what the report draws, by title.
        basis: in words, what the figures rest on.
    """

    metrics: Mapping[str, float]
    champion: Mapping[str, float] | None
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    groups: pl.DataFrame = field(default_factory=pl.DataFrame)
    charts: Sequence[Any] = ()
    basis: str = ""


@dataclass(frozen=True, slots=True)
class Rival:
    """The champion that a candidate has to beat: its version, parameters and arrays."""

    version: int
    parameters: Parameters
    arrays: State


class Family(Protocol):
    """One kind of models."""

    name: str
    kind: str

    def material(self, ground: Ground, tell: Tell) -> Material:
        """Everything there is to learn from.

        Raises:
            Rejected: there is nothing, or too little, in words.
        """

    def usual(self, model: config.Model) -> Parameters:
        """The parameters one begins with."""

    def space(self, model: config.Model) -> Space:
        """What the search may change."""

    def search(self, dataset: Dataset, cuts: Cuts, model: config.Model, folder: Path, look: Callable[..., Found]) -> Found:
        """Lay out the data in `folder` and `look` for better parameters with an objective over it."""

    def fit(self, dataset: Dataset, parameters: Parameters, model: config.Model, rival: Rival | None) -> State:
        """The arrays of a version, from every row that may be learnt."""

    def judge(
        self, dataset: Dataset, cuts: Cuts, parameters: Parameters, material: Material, ground: Ground, rival: Rival | None
    ) -> Judged:
        """Fit on what comes before the holdout, and measure on it."""
