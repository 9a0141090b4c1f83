"""The models of a home as people see and move them: the same for the verbs, the API and the pages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from vedette import config
from vedette.app.shelves import Shelves
from vedette.core.errors import BadRecord, NotFound, Rejected
from vedette.core.ports import Clock
from vedette.core.types import Card, Decision, Signal
from vedette.deploy import Deployments, Standing
from vedette.monitor.settings import MonitorSettings

#: Times as often outside its bounds as its card says, from which on a forecaster has drifted.
OFTEN: Final = 2.0


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model as its pages show it.

    Attributes:
        name, family: as declared.
        champion: the version that speaks; None while there is none.
        candidate: the version on its way; None while there is none.
        stage: where the candidate stands, `shadow` or `canary`; empty where there is none.
        share: of the traffic that the candidate speaks for, 0 to 1.
        versions: the newest first.
        decisions: the newest first.
        signals: what monitors said of it, the newest first.
        gauges: figures by name. Those that begin with `drift` are shares of what is borne: from 1 on it has drifted. Those that
            end in `_seconds` are durations.
        learning: in words what it still has to learn; empty where there is nothing.
    """

    name: str
    family: str
    champion: int | None = None
    candidate: int | None = None
    stage: str = ""
    share: float = 0.0
    versions: tuple[Card, ...] = ()
    decisions: tuple[Decision, ...] = ()
    signals: tuple[Signal, ...] = ()
    gauges: Mapping[str, float] = field(default_factory=dict)
    learning: str = ""

    def card(self, version: int | None) -> Card | None:
        """The card of that version, where it is known."""
        return next((card for card in self.versions if card.version == version), None)


class Models:
    """Looks at models, and carries out what people decide of them.

    Args:
        declared: what the user declared.
        shelves: where everything lies.
        deployments: where versions stand.
        clock: UTC microseconds.
        gauges: what monitors measure, by model.
    """

    def __init__(
        self,
        declared: config.Config,
        shelves: Shelves,
        deployments: Deployments,
        clock: Clock,
        gauges: Callable[[], Mapping[str, Mapping[str, float]]] = dict,
    ) -> None:
        self._declared = declared
        self._shelves = shelves
        self._deployments = deployments
        self._clock = clock
        self._gauges = gauges

    def names(self) -> Sequence[str]:
        """Of all that are declared or have versions, in order."""
        return sorted({*self._declared.models, *self._shelves.registry.names()})

    def model(self, name: str) -> ModelView:
        """One.

        Raises:
            NotFound: it is neither declared nor has it versions.
        """
        if name not in self.names():
            raise NotFound(f"there is no model '{name}'; there are: {', '.join(self.names()) or 'none'}")
        declared = self._declared.models.get(name)
        there = name in self._shelves.registry.names()
        versions = tuple(sorted(self._shelves.registry.cards(name), key=lambda card: -card.version)) if there else ()
        standing = self._deployments.standing(name)
        lack = "no version was accepted yet" if versions else "no version yet"
        waiting = "" if standing.champion else f"{lack}: the detector as it is shipped speaks, or nothing does"
        return ModelView(
            name=name,
            family=declared.family if declared else versions[0].family,
            champion=standing.champion or None,
            candidate=standing.candidate or None,
            stage=standing.stage if standing.candidate else "",
            share=standing.share,
            versions=versions,
            decisions=self._deployments.decisions(name, 50),
            signals=self._deployments.signals(name, limit=20),
            gauges=borne(self._gauges().get(name, {}), declared.monitor) if declared else {},
            learning=waiting,
        )

    def report(self, name: str, version: int) -> bytes:
        """The report of a version as HTML.

        Raises:
            NotFound: there is no such version.
        """
        return self._shelves.registry.file(name, version, "report.html")

    def promote(self, name: str, version: int, actor: str, reason: str, *, anyway: bool = False) -> Decision:
        """Make `version` the champion.

        Args:
            name: of the model.
            version: which one.
            actor: who decides.
            reason: why, in words.
            anyway: also where a gate rejected it.

        Raises:
            NotFound: there is no such version.
            Rejected: it is the champion already, a gate rejected it, its trainer would approve it, or another was faster.
            Tampered: it is not what was signed.
        """
        card = self._shelves.registry.load(name, version).card
        standing = self._deployments.standing(name)
        if standing.champion == version:
            raise Rejected(f"{card.label} is the champion already")
        failed = [each for each in card.findings if not each.passed]
        if failed and not anyway:
            told = "; ".join(f"{each.check}: {each.measured}, required {each.required}" for each in failed)
            raise Rejected(
                f"{card.label} did not pass: {told}. Who wants it all the same says so: vedette promote {card.label} --anyway"
            )
        if self._declared.registry.two_people and actor == card.trained_by:
            raise Rejected(f"{card.label} was trained by {actor}; another person has to approve it (registry.two_people is set)")
        evidence = {"from": standing.champion, "failed": [each.check for each in failed]}
        decision = Decision(self._clock(), name, version, "PROMOTE", "champion", reason or "by hand", evidence, actor)
        return self._decide(decision, standing)

    def rollback(self, name: str, actor: str, reason: str) -> Decision:
        """Back to the champion before; with a candidate on its way, that one goes.

        Raises:
            Rejected: there is nothing to go back to, or another was faster.
        """
        standing = self._deployments.standing(name)
        if standing.candidate:
            decision = Decision(self._clock(), name, standing.candidate, "ROLL_BACK", "rejected", reason or "by hand", {}, actor)
            return self._decide(decision, standing)
        if not standing.champion:
            raise Rejected(f"{name} has no champion, so there is nothing to go back from")
        if standing.previous:
            self._shelves.registry.load(name, standing.previous)
        evidence = {"back_to": standing.previous}
        decision = Decision(self._clock(), name, standing.champion, "ROLL_BACK", "retired", reason or "by hand", evidence, actor)
        return self._decide(decision, standing)

    def datasets(self) -> Sequence[Mapping[str, Any]]:
        """What models learn from, the newest first."""
        return [asdict(each) for each in self._shelves.datasets.manifests()]

    def _decide(self, decision: Decision, standing: Standing) -> Decision:
        declared = self._declared.models.get(decision.model)
        probation = declared is not None and declared.rollout.probation_hours > 0
        self._deployments.decide(decision, standing, probation=probation)
        return decision


def borne(gauges: Mapping[str, float], settings: MonitorSettings) -> dict[str, float]:
    """Gauges with those of drift as shares of what is borne: from 1 on a monitor speaks.

    >>> borne({"drift": 0.1, "drift_cap": 1.25, "age_seconds": 9.0}, MonitorSettings(share=0.2, cap=1.5))
    {'drift': 0.5, 'drift_cap': 0.5, 'age_seconds': 9.0}
    """
    spans = {
        "drift": (0.0, settings.share), "drift_joint": (0.0, settings.joint_sure), "drift_cap": (1.0, settings.cap),
        "drift_classes": (0.0, settings.psi), "drift_bounds": (0.0, OFTEN),
    }  # fmt: skip
    return {
        name: (value - spans[name][0]) / (spans[name][1] - spans[name][0]) if name in spans else value
        for name, value in gauges.items()
    }


def versioned(label: str) -> tuple[str, str]:
    """NAME and what is behind its `@`, which may be empty, a number or an alias.

    >>> versioned("web@3"), versioned("web")
    (('web', '3'), ('web', ''))
    """
    name, _, version = label.partition("@")
    return name, version


def resolved(label: str, shelves: Shelves, deployments: Deployments) -> tuple[str, int]:
    """The version that `NAME[@VERSION|@champion|@challenger|@latest]` means; the champion, else the newest, where nothing is said.

    Raises:
        NotFound: there is none.
        BadRecord: what is behind the `@` is neither a number nor an alias.
    """
    name, asked = versioned(label)
    if asked.isdigit():
        return name, int(asked)
    standing = deployments.standing(name)
    newest = shelves.registry.highest(name) if name in shelves.registry.names() else 0
    known = {"champion": standing.champion, "challenger": standing.candidate, "previous": standing.previous, "latest": newest}
    if asked and asked not in known:
        raise BadRecord(f"expected a number or one of {', '.join(known)}, got '{asked}'", field="version")
    version = known[asked] if asked else standing.champion or newest
    if not version:
        raise NotFound(f"{name} has no {asked or 'version'} yet; train one with: vedette train {name}")
    return name, version
