"""What a candidate must reach to be let in: limits on figures, absolute and against the champion.

The vocabulary is that of MLflow's `MetricThreshold`. A change is counted in the better direction, so a positive one demands that
the candidate is better by it, and a negative one tolerates that it is worse by as much.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, Self

from pydantic import model_validator

from vedette.core.settings import Settings
from vedette.core.types import Finding
from vedette.validate.vocabulary import metric, written


class Gate(Settings):
    """One figure and what is asked of it. Every limit that is given must hold.

    Attributes:
        metric: its name.
        min_absolute, max_absolute: bounds, both within.
        min_absolute_change: by how much it must at least be better than the champion's, in its own unit.
        min_relative_change: the same as a share of the champion's value.
        higher_is_better: known of the figures of `vocabulary.METRICS`; to be said of any other that is compared.

    >>> Gate(metric="event_f1", min_relative_change=-0.05).better
    True
    """

    metric: str
    min_absolute: float | None = None
    max_absolute: float | None = None
    min_absolute_change: float | None = None
    min_relative_change: float | None = None
    higher_is_better: bool | None = None

    @property
    def better(self) -> bool | None:
        """Whether more of it is better, as declared or as known; None where neither says."""
        return metric(self.metric).higher_is_better if self.higher_is_better is None else self.higher_is_better

    @property
    def compares(self) -> bool:
        """Whether it looks at the champion."""
        return self.min_absolute_change is not None or self.min_relative_change is not None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.compares and self.min_absolute is None and self.max_absolute is None:
            message = f"the gate on '{self.metric}' asks for nothing: give it a limit"
            raise ValueError(message)
        if self.compares and self.better is None:
            message = f"the gate on '{self.metric}' compares, but nobody said which way is better: set higher_is_better"
            raise ValueError(message)
        return self


#: What is asked where nothing is declared, by family.
DEFAULT_GATES: Final[Mapping[str, tuple[Gate, ...]]] = MappingProxyType(
    {
        "anomalies": (
            Gate(metric="false_alarms_per_series_week", max_absolute=1.0),
            Gate(metric="must_catch_recall", min_absolute=0.7),
            Gate(metric="event_f1", min_relative_change=-0.05),
            Gate(metric="worst_group_recall", min_absolute=0.2),
            Gate(metric="null_share", max_absolute=0.5),
            Gate(metric="microseconds_per_point", max_absolute=50.0),
            Gate(metric="memory_bytes_per_series", max_absolute=65_536.0),
        ),
        "forecasts": (
            Gate(metric="mase", max_absolute=1.0),
            Gate(metric="coverage_80", min_absolute=0.65, max_absolute=0.95),
            Gate(metric="wql", min_relative_change=-0.05),
            Gate(metric="null_share", max_absolute=0.5),
        ),
        "classes": (
            Gate(metric="macro_f1", min_absolute=0.5, min_relative_change=-0.02),
            Gate(metric="calibration_error", max_absolute=0.1),
            Gate(metric="null_share", max_absolute=0.5),
        ),
    }
)


def gates_for(family: str, declared: Sequence[Gate] = ()) -> tuple[Gate, ...]:
    """The usual gates of a family, with a declared one in the place of a usual one on the same figure.

    >>> [gate.max_absolute for gate in gates_for("forecasts", [Gate(metric="mase", max_absolute=0.9)])][0]
    0.9
    """
    named = {gate.metric: gate for gate in (*DEFAULT_GATES[family], *declared)}
    return tuple(named.values())


def judge(metrics: Mapping[str, float], champion: Mapping[str, float] | None, gates: Sequence[Gate]) -> tuple[Finding, ...]:
    """One finding a gate, in their order.

    Args:
        metrics: what was measured of the candidate; a figure that is missing, NaN or infinite fails its gate.
        champion: what was measured of the champion on the same data; None where there is none. Without its figure, what is asked
            against it is not asked.
        gates: what is asked.

    >>> judge({"mase": 1.2}, None, [Gate(metric="mase", max_absolute=1.0)])[0].why
    'MASE is 1.2, more than the 1 allowed. Above 1, repeating the last season would have done better.'
    """
    return tuple(_finding(gate, metrics.get(gate.metric, math.nan), _known(champion, gate.metric)) for gate in gates)


class _Limit(NamedTuple):
    """A bound, which side of it is good, what is asked in words, and what was done instead."""

    bound: float
    floor: bool
    asked: str
    broken: str

    def holds(self, value: float) -> bool:
        return value >= self.bound if self.floor else value <= self.bound


def _finding(gate: Gate, value: float, champion: float | None) -> Finding:
    words, limits = metric(gate.metric), _limits(gate, champion)
    required = ", and ".join(limit.asked for limit in limits) or "no worse than a champion, and there is none"
    title, measured = words.title[0].upper() + words.title[1:], written(gate.metric, value if math.isfinite(value) else math.nan)
    if not math.isfinite(value):
        why = f"{title} was not measured, and what is not measured is not let in. {words.why}"
        return Finding(gate.metric, passed=False, measured=measured, required=required, why=why)
    broken = [limit.broken for limit in limits if not limit.holds(value)]
    if broken:
        why = f"{title} is {measured}, {' and '.join(broken)}. {words.why}"
        return Finding(gate.metric, passed=False, measured=measured, required=required, why=why)
    return Finding(gate.metric, passed=True, measured=measured, required=required, why=words.why)


def _limits(gate: Gate, champion: float | None) -> list[_Limit]:
    limits = []
    if gate.min_absolute is not None:
        text = written(gate.metric, gate.min_absolute)
        limits.append(_Limit(gate.min_absolute, floor=True, asked=f"at least {text}", broken=f"less than the {text} required"))
    if gate.max_absolute is not None:
        text = written(gate.metric, gate.max_absolute)
        limits.append(_Limit(gate.max_absolute, floor=False, asked=f"at most {text}", broken=f"more than the {text} allowed"))
    if champion is not None and gate.min_absolute_change is not None:
        limits.append(_change(gate, champion, gate.min_absolute_change))
    if champion is not None and gate.min_relative_change is not None:
        limits.append(_change(gate, champion, gate.min_relative_change * abs(champion)))
    return limits


def _change(gate: Gate, champion: float, change: float) -> _Limit:
    floor = bool(gate.better)
    bound = champion + change if floor else champion - change
    text, had = written(gate.metric, bound), written(gate.metric, champion)
    asked = f"{'at least' if floor else 'at most'} {text} (the champion has {had})"
    return _Limit(bound, floor, asked, f"worse than the {text} asked against the champion's {had}")


def _known(champion: Mapping[str, float] | None, name: str) -> float | None:
    value = math.nan if champion is None else champion.get(name, math.nan)
    return value if math.isfinite(value) else None
