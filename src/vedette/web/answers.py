"""The documents of the API. Times are UTC microseconds; what has 64 bits is text, since JSON's readers have 53."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from vedette.app.home import Incident
from vedette.core.catalogue import SeriesInfo
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
