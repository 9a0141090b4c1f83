"""Everything of the lifecycle that takes part in the stream, in one place: lanes, desks, tolerance, monitors, rollouts."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from vedette import config
from vedette.act import Incident, IncidentStore
from vedette.act.alarm import of_signal
from vedette.app.deployment import Rollouts
from vedette.app.lifecycle import Lifecycle
from vedette.app.models import Models
from vedette.app.oversight import Oversight
from vedette.app.ownership import Ownership
from vedette.app.routing import Router
from vedette.app.serving import Serving
from vedette.app.shelves import Shelves
from vedette.core.catalogue import Catalogue
from vedette.core.ports import Clock, Stateful
from vedette.core.types import Signal
from vedette.lake import Lake
from vedette.models import Envelope
from vedette.serve.fleet import Fleet
from vedette.serve.tolerance import Tolerance

_SERIES: Final = re.compile(r"series (-?\d{6,19})")


class Loop:
    """The lifecycle's parts of one process.

    Args:
        declared: what the user declared.
        home: where everything is kept.
        lake: the tables.
        store: the incidents.
        catalogue: who the series are.
        recipe: digest of the stages of this process.
        clock: UTC microseconds.
        timer: seconds, for how long an answer takes.
    """

    def __init__(
        self,
        declared: config.Config,
        home: Path,
        lake: Lake,
        store: IncidentStore,
        catalogue: Catalogue,
        recipe: str,
        clock: Clock,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._declared = declared
        self._catalogue = catalogue
        self._lake = lake
        self._store = store
        self._recipe = recipe
        self.shelves = Shelves(home, declared)
        self.deployments = self.shelves.deployments()
        selections = {name: model.match for name, model in declared.models.items() if model.family == "anomalies"}
        limits = {"max_series": declared.detectors.max_series, "forget_seconds": declared.detectors.forget_seconds}
        self.fleet = Fleet(lambda parameters: Envelope(**{**limits, **parameters}), Ownership(catalogue, selections), timer)
        self.router = Router(declared.models, self.shelves.registry)
        self.tolerance = Tolerance()
        self.oversight = Oversight(declared.models, self.shelves.registry)
        rollouts = Rollouts(
            declared.models,
            self.deployments,
            self.shelves.registry,
            self.fleet,
            self.router,
            self.tolerance,
            store,
            declared.hearing,
            recipe,
            self.oversight.change,
        )
        self.turn: Callable[[int], bool] = rollouts.turn
        self._clock = clock
        self._forecasters: Callable[[int], Mapping[str, Mapping[str, float]]] = lambda _at: {}
        self.models = Models(declared, self.shelves, self.deployments, clock, self.gauges)
        self.serving = Serving(declared, self.shelves, self.deployments)

    def parts(self) -> Mapping[str, Stateful]:
        """What a checkpoint keeps besides the lanes, which are a part of the scorer."""
        return {"router": self.router, "tolerance": self.tolerance, "oversight": self.oversight}

    def lifecycle(self, train: Callable[[str, str], None], training: Callable[[str], bool]) -> Lifecycle:
        """What is done beside the stream."""
        kept = (self.shelves, self.deployments, self._store, self._lake)
        beside = Lifecycle(self._declared, *kept, train, training, self.gauges, self._recipe)
        self._forecasters = beside.forecasters
        return beside

    def publish(self, changes: Sequence[Incident | tuple[str, Signal]]) -> None:
        """Keep incidents, and what monitors said; what is critical becomes an incident too."""
        incidents = [each for each in changes if isinstance(each, Incident)]
        for change in changes:
            if not isinstance(change, Incident):
                model, signal = change[0], self._named(change[1])
                self.deployments.tell(model, (signal,))
                if signal.severity == "critical":
                    incidents.append(of_signal(model, signal))
        self._store.upsert(incidents)

    def _named(self, signal: Signal) -> Signal:
        """A signal that calls series by their names, not by their numbers."""
        known = self._catalogue.get(int(each) for each in _SERIES.findall(signal.reason))
        return replace(signal, reason=_SERIES.sub(lambda found: str(known.get(int(found[1]), found[0])), signal.reason))

    def gauges(self) -> Mapping[str, Mapping[str, float]]:
        """By model, what its monitors measure."""
        at = self._clock()
        return {**self.oversight.gauges(), **self.router.gauges(at), **self._forecasters(at)}

    def standings(self) -> list[dict[str, Any]]:
        """Where the versions of each declared model stand, for people."""
        return [asdict(self.deployments.standing(name)) for name in self._declared.models]

    def close(self) -> None:
        """Let go of the database."""
        self.deployments.close()
