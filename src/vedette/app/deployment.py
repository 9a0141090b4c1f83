"""Between two beats: what was decided is carried out, and what was seen of a version decides.

A version is loaded from the registry, verified, before it sits in a lane. One that cannot be loaded, or was trained behind another
recipe, is sent back and what sits there stays. What is decided here is kept in SQL first; the part that changed is saved with the
next checkpoint, which the flow takes at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import structlog

from vedette import config
from vedette.act import IncidentStore
from vedette.act.alarm import of_signal
from vedette.act.hearing import HearingSettings, tolerated
from vedette.app.events import recipe_of, require_columns
from vedette.app.routing import Router
from vedette.core.arrays import part
from vedette.core.errors import BadRecord, NotFound, Rejected, Tampered, Transient, VedetteError
from vedette.core.ports import Versions
from vedette.core.types import Artefact, Card, Decision, Signal, State
from vedette.deploy import Deployments, Evidence, Side, Standing, next_step
from vedette.serve.fleet import Fleet, Plan, Seat
from vedette.serve.side import FIELDS, Tally
from vedette.serve.tolerance import Tolerance

DAY: Final = 86_400_000_000
#: How long between two looks at what operators said, microseconds of the stream.
LISTEN: Final = 10_000_000
#: Why a version may not be loaded, for ever.
UNSERVABLE: Final = (Tampered, NotFound, BadRecord, Rejected)

log = structlog.get_logger()


class Rollouts:
    """Implements the `turn` of the flow.

    Args:
        models: what was declared.
        deployments: where versions stand.
        shelf: where versions come from.
        fleet: the lanes of metrics.
        router: the desks of events.
        tolerance: what operators got used to.
        store: the incidents and what was said of them.
        hearing: how far operators' answers reach.
        recipe: digest of the stages of this process.
    """

    def __init__(
        self,
        models: Mapping[str, config.Model],
        deployments: Deployments,
        shelf: Versions,
        fleet: Fleet,
        router: Router,
        tolerance: Tolerance,
        store: IncidentStore,
        hearing: HearingSettings,
        recipe: str,
        changed: Callable[[str, Artefact | None], None] = lambda _model, _champion: None,
    ) -> None:
        self._models = {name: model for name, model in models.items() if model.family != "forecasts"}
        self._deployments = deployments
        self._shelf = shelf
        self._fleet = fleet
        self._router = router
        self._tolerance = tolerance
        self._store = store
        self._hearing = hearing
        self._recipe = recipe
        self._changed = changed
        self._artefacts: dict[tuple[str, int], Artefact] = {}
        self._seated: dict[str, int] = {}
        self._listened = 0

    def turn(self, at: int) -> bool:
        """Whether a part was changed at `at`, the time of the last beat, UTC microseconds."""
        try:
            heard = self._listen(at)
            standings = self._deployments.standings()
            due = [each for each in standings.values() if each.model in self._models and each.since <= at]
            decided = [self._decide(standing, at) for standing in due]
            if any(decided):
                standings = self._deployments.standings()
            seated = self._seat(standings, at)
            for name in self._router.desks.keys() & standings.keys():
                seated |= self._seat_desk(name, standings[name], at)
        except Transient as error:
            log.warning("where the models stand cannot be read now; what sits in the lanes stays", reason=str(error))
            return False
        return heard or seated

    def _decide(self, standing: Standing, at: int) -> bool:
        """Whether something was decided of it."""
        if self._seated.get(standing.model) != standing.revision:
            return False
        settings = self._models[standing.model].rollout
        if standing.model in self._router.desks:
            evidence = self._router.desks[standing.model].evidence()
            settings = settings.model_copy(update={"canary_shares": ()})
        else:
            lane = self._fleet.lanes.get(standing.model)
            if lane is None or lane.other is None:
                return False
            own, beside = (lane.beside, lane.own) if standing.stage == "probation" else (lane.own, lane.beside)
            evidence = Evidence(_side(own), _side(beside), *self._answers(standing))
        decision = next_step(standing, evidence, at, settings)
        if decision is not None:
            self._carry_out(decision, standing)
        return decision is not None

    def _carry_out(self, decision: Decision, standing: Standing) -> None:
        probation = self._models[standing.model].rollout.probation_hours > 0
        try:
            self._deployments.decide(decision, standing, probation=probation)
        except Rejected:
            log.info("a person was faster than the policy", model=standing.model)
            return
        log.info(
            "a version was moved", model=decision.model, version=decision.version, stage=decision.stage, reason=decision.reason
        )

    def _seat(self, standings: Mapping[str, Standing], at: int) -> bool:
        due = {name: each for name, each in standings.items() if name in self._models and each.since <= at}
        due = {name: each for name, each in due.items() if name not in self._router.desks}
        if all(self._seated.get(name) == each.revision for name, each in due.items()):
            return False
        # What is walked again after a crash is older than what was decided since: such a lane stays as it is until then.
        later = self._models.keys() & standings.keys() - due.keys()
        plans = [lane.plan for name, lane in self._fleet.lanes.items() if name in later]
        for name, standing in due.items():
            plan = self._plan(standing, at)
            if plan is not None:
                plans.append(plan)
                self._seated[name] = standing.revision
            elif name in self._fleet.lanes:
                plans.append(self._fleet.lanes[name].plan)
        before = {name: lane.plan for name, lane in self._fleet.lanes.items()}
        self._fleet.plan(plans, self._learnt)
        for plan in plans:
            if plan.model not in before or before[plan.model].champion != plan.champion:
                self._changed(plan.model, self._artefacts.get((plan.model, plan.champion.version)))
        return before != {name: lane.plan for name, lane in self._fleet.lanes.items()}

    def _seat_desk(self, name: str, standing: Standing, at: int) -> bool:
        if standing.since > at or self._seated.get(name) == standing.revision:
            return False
        seats = self._loaded(standing, recipe_of(self._models[name]), at)
        if seats is None:
            return False
        self._seated[name] = standing.revision
        desk = self._router.desks[name]
        # After a restart those of the checkpoint sit there already, and what was counted of them goes on.
        if [_label(each) for each in (desk.champion, desk.other)] == [_label(each) for each in seats]:
            return False
        desk.seat(*seats)
        return True

    def _plan(self, standing: Standing, at: int) -> Plan | None:
        """Who is to sit in the lane; None where a version could not be loaded: then it was sent back."""
        seats = self._loaded(standing, self._recipe, at)
        if seats is None:
            return None
        champion, other = (Seat(each.card.version, dict(each.card.parameters)) if each else None for each in seats)
        share = standing.share if standing.stage == "canary" else 0.0
        return Plan(standing.model, champion or Seat(0, {}), other, share, standing.stage)

    def _loaded(self, standing: Standing, recipe: str, at: int) -> tuple[Artefact | None, Artefact | None] | None:
        """The champion and what is compared with it; None where one of them could not be loaded: then that one was sent back."""
        found: list[Artefact | None] = []
        for version in (standing.champion, standing.previous if standing.stage == "probation" else standing.candidate):
            try:
                found.append(self._checked(standing.model, version, recipe) if version else None)
            except UNSERVABLE as error:
                probation = self._models[standing.model].rollout.probation_hours > 0
                refuse(standing, version, at, error, self._deployments, self._store, probation=probation)
                return None
        return found[0], found[1]

    def _checked(self, model: str, version: int, recipe: str) -> Artefact:
        """A version that was trained behind the recipe that is in use.

        Raises:
            Rejected: it was trained behind another, or nothing can be made of it.
            BadRecord: a class model learnt from a column that is not there any more.
        """
        artefact = self._artefact(model, version)
        if model in self._router.desks:
            require_columns(artefact, self._models[model])
        require_recipe(artefact.card, recipe)
        if model not in self._router.desks:
            self._fleet.trial(artefact.card.parameters, part(artefact.arrays, "model"))
        return artefact

    def _artefact(self, model: str, version: int) -> Artefact:
        key = (model, version)
        if key not in self._artefacts:
            self._artefacts = {
                known: each for known, each in self._artefacts.items() if known[0] != model or known[1] in self._standing(model)
            }
            self._artefacts[key] = self._shelf.load(model, version)
        return self._artefacts[key]

    def _standing(self, model: str) -> set[int]:
        standing = self._deployments.standing(model)
        return {standing.champion, standing.previous, standing.candidate}

    def _learnt(self, model: str, seat: Seat) -> State | None:
        if seat.version == 0:
            return None
        return part(self._artefact(model, seat.version).arrays, "model")

    def _answers(self, standing: Standing) -> tuple[int, int]:
        """Incidents that the model raised since the stage began, which operators called real, and false."""
        incidents, _ = self._store.heard(standing.since)
        own = (each for each in incidents if each.explanation.get("model") == standing.model)
        told = [each.verdict for each in own if each.started_at >= standing.since]
        return told.count("real"), told.count("false")

    def _listen(self, at: int) -> bool:
        if at - self._listened < LISTEN:
            return False
        self._listened = at
        incidents, answers = self._store.heard(at - int(2 * self._hearing.days * DAY))
        rows = tolerated(incidents, answers, self._hearing)
        if rows.equals(self._tolerance.rows):
            return False
        log.info("what operators said changes what is raised", series=rows.height)
        self._tolerance.set(rows)
        return True


def require_recipe(card: Card, recipe: str) -> None:
    """Refuse a version that was trained behind another recipe than the one in use.

    Raises:
        Rejected: it was.
    """
    if card.recipe != recipe:
        raise Rejected(
            f"{card.label} was trained behind the recipe {card.recipe}, and this process prepares its input "
            f"by {recipe}: train it anew, or go back to the settings that it was trained with"
        )


def refuse(
    standing: Standing,
    version: int,
    at: int,
    error: VedetteError,
    deployments: Deployments,
    store: IncidentStore,
    *,
    probation: bool,
) -> None:
    """Send back a version that cannot be served, whichever of the three that stand somewhere it is, and tell people."""
    reason, label = f"it cannot be served: {error}", f"{standing.model}@{version}"
    if version == standing.candidate:
        decision = Decision(at, standing.model, version, "ROLL_BACK", "rejected", reason)
    elif version == standing.champion:
        decision = Decision(at, standing.model, version, "ROLL_BACK", "retired", reason)
    else:
        reason = f"its probation is over, since {label} cannot be served beside it: {error}"
        decision = Decision(at, standing.model, standing.champion, "HOLD", "champion", reason)
    try:
        deployments.decide(decision, standing, probation=probation)
    except Rejected:
        log.info("a person was faster than the policy", model=standing.model)
        return
    log.warning("a version cannot be served", model=standing.model, version=version, reason=str(error))
    advice = "look at the file it names; `vedette verify` checks all versions, `vedette train` makes a new one"
    signal = Signal(at, "registry", label, "critical", decision.reason, advice)
    deployments.tell(standing.model, (signal,))
    store.upsert([of_signal(standing.model, signal)])


def _label(artefact: Artefact | None) -> str:
    return artefact.card.label if artefact else ""


def _side(tally: Tally) -> Side:
    names = ("points", "nulls", "broken", "least", "largest", "alarms", "error", "errors", "seconds")
    whole = {"points", "nulls", "broken", "alarms", "errors"}
    values: dict[str, Any] = {
        name: int(value) if name in whole else float(value) for name, value in zip(names, tally.sums[:FIELDS], strict=True)
    }
    return replace(Side(), **values)
