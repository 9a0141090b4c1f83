"""When the monitors speak: every threshold of the room, with defaults that make them speak rarely."""

from typing import Annotated

from pydantic import Field, model_validator

from vedette.core.settings import Settings

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]


class MonitorSettings(Settings):
    """What may be declared of the monitors. All durations are seconds.

    Attributes:
        again_seconds: the same is told again after this long; `worse`: or after an eighth of it, if worse by this factor.
        alpha: false discovery rate among the series that are called drifted.
        effect: golden spreads by which a mean must have moved to count; `huge`: one series so far off is told alone.
        share: series that must have drifted together.
        joint_p: how unlikely the sum of all small moves must be; `joint_ratio`: and how much larger than usual.
        joint_sure: times the usual that need only be as unlikely as `joint_doubt`: few days of training prove little.
        cap: times its golden level beyond which a series must never be learnt; only a person raises it.
        warn: times its golden level at which that is told, before the cap is reached.
        cap_p: false discovery rate at which a level counts as having left the golden one; so does one that moved by `effect`.
        stale_intervals: usual intervals without a point after which a series is stale, and at least `stale_seconds`.
        stale_share: series that must be stale together.
        missing: share of expected points that may be missing or no number.
        range_factor: golden ranges beyond which a value is out of range; `range_share`: series of which that is told.
        cardinality: times as many or as few series as were learnt.
        anomalies: times as many anomalous verdicts as usual; `anomalies_least`: and this much more of all verdicts.
        psi: population stability index beyond which the scores are distributed otherwise.
        null_share: verdicts that may still be learning; `nan_share`: that may be no number.
        verdicts: verdicts of a day below which nothing is said of their distribution.
        actor_share: share of all answers that one actor's may count for.
        tolerance: relative loss against what was promised that nobody is told of.
        least: cases below which no performance is judged.
        age_seconds: age at which a model is stale; `unseen`: share of live series that it never saw.

    >>> MonitorSettings(cap=2.0).warn
    1.3
    """

    again_seconds: Positive = 2 * 86_400.0
    worse: Annotated[float, Field(gt=1)] = 1.5
    alpha: Share = 5e-4
    effect: Positive = 1.0
    huge: Annotated[float, Field(gt=0, le=10)] = 6.0
    share: Share = 0.2
    joint_p: Share = 1e-6
    joint_ratio: Annotated[float, Field(gt=1)] = 3.0
    joint_sure: Annotated[float, Field(gt=1)] = 15.0
    joint_doubt: Share = 0.05
    cap: Annotated[float, Field(gt=1)] = 1.5
    warn: Annotated[float, Field(gt=1)] = 1.3
    cap_p: Share = 1e-3
    stale_intervals: Positive = 5.0
    stale_seconds: Positive = 3600.0
    stale_share: Share = 0.2
    missing: Share = 0.2
    range_factor: Positive = 1.0
    range_share: Share = 0.1
    cardinality: Annotated[float, Field(gt=1)] = 1.5
    anomalies: Annotated[float, Field(gt=1)] = 3.0
    anomalies_least: Share = 0.01
    psi: Positive = 0.25
    null_share: Share = 0.5
    nan_share: Share = 0.01
    verdicts: Annotated[int, Field(gt=0)] = 500
    actor_share: Share = 0.5
    tolerance: Annotated[float, Field(ge=0)] = 0.05
    least: Annotated[int, Field(gt=0)] = 20
    age_seconds: Positive = 28 * 86_400.0
    unseen: Share = 0.3

    @model_validator(mode="after")
    def _warn_comes_first(self) -> "MonitorSettings":
        if self.warn >= self.cap:
            raise ValueError(f"warn ({self.warn:g}) must be below cap ({self.cap:g}), or the warning comes too late")
        return self
