"""The pipeline without its log and its clock: whoever hands in beats says what time it is. For drills, demos and tests.

Everything behind the log is the code that runs live: recipe, lanes, incidents, monitors, rollouts, checkpoints and lake. Trainings
are calls, not processes, so that what happens depends on the beats alone.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

import polars as pl

from vedette import config
from vedette.act import Incident, Incidents, IncidentStore
from vedette.app.attempts import BeatAttempts
from vedette.app.home import held, record
from vedette.app.journey import Journey, unread
from vedette.app.loop import Loop
from vedette.app.training import Asked, Trained, Training
from vedette.core.catalogue import Catalogue
from vedette.core.errors import Rejected
from vedette.core.flow import Flow
from vedette.core.telemetry import Telemetry
from vedette.core.types import Batch, Beat, Delivery, Position
from vedette.lake import Lake
from vedette.models import standard
from vedette.prepare import StandardRecipe
from vedette.serve.checkpoints import Checkpoints
from vedette.serve.scorer import Scorer

#: How often the lake is tidied: its files are few, and each round looks at all of them.
TIDY: Final = 8 * 86_400_000_000


class _Handed:
    """A source that gives what it was handed."""

    def __init__(self) -> None:
        self.waiting: list[Beat] = []

    def poll(self, limit: int) -> Batch[Beat] | None:  # noqa: ARG002 -- a beat is given whole
        if not self.waiting:
            return None
        beat = self.waiting.pop(0)
        return Batch(beat, Position("log", "0", beat.last))

    def seek(self, position: Position) -> None:
        """Nothing is kept that could be given again."""

    def close(self) -> None:
        """Nothing is held."""


class Timelapse:
    """A pipeline whose time is that of the beats it is handed; a context manager.

    Args:
        declared: what would be declared.
        home: where everything is kept.
        tell: told what trainings do.
        trained: told what a training came to.
    """

    def __init__(
        self,
        declared: config.Config,
        home: Path,
        tell: Callable[[str], None] = lambda _text: None,
        trained: Callable[[Trained], None] = lambda _trained: None,
    ) -> None:
        self.config = declared
        self.home = home
        self.at = 0
        self._tell = tell
        self._trained = trained
        self._beats = self._tidied = 0
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        undo, declared, home = self._undo, self.config, self.home
        undo.enter_context(held(home))
        self.lake = Lake(home / "lake", declared.lake, self.now)
        self.store = IncidentStore(f"sqlite:///{home / 'vedette.db'}")
        undo.callback(self.store.close)
        attempts = BeatAttempts(home / "attempts")
        undo.callback(attempts.close)
        self.catalogue = Catalogue()
        recipe = StandardRecipe(declared.prepare, self.catalogue)
        # No time passes while something is scored, or two runs would differ.
        self.loop = Loop(declared, home, self.lake, self.store, self.catalogue, recipe.digest, self.now, timer=lambda: 0.0)
        undo.callback(self.loop.close)
        scorer = Scorer({**standard(declared.detectors), "envelope": self.loop.fleet})
        incidents = Incidents(declared.act, self.catalogue)
        self._source = _Handed()
        self._flow = Flow(
            lambda _offset: self._source,
            Journey(recipe, scorer, incidents, Telemetry(), self.now, declared.lake, self.loop),
            {"catalogue": self.catalogue, "recipe": recipe, "scorer": scorer, "incidents": incidents, **self.loop.parts()},
            unread=lambda beat: unread(beat, self.catalogue, declared.lake),
            store=self.lake,
            publish=self.loop.publish,
            memory=Checkpoints(home / "checkpoints"),
            release=lambda _offset, _counts: None,
            attempts=attempts,
            settings=declared.flow,
            turn=self.loop.turn,
        )
        self._beats = self._flow.start()
        undo.callback(self._flow.stop)
        self._lifecycle = self.loop.lifecycle(self.train, lambda _name: False)
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def now(self) -> int:
        """The time of the last beat, UTC microseconds."""
        return self.at

    def beat(self, at: int, delivery: Delivery) -> None:
        """What came up to `at`, UTC microseconds."""
        self.at = at
        self._beats += 1
        frames: Mapping[str, pl.DataFrame] = {
            table: frame.with_columns(source=pl.lit(delivery.source))
            for table, frame in delivery.frames.items()
            if not frame.is_empty()
        }
        self._source.waiting.append(Beat(at, self._beats, frames))
        while self._flow.step():
            pass

    def tick(self) -> None:
        """Look after the models, as is done live every few seconds."""
        self._flow.flush()
        if self.at - self._tidied >= TIDY:
            self._tidied = self.at
            self.lake.maintain(self.at)
        self._lifecycle.tick(self.at)

    def train(self, name: str, reason: str) -> None:
        """Train now, on what came until now."""
        self._flow.flush()
        training = Training(self.home, self.config, self.now, self._tell)
        try:
            self._trained(training.train(name, Asked(reason, until=self.at), mirror=False))
        except Rejected as error:
            self._tell(str(error))

    def answer(self, incident: Incident, verdict: str, actor: str, note: str = "") -> None:
        """What an operator says of an incident."""
        record(self.lake, self.store.answer(incident.id, verdict, actor, note, self.at))

    def settle(self) -> None:
        """Make everything so far visible, MLflow's view of it among them."""
        self._flow.checkpoint()
        self.loop.shelves.mirror(self._tell)
