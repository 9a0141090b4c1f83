"""What is done beside the stream now and then: forecasts that are due, late figures, trainings that are wished for.

The stream itself never waits for any of it. Trainings are handed to `train`: live that is another process, in time-lapse a call.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import polars as pl
import structlog

from vedette import config
from vedette.act import IncidentStore
from vedette.act.alarm import rested
from vedette.app import ground as grounds
from vedette.app.deployment import UNSERVABLE, refuse, require_recipe
from vedette.app.outlook import Outlooks, live_error
from vedette.app.shelves import Shelves
from vedette.app.steps import KEPT, stepped
from vedette.core.errors import Rejected, VedetteError
from vedette.core.types import Artefact, Decision, Signal
from vedette.deploy import Deployments, Standing, next_step
from vedette.lake import Lake
from vedette.monitor import Estimate, PerformanceMonitor, coverage, false_alarms, precision
from vedette.retrain import Known, wish

DAY: Final = 86_400_000_000
WEEK: Final = 7 * DAY
#: How often late figures are looked at, microseconds: they need days to change.
LATE: Final = 12 * 3_600_000_000
#: Versions of forecasters that are kept in memory.
CACHED: Final = 8
#: Answers that a promise on operators' verdicts is held against: what a model must reach where its card cannot say.
PROMISED_PRECISION: Final = 0.5

log = structlog.get_logger()


class Lifecycle:
    """The loop around the models of one home.

    Args:
        declared: what the user declared.
        shelves: versions, datasets, standings.
        deployments: the standings, open.
        store: the incidents and what was said of them.
        lake: the tables.
        train: begins a training of a model for a reason; returns at once where it is another process.
        training: whether one of that model runs.
        gauges: what the monitors in the stream measure, by model.
        recipe: digest of the stages of this process.
    """

    def __init__(
        self,
        declared: config.Config,
        shelves: Shelves,
        deployments: Deployments,
        store: IncidentStore,
        lake: Lake,
        train: Callable[[str, str], None],
        training: Callable[[str], bool],
        gauges: Callable[[], Mapping[str, Mapping[str, float]]],
        recipe: str,
    ) -> None:
        self._declared = declared
        self._shelves = shelves
        self._deployments = deployments
        self._store = store
        self._lake = lake
        self._train = train
        self._training = training
        self._gauges = gauges
        self._recipe = recipe
        self._outlooks = Outlooks(lake, store, declared)
        self._performance: dict[tuple[str, int], PerformanceMonitor] = {}
        self._looked: dict[str, int] = {}
        self._held: dict[str, str] = {}
        self._trained: dict[str, int] = {}
        self._cached: dict[tuple[str, int], Artefact] = {}

    def tick(self, at: int) -> None:
        """Whatever is due at `at`, UTC microseconds. What fails for one model is told, and the others go on."""
        self._store.upsert(rested(self._store.open(), at))
        for name, model in self._declared.models.items():
            try:
                if model.family == "forecasts":
                    self._forecast(name, model, at)
                self._late(name, model, at)
                self._wish(name, model, at)
            except VedetteError as error:
                log.warning("something of a model could not be done now", model=name, reason=str(error))

    # Forecasts.

    def forecasters(self, at: int) -> dict[str, dict[str, float]]:
        """By model of forecasts, the age of its champion at `at` (UTC microseconds), and how far what came was from its bounds."""
        ages = {name: (at - trained) / 1e6 for name, trained in list(self._trained.items())}
        return {name: {"age_seconds": age, **self._outlooks.gauges(name)} for name, age in ages.items()}

    def _forecast(self, name: str, model: config.Model, at: int) -> None:
        standing = self._deployments.standing(name)
        if not standing.champion:
            self._trained.pop(name, None)
            return
        beside = standing.previous if standing.stage == "probation" else standing.candidate
        versions = []
        for version in (standing.champion, beside):
            try:
                versions += [self._served(name, version)] if version else []
            except UNSERVABLE as error:
                probation = model.rollout.probation_hours > 0
                refuse(standing, version, at, error, self._deployments, self._store, probation=probation)
                return
        self._trained[name] = versions[0].card.trained_at
        if not self._outlooks.due(name, versions, at) or not beside:
            return
        evidence = self._outlooks.evidence(name, standing.judged, standing.champion + beside - standing.judged, standing.since, at)
        settings = model.rollout.model_copy(update={"canary_shares": ()})
        decision = next_step(standing, evidence, at, settings)
        if decision is not None:
            self._decide(decision, standing, model)

    def _decide(self, decision: Decision, standing: Standing, model: config.Model) -> None:
        try:
            self._deployments.decide(decision, standing, probation=model.rollout.probation_hours > 0)
        except Rejected:
            log.info("a person was faster than the policy", model=decision.model)

    def _served(self, name: str, version: int) -> Artefact:
        """A version, verified when it is first asked for, that was trained behind the recipe in use."""
        if (name, version) not in self._cached:
            artefact = self._shelves.registry.load(name, version)
            require_recipe(artefact.card, self._recipe)
            while len(self._cached) >= CACHED:
                self._cached.pop(next(iter(self._cached)))
            self._cached[name, version] = artefact
        return self._cached[name, version]

    # Figures that come late.

    def _late(self, name: str, model: config.Model, at: int) -> None:
        if at - self._looked.get(name, 0) < LATE:
            return
        self._looked[name] = at
        standing = self._deployments.standing(name)
        if not standing.champion:
            return
        card = self._shelves.registry.card(name, standing.champion)
        estimates, promised = self._estimates(name, model, standing, at), {"precision": PROMISED_PRECISION}
        if "coverage_80" in card.metrics:
            promised["coverage"] = card.metrics["coverage_80"]
        if "false_alarms_per_series_week" in card.metrics:
            # The card counts by series, people by incident: what is promised is what the replay of the whole path raised.
            promised["false_alarms_week"] = max(card.metrics.get("incidents_per_week", 0.0), 1.0)
        key = (name, standing.champion)
        monitor = self._performance.setdefault(key, PerformanceMonitor(promised, model.monitor, f"{name}@{standing.champion}"))
        self._deployments.tell(name, monitor.update(estimates, at))

    def _estimates(self, name: str, model: config.Model, standing: Standing, at: int) -> dict[str, Estimate]:
        found: dict[str, Estimate] = {}
        if model.family == "anomalies":
            incidents, said = self._store.heard(max(standing.since, at - 4 * WEEK))
            own = {each.id for each in incidents if each.explanation.get("model") == name}
            said = tuple(each for each in said if each.incident in own)
            if said:
                rows = pl.DataFrame([(each.at, each.incident, each.verdict, each.actor) for each in said],
                                    schema=["at", "incident", "verdict", "actor"], orient="row")  # fmt: skip
                found["precision"] = precision(rows, model.monitor.actor_share)
                found["false_alarms_week"] = false_alarms(rows, (at - max(standing.since, at - 4 * WEEK)) / 1e6)
        elif model.family == "forecasts":
            loaded = grounds.load(self._lake.root, self._declared.prepare, model.match, 8.0, until=at)
            came = stepped(loaded.frame.select(KEPT), model.step_seconds)
            rows = live_error(self._lake.root, name, standing.champion, came, at - WEEK)
            if rows.height:
                found["coverage"] = coverage(rows)
        return found

    # Trainings.

    def _wish(self, name: str, model: config.Model, at: int) -> None:
        if not model.retrain.automatic:
            return
        wished = wish(self._known(name, at), model.retrain)
        if wished is None:
            self._held.pop(name, None)
            return
        if wished.train:
            self._held.pop(name, None)
            log.info("a training begins", model=name, reason=wished.reason)
            self._train(name, wished.reason)
            return
        # Told once, not at every look: the figures in it change all the time.
        held = wished.reason.rpartition("; but ")[2].rstrip("0123456789. h")
        kind = "".join(each for each in held if not each.isdigit())
        if self._held.get(name) != kind:
            self._held[name] = kind
            log.info("a training is held back", model=name, reason=wished.reason)

    def _known(self, name: str, at: int) -> Known:
        standing = self._deployments.standing(name)
        history = self._deployments.decisions(name, 200)
        tried = max((each.at for each in history if each.stage == "training"), default=0)
        trained = 0
        if standing.champion:
            trained = self._shelves.registry.card(name, standing.champion).trained_at
        outcomes = [each for each in history if each.stage in {"refused", "shadow", "champion"} and each.version]
        refused = 0
        for each in outcomes:
            if each.stage != "refused":
                break
            refused += 1
        spent = sum(float(each.evidence.get("seconds", 0.0)) for each in history if each.at > at - WEEK)
        answers = Counter(each.incident for each in self._store.heard(max(tried, 1))[1])
        return Known(
            at=at,
            data_days=self._days(at),
            trained_at=min(trained, at) if trained else 0,
            tried_at=tried,
            running=self._training(name) or bool(standing.candidate),
            refused=refused,
            spent=spent,
            signals=self._signals(name, max(tried, trained)),
            verdicts=len(answers),
            unseen_share=self._gauges().get(name, {}).get("unseen", 0.0),
        )

    def _signals(self, name: str, since: int) -> tuple[Signal, ...]:
        return tuple(each for each in self._deployments.signals(name, since) if each.at > since)

    def _days(self, at: int) -> float:
        """Days of metrics that the lake holds, by the folder of its first day: nothing of it is opened for that."""
        days = sorted(each.name.removeprefix("day=") for each in (self._lake.root / "metrics").glob("day=*"))
        if not days:
            return 0.0
        first = datetime.fromisoformat(days[0]).replace(tzinfo=UTC)
        return at / DAY - first.timestamp() * 1e6 / DAY
