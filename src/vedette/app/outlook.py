"""Forecasts as they are due: from fresh points into the lake, onto the pages, and into incidents where they cross a limit."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
import structlog

from vedette import config
from vedette.act import IncidentStore
from vedette.act.outlook import ahead
from vedette.app import ground as grounds
from vedette.app.steps import KEPT, crossing, stepped
from vedette.core.arrays import part
from vedette.core.catalogue import SeriesInfo
from vedette.core.errors import NotFound, Rejected
from vedette.core.frames import AT, FORECASTS
from vedette.core.types import Artefact
from vedette.deploy import Evidence, Side
from vedette.lake import Lake, reading
from vedette.models.forecasts import Outlook
from vedette.monitor import coverage

#: Weeks of history that a forecast is made from at most: eight times the same hour of the week.
DAYS: Final = 57.0
WEEK: Final = 7 * 86_400_000_000
#: A version whose bounds held everything when it was judged promised no more than this.
LEAST_OUTSIDE: Final = 0.1

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Made:
    """What was forecast: FORECASTS rows, who the series are, and the points it came from."""

    forecasts: pl.DataFrame
    infos: Mapping[int, SeriesInfo]
    points: pl.DataFrame


def make(lake: Path, declared: config.Config, model: config.Model, versions: list[Artefact], at: int) -> Made:
    """The forecasts of `versions` (the champion first) at `at`, UTC microseconds.

    Raises:
        Rejected: there are no points to begin with.
        NotFound: there is no lake.
    """
    loaded = grounds.load(lake, declared.prepare, model.match, min(model.window_days, DAYS), until=at)
    points = stepped(loaded.frame.select(KEPT), model.step_seconds).filter(pl.col("at").dt.timestamp("us") <= at)
    parts = []
    for artefact in versions:
        outlook = Outlook()
        outlook.load(part(artefact.arrays, "model"))
        said = outlook.predict(points).with_columns(
            made_at=pl.lit(at).cast(AT), model=pl.lit(artefact.card.name), version=pl.lit(str(artefact.card.version))
        )
        parts.append(said.select(list(FORECASTS)))
    return Made(pl.concat(parts), loaded.infos(), points)


class Outlooks:
    """Makes the forecasts of a model when they are due.

    Args:
        lake: where they go.
        store: the incidents.
        declared: what the user declared.
    """

    def __init__(self, lake: Lake, store: IncidentStore, declared: config.Config) -> None:
        self._lake = lake
        self._store = store
        self._declared = declared
        self._made: dict[str, int] = {}
        self._drift: dict[str, dict[str, float]] = {}

    def due(self, name: str, versions: list[Artefact], at: int) -> bool:
        """Make the forecasts of `versions`, the champion first, where a step has passed since the last; whether it had."""
        model = self._declared.models[name]
        step = at // (model.step_seconds * 1_000_000)
        if self._made.get(name) == step:
            return False
        self._made[name] = step
        try:
            made = make(self._lake.root, self._declared, model, versions, at)
        except (Rejected, NotFound) as error:
            log.warning("no forecast was made", model=name, reason=str(error))
            return False
        self._drift[name] = _drift(self._lake.root, versions[0], made.points, at)
        self._lake.append_now("forecasts", made.forecasts)
        if model.limit is not None:
            champion = versions[0].card
            mine = made.forecasts.filter(pl.col("version") == str(champion.version)).sort("series", "at")
            found = crossing(mine, model.limit, model.limit_side)
            self._store.upsert(ahead(found, made.infos, self._store.open(), champion.label, model.limit, at))
        return True

    def gauges(self, name: str) -> dict[str, float]:
        """What was last measured of the forecasts of a model that came true; nothing before some did."""
        return self._drift.get(name, {})

    def evidence(self, name: str, own: int, other: int, since: int, at: int) -> Evidence:
        """How far two versions were from what came, in half widths of the other's bounds, since a stage began."""
        model = self._declared.models[name]
        moments = pl.col("made_at").dt.timestamp("us")
        said = reading(self._lake.root, "forecasts").filter((pl.col("model") == name) & (moments >= since)).collect()
        if said.is_empty():
            return Evidence()
        loaded = grounds.load(self._lake.root, self._declared.prepare, model.match, (at - since) / grounds.DAY + 1.0, until=at)
        came = stepped(loaded.frame.select(KEPT), model.step_seconds)
        both = said.join(came, on=["series", "at"], how="inner")
        width = (pl.col("yhat_upper_80") - pl.col("yhat_lower_80")) / 2
        beside = both.filter(pl.col("version") == str(other)).select("series", "at", "made_at", width=width)
        scaled = both.join(beside.unique(["series", "at", "made_at"]), on=["series", "at", "made_at"], how="inner")
        scaled = scaled.filter(pl.col("width") > 0)
        return Evidence(_side(scaled, own), _side(scaled, other))


def live_error(lake: Path, name: str, version: int, came: pl.DataFrame, since: int) -> pl.DataFrame:
    """Forecasts of a version that came true since `since`: `at, value, yhat, yhat_lower, yhat_upper` (of 80 per cent)."""
    said = reading(lake, "forecasts").filter((pl.col("model") == name) & (pl.col("version") == str(version)))
    found = said.filter(pl.col("at").dt.timestamp("us") >= since).collect().join(came, on=["series", "at"], how="inner")
    return found.select("at", "value", "yhat", yhat_lower="yhat_lower_80", yhat_upper="yhat_upper_80")


def _drift(lake: Path, champion: Artefact, came: pl.DataFrame, at: int) -> dict[str, float]:
    """How often the last week was outside the bounds of 80 per cent, over how often the champion's card says."""
    rows = live_error(lake, champion.card.name, champion.card.version, came, at - WEEK)
    if rows.is_empty():
        return {}
    outside = 1.0 - coverage(rows).value
    return {"drift_bounds": outside / max(1.0 - champion.card.metrics.get("coverage_80", 0.8), LEAST_OUTSIDE)}


def _side(scaled: pl.DataFrame, version: int) -> Side:
    mine = scaled.filter(pl.col("version") == str(version))
    off = ((pl.col("value") - pl.col("yhat")).abs() / pl.col("width")).clip(0, 10)
    error = float(mine.select(off.sum()).item() or 0.0)
    broken = int((~mine["yhat"].is_finite()).sum())
    spread = mine["yhat"]
    return Side(
        points=mine.height, broken=broken, least=float(spread.min() or 0.0), largest=float(spread.max() or 0.0),  # type: ignore[arg-type]
        error=error, errors=mine.height,
    )  # fmt: skip
