"""The models of one process behind one call: prepared frames in, verdicts out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import polars as pl

from vedette.core.arrays import part
from vedette.core.frames import POINTS, TEMPLATES, Schema, empty
from vedette.core.ports import Model
from vedette.core.types import State

#: Which prepared frame a model is given, and its columns; a model not named here is given the points.
FEEDS: Final[Mapping[str, tuple[str, Schema]]] = {"novelty": ("born", TEMPLATES)}
POINTS_FEED: Final = ("points", POINTS)


class Detector(Model, Protocol):
    """A model that can say how far it is."""

    def learning(self, at: int) -> tuple[int, int, str]:
        """Things known at `at` (UTC microseconds), those of them without a score yet, and why in words."""


@dataclass(frozen=True, slots=True)
class Learning:
    """How far a model is: `known` things, `young` of them without scores yet, and why in words."""

    model: str
    known: int
    young: int
    why: str


class Scorer:
    """Scores the frames of a beat with every model, and keeps their memory as one.

    Args:
        models: by the name that their verdicts carry, in the order in which they answer.
    """

    def __init__(self, models: Mapping[str, Detector]) -> None:
        self._models = dict(models)

    def score(self, prepared: Mapping[str, pl.DataFrame], at: int) -> pl.DataFrame:
        """VERDICTS of all models over the frames of one beat; `at` is the beat's time, UTC microseconds."""
        return pl.concat([model.score(_feed(prepared, name), at) for name, model in self._models.items()])

    def state(self) -> State:
        """The arrays of all models, each name behind its model's."""
        return {f"{name}/{key}": array for name, model in self._models.items() for key, array in model.state().items()}

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from; a model that it does not hold stays as it is."""
        for name, model in self._models.items():
            own = part(state, name)
            if own:
                model.load(own)

    def learning(self, at: int) -> tuple[Learning, ...]:
        """How far each model is at `at` (UTC microseconds), for people."""
        return tuple(Learning(name, *model.learning(at)) for name, model in self._models.items())


def _feed(prepared: Mapping[str, pl.DataFrame], model: str) -> pl.DataFrame:
    name, schema = FEEDS.get(model, POINTS_FEED)
    frame = prepared.get(name)
    return empty(schema) if frame is None or frame.is_empty() else frame.select(list(schema))
