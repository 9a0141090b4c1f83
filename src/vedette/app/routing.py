"""Classes on live events: what the champion of a class model says is put on the event, as labels, before anybody acts on it."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl
import structlog

from vedette import config
from vedette.app.events import features_of, loaded, read
from vedette.core.arrays import part
from vedette.core.errors import VedetteError
from vedette.core.frames import LABELS
from vedette.core.ports import Versions
from vedette.core.types import Artefact, State
from vedette.deploy import Evidence, Side
from vedette.monitor import stability

#: A class is said with its probability, under the label and this.
PROBABILITY: Final = "_probability"
#: Answers after which older ones count by half: what is live is compared, not all that ever was.
RECENT: Final = 20_000

log = structlog.get_logger()


class Desk:
    """One class model: the champion speaks, a candidate is only asked."""

    def __init__(self, model: config.Model) -> None:
        self.model = model
        self.champion: Artefact | None = None
        self.other: Artefact | None = None
        self._ready: dict[int, Any] = {}
        self.sums = np.zeros((2, 4))
        self.spoken = np.zeros(0)

    def seat(self, champion: Artefact | None, other: Artefact | None) -> None:
        """These two from now on; what was counted of others is forgotten."""
        self.champion, self.other = champion, other
        kept = {each.card.version: each for each in (champion, other) if each is not None}
        self._ready = {version: loaded(each.arrays, each.card.parameters) for version, each in kept.items()}
        self.sums = np.zeros((2, 4))
        self.spoken = np.zeros(len(self._ready[champion.card.version].classes) if champion is not None else 0)

    def ask(self, artefact: Artefact, events: pl.DataFrame) -> pl.DataFrame:
        """`label, probability`, an event a row."""
        rows = read(events, self.model)
        said: pl.DataFrame = self._ready[artefact.card.version].predict(rows["text"], features_of(rows))
        return said

    def count(self, row: int, said: pl.DataFrame, truth: pl.Series) -> None:
        """Answers, those that are missing, those whose truth came with the event, and those of them that were wrong."""
        known = truth.is_not_null()
        wrong = (said["label"] != truth).fill_null(value=True) & known
        self.sums[row] += (said.height, said["label"].null_count(), int(known.sum()), int(wrong.sum()))

    def hear(self, said: pl.DataFrame) -> None:
        """Count how often the champion says which class."""
        if self.champion is None:
            return
        counts = dict(said["label"].drop_nulls().value_counts().iter_rows())
        self.spoken += [counts.get(each, 0) for each in self._ready[self.champion.card.version].classes]
        if self.spoken.sum() > RECENT:
            self.spoken /= 2

    def gauges(self, at: int) -> dict[str, float]:
        """The age of the champion at `at`, and how far its answers are spread otherwise than the classes it learnt.

        That is a stability index; none is told before there are enough answers.
        """
        if self.champion is None:
            return {}
        found, settings = {"age_seconds": (at - self.champion.card.trained_at) / 1e6}, self.model.monitor
        learnt = part(self.champion.arrays, "profile").get("classes", np.zeros(0))
        if self.spoken.sum() >= settings.verdicts and learnt.shape == self.spoken.shape:
            found["drift_classes"] = stability(learnt * (self.spoken.sum() / learnt.sum()), self.spoken)
        return found

    def evidence(self) -> Evidence:
        """What was seen of the candidate beside the champion."""
        return Evidence(self._side(1), self._side(0))

    def _side(self, row: int) -> Side:
        answers, nulls, known, wrong = (float(each) for each in self.sums[row])
        return Side(points=int(answers), nulls=int(nulls), least=0.0, largest=1.0, error=wrong, errors=int(known))


class Router:
    """Implements `core.ports.Stateful`; called with the events of a beat.

    Args:
        models: what was declared; those of family `classes` count.
        shelf: where versions come from, after a restart.
    """

    def __init__(self, models: Mapping[str, config.Model], shelf: Versions) -> None:
        self.desks = {name: Desk(model) for name, model in models.items() if model.family == "classes"}
        self._shelf = shelf

    def __call__(self, events: pl.DataFrame) -> pl.DataFrame:
        """EVENTS (and whatever columns more) with the classes among their labels."""
        for name, desk in self.desks.items():
            if desk.champion is None or events.is_empty():
                continue
            mine = (events["kind"] == desk.model.events).fill_null(value=False)
            if mine.any():
                events = self._classified(name, desk, events, mine)
        return events

    def _classified(self, name: str, desk: Desk, events: pl.DataFrame, mine: pl.Series) -> pl.DataFrame:
        asked = events.filter(mine)
        truth = pl.Series([dict(each or {}).get(desk.model.label) for each in asked["labels"].to_list()], dtype=pl.String)
        said: pl.DataFrame | None = None
        for row, artefact in enumerate((desk.champion, desk.other)):
            if artefact is None:
                continue
            try:
                answer = desk.ask(artefact, asked)
            except VedetteError as error:
                log.warning("a class model could not answer", model=name, version=artefact.card.version, reason=str(error))
                continue
            desk.count(row, answer, truth)
            said = answer if row == 0 else said
        if said is not None:
            desk.hear(said)
        if said is None:
            return events
        answers = iter(said.select("label", "probability").iter_rows())
        labels = [dict(each or {}) | _spoken(desk.model, *next(answers)) if own else dict(each or {}) for each, own in
                  zip(events["labels"].to_list(), mine.to_list(), strict=True)]  # fmt: skip
        return events.with_columns(labels=pl.Series("labels", labels, dtype=LABELS))

    def gauges(self, at: int) -> dict[str, dict[str, float]]:
        """By model, what is measured of its champion at `at`, UTC microseconds."""
        return {name: desk.gauges(at) for name, desk in self.desks.items() if desk.champion is not None}

    def state(self) -> State:
        """Which versions sit where, and what was counted."""
        seats = {name: [_version(desk.champion), _version(desk.other)] for name, desk in self.desks.items()}
        counts: dict[str, np.ndarray] = {f"sums/{name}": desk.sums for name, desk in self.desks.items()}
        counts |= {f"spoken/{name}": desk.spoken for name, desk in self.desks.items()}
        return counts | {"seats": np.frombuffer(msgspec.json.encode(seats), np.uint8)}

    def load(self, state: State) -> None:
        """Seat what `state` was taken from; where a version cannot be loaded any more, nobody sits until that is decided."""
        if "seats" not in state:
            return
        for name, versions in msgspec.json.decode(state["seats"].tobytes(), type=dict[str, list[int]]).items():
            if name not in self.desks:
                continue
            try:
                champion, other = (self._shelf.load(name, version) if version else None for version in versions)
            except VedetteError as error:
                log.warning("the versions of a class model cannot be seated", model=name, reason=str(error))
                continue
            self.desks[name].seat(champion, other)
            self.desks[name].sums = state[f"sums/{name}"].copy()
            self.desks[name].spoken = state.get(f"spoken/{name}", self.desks[name].spoken).copy()


def _spoken(model: config.Model, label: str | None, probability: float | None) -> dict[str, str]:
    if label is None or probability is None:
        return {}
    return {model.writes: label, f"{model.writes}{PROBABILITY}": f"{probability:.2f}"}


def _version(artefact: Artefact | None) -> int:
    return artefact.card.version if artefact else 0
