"""The versions that answer requests: one predictor a deployed version, with the columns it takes and gives."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from vedette import config
from vedette.app.events import FEATURE, loaded
from vedette.app.shelves import Shelves
from vedette.core.arrays import part
from vedette.core.errors import BadRecord, NotFound
from vedette.core.frames import AT, POINTS
from vedette.core.types import Artefact
from vedette.deploy import Deployments
from vedette.models import Envelope
from vedette.models.forecasts import Outlook

POINT: Final = {"series": "BYTES", "timestamp": "BYTES", "value": "FP64"}
Predict = Callable[[pl.DataFrame], pl.DataFrame]


class Version:
    """Implements `web.view.Served`."""

    def __init__(self, artefact: Artefact, inputs: Mapping[str, str], outputs: Mapping[str, str], predict: Predict) -> None:
        self.name = artefact.card.name
        self.version = str(artefact.card.version)
        self.family = artefact.card.family
        self.inputs = inputs
        self.outputs = outputs
        self.predict = predict


class Serving:
    """Implements `web.view.Serving`: champions and candidates, each loaded and verified when it is first asked for.

    Args:
        declared: what the user declared.
        shelves: where versions lie.
        deployments: where they stand.
    """

    def __init__(self, declared: config.Config, shelves: Shelves, deployments: Deployments) -> None:
        self._declared = declared
        self._shelves = shelves
        self._deployments = deployments
        self._ready: dict[tuple[str, int], Version] = {}

    def served(self) -> Sequence[Version]:
        """All versions that stand somewhere, champions first."""
        standings = self._deployments.standings()
        wanted = [(name, each.champion) for name, each in standings.items()]
        wanted += [(name, each.candidate) for name, each in standings.items()]
        wanted = [(name, version) for name, version in wanted if version and name in self._declared.models]
        self._ready = {key: each for key, each in self._ready.items() if key in wanted}
        return [self._version(*each) for each in wanted]

    def get(self, name: str, version: str | None) -> Version:
        """That version, or the champion.

        Raises:
            NotFound: it is not deployed.
        """
        standing = self._deployments.standing(name)
        asked = standing.champion if version is None else int(version) if version.isdigit() else 0
        if not asked or asked not in {standing.champion, standing.candidate} or name not in self._declared.models:
            what = f"version {version} of {name}" if version else f"a champion of {name}"
            raise NotFound(f"there is no {what} deployed; `vedette models` lists what there is")
        return self._version(name, asked)

    def _version(self, name: str, version: int) -> Version:
        key = (name, version)
        if key not in self._ready:
            self._ready[key] = served(self._shelves.registry.load(name, version), self._declared.models[name])
        return self._ready[key]


def served(artefact: Artefact, model: config.Model) -> Version:
    """A version that answers requests."""
    match artefact.card.family:
        case "anomalies":
            given = {"yhat": "FP64", "yhat_lower": "FP64", "yhat_upper": "FP64", "anomaly_score": "FP64"}
            return Version(artefact, POINT, given, _Scores(artefact))
        case "forecasts":
            outlook = Outlook()
            outlook.load(part(artefact.arrays, "model"))
            levels = [f"{100 * level:g}" for level in outlook.levels]
            bounds = {f"yhat_{side}_{level}": "FP64" for level in levels for side in ("lower", "upper")}
            return Version(artefact, POINT, {"series": "BYTES", "timestamp": "BYTES", "yhat": "FP64", **bounds}, _Paths(outlook))
        case _:
            inputs = {"text": "BYTES", **{f"{FEATURE}{name}": "BYTES" for name in model.features}}
            classifier: Any = loaded(artefact.arrays, artefact.card.parameters)

            def classify(frame: pl.DataFrame) -> pl.DataFrame:
                features = frame.drop("text") if frame.width > 1 else None
                answer: pl.DataFrame = classifier.predict(frame["text"], features).select("label", "probability")
                return answer

            return Version(artefact, inputs, {"label": "BYTES", "probability": "FP64"}, classify)


class _Scores:
    """Scores what is asked behind what was learnt; what is asked teaches nothing.

    A series is known by its number, as the lake has it; others begin with nothing known of them.
    """

    def __init__(self, artefact: Artefact) -> None:
        self._parameters = dict(artefact.card.parameters)
        memory = part(artefact.arrays, "model")
        self._ids = memory["ids"]
        self._memory = memory

    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        points, order = _points(frame)
        detector = Envelope(**self._parameters)
        wanted = points["series"].unique().to_numpy()
        rows = np.flatnonzero(np.isin(self._ids, wanted) & ~np.isin(np.arange(len(self._ids)), self._memory["free"]))
        own = {name: np.array(array[rows]) for name, array in self._memory.items() if name != "free"}
        detector.load(own | {"free": np.zeros(0, np.int64)})
        said = detector.score(points, 0)
        return said.select("yhat", "yhat_lower", "yhat_upper", "anomaly_score")[order.arg_sort()]


class _Paths:
    """Goes on from the history that is asked with: by what was learnt of a series, else by what the history itself says."""

    def __init__(self, outlook: Outlook) -> None:
        self._outlook = outlook
        self._known = set(outlook.series)

    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        points, order = _points(frame)
        names = pl.DataFrame({"series": points["series"], "name": frame["series"][order]}).unique("series", keep="first")
        parts = []
        mine = points.filter(pl.col("series").is_in(list(self._known)))
        if not mine.is_empty():
            parts.append(self._outlook.predict(mine))
        others = points.filter(~pl.col("series").is_in(list(self._known)))
        if not others.is_empty():
            fresh = Outlook(self._outlook.horizon, self._outlook.levels)
            fresh.fit(others)
            parts.append(fresh.predict(others))
        said = pl.concat(parts).join(names, on="series", how="left", maintain_order="left")
        moments = pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        return said.select(series="name", timestamp=moments, yhat="yhat").hstack(
            said.select(each for each in said.columns if each.startswith("yhat_"))
        )


def _points(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """POINTS sorted by series and time, and the row each came from; names that are numbers are those of the lake."""
    names = frame["series"].cast(pl.String)
    number = names.cast(pl.Int64, strict=False)
    hashed = names.hash(seed=0).reinterpret(signed=True)
    series = pl.select(pl.when(number.is_not_null()).then(number).otherwise(hashed)).to_series()
    points = pl.DataFrame(
        {"series": series, "at": _moments(frame["timestamp"]), "value": frame["value"].cast(pl.Float64)}, schema=POINTS
    )
    points = points.with_columns(pl.col("value").fill_null(float("nan")))
    order = points.select(pl.arg_sort_by("series", "at", maintain_order=True)).to_series()
    return points[order], order


def _moments(times: pl.Series) -> pl.Series:
    """ISO 8601, or seconds since 1970.

    Raises:
        BadRecord: it is neither.
    """
    if times.dtype == pl.String:
        try:
            return times.str.to_datetime(time_unit="us", time_zone="UTC").cast(AT)
        except pl.exceptions.PolarsError as error:
            raise BadRecord("expected ISO 8601 such as 2026-11-20T10:00:00Z", field="timestamp") from error
    if times.dtype.is_numeric():
        return (times.cast(pl.Float64) * 1e6).round().cast(pl.Int64).cast(AT)
    return times.cast(AT)
