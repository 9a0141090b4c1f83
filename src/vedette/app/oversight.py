"""The monitors of the champions, in the stream: what each beat tells them, and what they say, which is rarely anything."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl
import structlog

from vedette import config
from vedette.core.arrays import part
from vedette.core.errors import VedetteError
from vedette.core.frames import SERIES, empty
from vedette.core.ports import Versions
from vedette.core.types import Artefact, Signal, State
from vedette.monitor import DriftMonitor, Golden, PredictionMonitor, QualityMonitor, ScoreBaseline
from vedette.monitor.staleness import StalenessMonitor

_NO_SERIES: Final = empty(SERIES)

log = structlog.get_logger()


class Watching:
    """The monitors of one champion: drift against what it learnt, the cap against the first baseline, quality, scores, age."""

    def __init__(self, artefact: Artefact, model: config.Model) -> None:
        label, settings = artefact.card.label, model.monitor
        profile = Golden.of_state(part(artefact.arrays, "profile"))
        golden = Golden.of_state(part(artefact.arrays, "golden"))
        self.version = artefact.card.version
        self.drift = DriftMonitor(profile, settings, label)
        self.cap = DriftMonitor(golden, settings, label)
        self.quality = QualityMonitor(profile, settings, label)
        self.scores = PredictionMonitor(ScoreBaseline.of_state(part(artefact.arrays, "scores")), settings, label)
        self.staleness = StalenessMonitor(profile, artefact.card.trained_at, settings, label)

    def observe(self, at: int, points: pl.DataFrame, series: pl.DataFrame, verdicts: pl.DataFrame) -> tuple[Signal, ...]:
        """One beat of its series."""
        moved = tuple(each for each in self.drift.update(points, at) if each.monitor != "cap")
        capped = tuple(each for each in self.cap.update(points, at) if each.monitor == "cap")
        quality = self.quality.update(points, series, at)
        return (*moved, *capped, *quality, *self.scores.update(verdicts, at), *self.staleness.update(points, at))

    def gauges(self) -> dict[str, float]:
        """What `vedette_model_drift` shows, by kind, and the age."""
        moved, capped = self.drift.gauges(), self.cap.gauges()
        drift = {"drift": moved["drift"], "drift_joint": moved["joint"], "drift_cap": capped["cap"]}
        quality = {f"quality_{kind}": value for kind, value in self.quality.gauges().items()}
        scores = {f"prediction_{kind}": value for kind, value in self.scores.gauges().items()}
        return drift | quality | scores | self.staleness.gauges()

    def parts(self) -> Mapping[str, Any]:
        """Everything with a memory, by name."""
        return {"drift": self.drift, "cap": self.cap, "quality": self.quality, "scores": self.scores, "staleness": self.staleness}


class Oversight:
    """Implements `core.ports.Stateful`: the watching of every model that has a champion.

    Args:
        models: what was declared.
        shelf: where champions come from, after a restart.
    """

    def __init__(self, models: Mapping[str, config.Model], shelf: Versions) -> None:
        self._models = models
        self._shelf = shelf
        self._watching: dict[str, Watching] = {}

    def change(self, model: str, champion: Artefact | None) -> None:
        """Another champion, or none: its monitors begin anew, but for the cap, which is of all versions together."""
        before = self._watching.pop(model, None)
        watching = self._watched(model, champion) if champion is not None else None
        if watching is not None:
            self._watching[model] = watching
            if before is not None:
                watching.cap.inherit(before.cap)

    def _watched(self, model: str, champion: Artefact) -> Watching | None:
        """None where it holds no baselines, or those of another release, or its model is not declared any more."""
        try:
            return Watching(champion, self._models[model])
        except (LookupError, TypeError, ValueError) as error:
            log.warning("a champion cannot be watched", model=model, version=champion.card.version, reason=repr(error))
            return None

    def observe(
        self, at: int, points: pl.DataFrame, series: pl.DataFrame, verdicts: pl.DataFrame
    ) -> tuple[tuple[str, Signal], ...]:
        """One beat: POINTS, SERIES that are new, VERDICTS; what the monitors say, by model."""
        found: list[tuple[str, Signal]] = []
        for model, watching in self._watching.items():
            said = verdicts.filter(pl.col("model") == model)
            if len(self._watching) == 1 and said.height == points.height:
                mine = points
            else:
                mine = said.select("series", "at", "value").sort("series", "at")
            defined = series.select(*SERIES) if not series.is_empty() else _NO_SERIES
            found += [(model, signal) for signal in watching.observe(at, mine, defined, said)]
        return tuple(found)

    def gauges(self) -> dict[str, dict[str, float]]:
        """By model, what its monitors measure."""
        return {model: watching.gauges() for model, watching in list(self._watching.items())}

    def state(self) -> State:
        """Which versions are watched, and the memory of their monitors."""
        arrays: dict[str, np.ndarray] = {}
        for model, watching in self._watching.items():
            for name, each in watching.parts().items():
                arrays |= {f"{model}/{name}/{key}": array for key, array in each.state().items()}
        versions = {model: watching.version for model, watching in self._watching.items()}
        return arrays | {"versions": np.frombuffer(msgspec.json.encode(versions), np.uint8)}

    def load(self, state: State) -> None:
        """Watch what `state` was taken from; a version that cannot be loaded any more is not watched."""
        self._watching = {}
        if "versions" not in state:
            return
        for model, version in msgspec.json.decode(state["versions"].tobytes(), type=dict[str, int]).items():
            try:
                watching = self._watched(model, self._shelf.load(model, version))
            except VedetteError as error:
                log.warning("a champion cannot be watched", model=model, version=version, reason=str(error))
                continue
            if watching is None:
                continue
            for name, each in watching.parts().items():
                each.load(part(state, f"{model}/{name}"))
            self._watching[model] = watching
