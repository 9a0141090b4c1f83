"""Forecasts: each series' own choice of methods, with bounds from its own past."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Final

import polars as pl

from vedette import config
from vedette.app import ground as grounds
from vedette.app.families import Ground, Judged, Material, Parameters, Rival, Tell
from vedette.app.ownership import owns
from vedette.app.steps import KEPT, stepped
from vedette.core.arrays import part, whole
from vedette.core.types import Finding, State
from vedette.models.forecasts import Outlook, grids
from vedette.train import Cuts, Dataset, Found, Space, leaks
from vedette.validate.charts import Chart, Lines
from vedette.validate.forecasts import forecast_metrics, seasonal_scale

#: Origins in the holdout from which it is judged, at most.
ORIGINS: Final = 5


class Forecasts:
    """Implements `Family`."""

    name = "forecasts"
    kind = "outlook"

    def material(self, ground: Ground, tell: Tell) -> Material:
        """The selected series as means over the declared step."""
        model = ground.model
        loaded = grounds.load(ground.lake, ground.declared.prepare, model.match, model.window_days, until=ground.until, tell=tell)
        infos = {each: info for each, info in loaded.infos().items() if owns(model.match, info.name, info.labels)}
        rows = stepped(loaded.frame.filter(pl.col("series").is_in(list(infos))), model.step_seconds)
        start, end = int(rows["at"].dt.timestamp("us").min() or 0), _end(rows)  # type: ignore[arg-type]
        alerts = grounds.alerts_of(ground.lake, start, end)
        spans = grounds.spans(infos, ground.windows, ground.incidents, alerts, end - start)
        return Material(rows, spans, infos, loaded.recipe, loaded.tables)

    def usual(self, model: config.Model) -> Parameters:
        """How far ahead; everything else is chosen for each series by itself."""
        return {"horizon": model.horizon, "step_seconds": model.step_seconds}

    def space(self, model: config.Model) -> Space:  # noqa: ARG002 -- nothing is left to search for all series together
        """Nothing: the choice is made for each series, in its own past."""
        return {}

    def search(self, dataset: Dataset, cuts: Cuts, model: config.Model, folder: Path, look: Callable[..., Found]) -> Found:  # noqa: ARG002
        """Nothing is searched: the methods compete within `fit`."""
        return Found(self.usual(model), 0.0, 0.0, 0, 0)

    def fit(self, dataset: Dataset, parameters: Parameters, model: config.Model, rival: Rival | None) -> State:  # noqa: ARG002
        """Who speaks for each series, and how wide its bounds are."""
        outlook = Outlook(horizon=int(parameters["horizon"]))
        outlook.fit(dataset.clean().select(*KEPT))
        return whole("model", outlook.state())

    def judge(
        self,
        dataset: Dataset,
        cuts: Cuts,
        parameters: Parameters,
        material: Material,  # noqa: ARG002 -- the port's
        ground: Ground,
        rival: Rival | None,
    ) -> Judged:
        """From rolling origins in the holdout: fitted on what is before it, asked from each origin on."""
        rows = dataset.clean().select(*KEPT)
        horizon = int(parameters["horizon"])
        seen, scales = _asked(rows, cuts, horizon, model=None)
        if seen.is_empty():
            why = "The holdout has no two steps: give it a longer window."
            return Judged({"mase": math.nan}, None, findings=(Finding("horizon_fits", False, "no origin", "one at least", why),))  # noqa: FBT003
        metrics = forecast_metrics(seen, scales) | {"null_share": _unknown(rows, seen)}
        champion = None
        if rival and int(rival.parameters["horizon"]) == horizon:
            # Methods and their competition are the same; what differs is what the champion learnt, and when.
            known = Outlook()
            known.load(part(rival.arrays, "model"))
            before, its_scales = _asked(rows, cuts, horizon, model=known)
            champion = forecast_metrics(before, its_scales) if not before.is_empty() else None
        origins = seen["made_at"].n_unique()
        basis = f"{seen['series'].n_unique():,} series, {origins} origins in the holdout, {horizon} steps from each"
        findings = leaks.of_series(cuts.part(rows, "seen"), cuts.part(rows, "holdout"), ground.model.gap_seconds)
        return Judged(
            metrics, champion, findings=findings, groups=_groups(seen, scales, dataset), charts=_charts(seen), basis=basis
        )


def _asked(rows: pl.DataFrame, cuts: Cuts, horizon: int, model: Outlook | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What was forecast from each origin beside what came, and the scale of each series."""
    outlook = model
    if outlook is None:
        outlook = Outlook(horizon=horizon)
        outlook.fit(cuts.part(rows, "seen"))
    times = rows.filter(pl.col("at").dt.timestamp("us") >= cuts.holdout[0])["at"].unique().sort()
    # Where the holdout is shorter than the horizon, the steps are judged that it has.
    judged = min(horizon, len(times) // 2)
    starts = range(0, len(times) - judged + 1 if judged else 0, max(1, (len(times) - judged) // max(ORIGINS - 1, 1)))
    parts = []
    for start in list(starts)[:ORIGINS]:
        origin = times[start]
        said = outlook.predict(rows.filter(pl.col("at") < origin))
        came = said.join(rows, on=["series", "at"], how="inner")
        parts.append(came.with_columns(made_at=pl.lit(origin)))
    seen = pl.concat(parts) if parts else pl.DataFrame()
    before = grids(cuts.part(rows, "seen"))
    scales = pl.DataFrame(
        {"series": [each.series for each in before], "scale": [seasonal_scale(each.values, max(each.day, 1)) for each in before]},
        schema={"series": pl.Int64, "scale": pl.Float64},
    )
    return seen, scales


def _unknown(rows: pl.DataFrame, seen: pl.DataFrame) -> float:
    return 1.0 - seen["series"].n_unique() / max(rows["series"].n_unique(), 1)


def _groups(seen: pl.DataFrame, scales: pl.DataFrame, dataset: Dataset) -> pl.DataFrame:
    sources = dataset.rows.select("series", "source").unique("series", keep="first")
    parts = seen.join(sources, on="series", how="left").sort("source").partition_by("source", as_dict=True)
    rows = [{"source": str(key[0])} | forecast_metrics(part.drop("source"), scales) for key, part in parts.items()]
    return pl.DataFrame(rows)


def _end(rows: pl.DataFrame) -> int:
    at = rows["at"].dt.timestamp("us").to_numpy()
    return int(at.max()) + 1 if len(at) else 0


def _charts(seen: pl.DataFrame) -> list[Chart]:
    """The first origin of the series whose error is that of the middle."""
    relative = (pl.col("value") - pl.col("yhat")).abs() / (pl.col("value").abs() + 1e-9)
    errors = seen.group_by("series").agg(error=relative.mean()).sort("error")
    one = errors["series"][errors.height // 2]
    near = seen.filter((pl.col("series") == one) & (pl.col("made_at") == seen["made_at"].min())).sort("at")
    near = near.with_columns(pl.col(pl.Float64).fill_null(math.nan))
    lines = {"seen": near["value"].to_list(), "forecast": near["yhat"].to_list()}
    moments = near["at"].dt.timestamp("us").to_list()
    lower, upper = near["yhat_lower_80"].to_list(), near["yhat_upper_80"].to_list()
    caption = "A series of middling error: what came, what was forecast, and the bounds of 80 per cent."
    return [Lines("One forecast", caption, moments, lines, lower, upper, time=True)]
