"""The documents of the API. Times are UTC microseconds; what has 64 bits is text, since JSON's readers have 53."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from vedette.app.home import Incident
from vedette.app.models import ModelView
from vedette.core.catalogue import SeriesInfo
from vedette.core.types import Card, Decision, Signal
from vedette.web.reader import Curve, DeadLetter, LogLine, plain


class Answer(BaseModel):
    """A document that goes out."""

    model_config = ConfigDict(frozen=True)


class Fault(Answer):
    """Why a request was refused: what is wrong, in which field, at which record (counted from 0)."""

    error: str
    field: str = ""
    position: int | None = None


class Part(Answer):
    """One thing that must work."""

    state: Literal["ok", "degraded", "starting", "failed"]
    why: str = ""


class Ready(Answer):
    """Whether requests can be served, and each thing that this depends on."""

    ready: bool
    parts: Mapping[str, Part]


class Disk(Answer):
    """The volume that the home is on. Bytes."""

    free: int
    total: int


class ModelProgress(Answer):
    """How far a model is: of `known` things `learning` have no scores yet, and why."""

    model: str
    known: int
    learning: int
    why: str = ""


class Status(Answer):
    """How the pipeline is. `sources` holds the records in each book by source; what else it says of itself is added."""

    model_config = ConfigDict(frozen=True, extra="allow")

    version: str = ""
    sources: Mapping[str, Mapping[str, int]] = {}
    lag: int = 0
    series: int = 0
    models: list[ModelProgress] = []
    log_bytes: int = 0
    disk: Disk
    open_incidents: int


class SeriesAnswer(Answer):
    """A series: who it is."""

    id: str
    name: str
    labels: Mapping[str, str]
    kind: str
    unit: str

    @classmethod
    def of(cls, info: SeriesInfo) -> "SeriesAnswer":
        """As the API says it."""
        return cls(id=str(info.series), name=info.name, labels=info.labels, kind=info.kind, unit=info.unit)


class SeriesWindow(SeriesAnswer):
    """A series from `start` to `end`: its curves by model, as columns, and its lines where it is a log stream."""

    start: int
    end: int
    curves: list[Curve]
    lines: list[LogLine]


class IncidentAnswer(Answer):
    """An incident; `explanation` is described with incidents in the documentation."""

    id: str
    status: str
    severity: str
    title: str
    started_at: int
    updated_at: int
    ended_at: int | None
    labels: Mapping[str, str]
    explanation: Mapping[str, JsonValue]
    verdict: str

    @classmethod
    def of(cls, incident: Incident) -> "IncidentAnswer":
        """As the API says it."""
        values: dict[str, Any] = plain(incident.to_dict())
        return cls(**values)


class Verdict(BaseModel):
    """What an operator says of an incident."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Literal["real", "false", "known"]
    note: Annotated[str, Field(max_length=2000)] = ""


class DeadLetters(Answer):
    """What was set aside, the newest first."""

    dead_letters: list[DeadLetter]


class SeriesList(Answer):
    """Series found."""

    series: list[SeriesAnswer]


class IncidentList(Answer):
    """Incidents, the newest first."""

    incidents: list[IncidentAnswer]


class FindingAnswer(Answer):
    """What a check of a version found."""

    check: str
    passed: bool
    measured: str
    required: str
    why: str


class CardAnswer(Answer):
    """A version: what it is and where it comes from."""

    name: str
    version: int
    family: str
    kind: str
    parameters: Mapping[str, JsonValue]
    recipe: str
    dataset: str
    dataset_digest: str
    seed: str
    code: str
    trained_at: int
    parent: int | None
    trained_by: str
    passed: bool
    findings: list[FindingAnswer]
    metrics: Mapping[str, float | None]
    digest: str

    @classmethod
    def of(cls, card: Card) -> "CardAnswer":
        """As the API says it."""
        values: dict[str, Any] = plain(asdict(card))
        return cls(**(values | {"seed": str(card.seed), "passed": card.passed}))


class DecisionAnswer(Answer):
    """What was decided of a version, and why."""

    at: int
    model: str
    version: int
    move: str
    stage: str
    reason: str
    evidence: Mapping[str, JsonValue]
    actor: str

    @classmethod
    def of(cls, decision: Decision) -> "DecisionAnswer":
        """As the API says it."""
        values: dict[str, Any] = plain(asdict(decision))
        return cls(**values)


class SignalAnswer(Answer):
    """What a monitor said, and what to do about it."""

    at: int
    monitor: str
    subject: str
    severity: str
    reason: str
    advice: str

    @classmethod
    def of(cls, signal: Signal) -> "SignalAnswer":
        """As the API says it."""
        return cls(**asdict(signal))


class ModelAnswer(Answer):
    """A model: who speaks for it, who is on the way, and what was said and decided of it, the newest first."""

    name: str
    family: str
    champion: int | None
    candidate: int | None
    stage: str
    share: float
    learning: str
    gauges: Mapping[str, float | None]
    versions: list[CardAnswer]
    decisions: list[DecisionAnswer]
    signals: list[SignalAnswer]

    @classmethod
    def of(cls, model: ModelView) -> "ModelAnswer":
        """As the API says it."""
        return cls(
            name=model.name,
            family=model.family,
            champion=model.champion,
            candidate=model.candidate,
            stage=model.stage,
            share=model.share,
            learning=model.learning,
            gauges=plain(model.gauges),
            versions=[CardAnswer.of(card) for card in model.versions],
            decisions=[DecisionAnswer.of(decision) for decision in model.decisions],
            signals=[SignalAnswer.of(signal) for signal in model.signals],
        )


class ModelList(Answer):
    """All models."""

    models: list[ModelAnswer]


class DecisionList(Answer):
    """Decisions, the newest first."""

    decisions: list[DecisionAnswer]


class DatasetList(Answer):
    """What models learn from, the newest first."""

    datasets: list[Mapping[str, JsonValue]]


class Rollback(BaseModel):
    """Back to the champion before: why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: Annotated[str, Field(min_length=1, max_length=2000)]


class Promotion(Rollback):
    """A step forward: of which version, and why."""

    version: Annotated[int, Field(ge=1, lt=1 << 31)]
