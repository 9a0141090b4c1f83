"""What may be declared of a model's data and search."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from vedette.core.selection import Selection
from vedette.core.settings import Settings

Family = Literal["anomalies", "forecasts", "classes"]
Share = Annotated[float, Field(gt=0, lt=1)]


class SearchSettings(Settings):
    """How long better parameters are looked for.

    Attributes:
        trials: candidates tried at most; 0 keeps the usual parameters.
        seconds: after which no new candidate is begun.
        processes: candidates tried side by side; 0 is one a core.
        seed: of what is drawn.
    """

    trials: Annotated[int, Field(ge=0, le=1000)] = 16
    seconds: Annotated[float, Field(gt=0)] = 600.0
    processes: Annotated[int, Field(ge=0, le=64)] = 0
    seed: Annotated[int, Field(ge=0)] = 0


class TrainSettings(Settings):
    """A model: what it learns from, and how it is looked for.

    Attributes:
        family: `anomalies`, `forecasts` or `classes`.
        match: the series it is about.
        window_days: how far back it learns.
        step_seconds: forecasts: points are put together to means of that length.
        horizon: forecasts: steps ahead.
        limit: forecasts: a value that must not be crossed; a forecast that does becomes an incident.
        limit_side: on which side of `limit` it is bad.
        events: classes: the kind of events it reads.
        text: classes: where the text is: `title`, `label:NAME` or `annotation:NAME`, put together in this order.
        features: classes: further labels that are looked at.
        label: classes: the label of an event that holds its class, where it is known.
        writes: classes: the label under which the class is put on live events.
        validation: the share of the time that the search is judged on.
        holdout: the share that only the final judgement sees.
        gap_seconds: left out between the parts.
        share_cap: the largest share of one source, where there are enough sources for all to stay below it.
        miss_cost: how many false alarms a missed event is worth.
        most_alarms: false alarms a series and week that a search without labels may not pass.
        search: how long better parameters are looked for.
    """

    family: Family
    match: Selection = Selection()
    window_days: Annotated[float, Field(gt=0)] = 28.0
    step_seconds: Annotated[int, Field(gt=0)] = 3600
    horizon: Annotated[int, Field(gt=0, le=2000)] = 24
    limit: float | None = None
    limit_side: Literal["above", "below"] = "above"
    events: Literal["alert", "change", "ticket"] = "alert"
    text: tuple[str, ...] = ("title",)
    features: tuple[str, ...] = ()
    label: str = "class"
    writes: str = "vedette_class"
    validation: Share = 0.2
    holdout: Share = 0.2
    gap_seconds: Annotated[float, Field(ge=0)] = 3600.0
    share_cap: Share = 0.05
    miss_cost: Annotated[float, Field(gt=0)] = 5.0
    most_alarms: Annotated[float, Field(gt=0)] = 0.5
    search: SearchSettings = SearchSettings()

    @model_validator(mode="after")
    def _something_is_left(self) -> Self:
        if self.validation + self.holdout >= 1:
            raise ValueError(f"validation {self.validation:g} and holdout {self.holdout:g} leave nothing to train on")
        return self
