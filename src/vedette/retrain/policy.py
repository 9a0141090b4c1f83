"""When a model is trained anew, and when not although somebody would like to: a pure function of what is known."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from vedette.core.settings import Settings
from vedette.core.types import Signal

HOUR: Final = 3_600_000_000
DAY: Final = 24 * HOUR
#: Monitors whose signal is a reason, and what it is called.
OPENERS: Final = {
    **dict.fromkeys(("drift", "joint"), "drift"),
    **dict.fromkeys(("anomalies", "scores", "silence", "precision", "false_alarms_week", "mae", "coverage", "accuracy"), "decay"),
}


class RetrainSettings(Settings):
    """What opens a training, and what holds it back.

    Attributes:
        automatic: whether anything but a person's word does.
        first_days: days of data before the first version.
        every_days: age of the champion's training after which there is a new one.
        cooldown_hours: time between two attempts, whatever the reasons.
        drift: whether a drift signal is a reason.
        decay: whether a signal of decay is one.
        verdicts: operators' answers since the last training that are one.
        unseen_share: share of live series that the champion never saw that is one.
        budget_seconds: time of training in a week that is not passed.
        failures: attempts refused in a row after which only a person's word opens the next.
    """

    automatic: bool = True
    first_days: Annotated[float, Field(gt=0)] = 7.0
    every_days: Annotated[float, Field(gt=0)] = 7.0
    cooldown_hours: Annotated[float, Field(ge=0)] = 24.0
    drift: bool = True
    decay: bool = True
    verdicts: Annotated[int, Field(gt=0)] = 5
    unseen_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    budget_seconds: Annotated[float, Field(gt=0)] = 7200.0
    failures: Annotated[int, Field(gt=0)] = 5


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a model when the question is asked. Times are UTC microseconds, 0 for never.

    Attributes:
        at: now.
        data_days: days of data there are.
        trained_at: when the champion was trained.
        tried_at: when a training was last begun.
        running: whether one runs, or its candidate is on its way still.
        refused: attempts that were refused since the last that was not.
        spent: seconds of training in the last seven days.
        signals: of monitors, since the last attempt.
        verdicts: operators' answers since then.
        unseen_share: of live series that the champion never saw.
    """

    at: int
    data_days: float
    trained_at: int = 0
    tried_at: int = 0
    running: bool = False
    refused: int = 0
    spent: float = 0.0
    signals: tuple[Signal, ...] = ()
    verdicts: int = 0
    unseen_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Wish:
    """Whether a training is to begin, and why, or what holds it back."""

    train: bool
    reason: str


def reasons(known: Known, settings: RetrainSettings) -> Iterator[str]:
    """Everything that asks for a training, in words."""
    if not known.trained_at:
        if known.data_days >= settings.first_days:
            yield f"there is no version yet, and there are {known.data_days:.1f} days of data"
        return
    age = (known.at - known.trained_at) / DAY
    if age >= settings.every_days:
        yield f"schedule: the champion was trained {age:.1f} days ago"
    for signal in known.signals:
        opener = OPENERS.get(signal.monitor)
        if (opener == "drift" and settings.drift) or (opener == "decay" and settings.decay):
            yield f"{opener}: {signal.reason}"
    if known.verdicts >= settings.verdicts:
        yield f"verdicts: operators answered {known.verdicts} times since the last training"
    if known.unseen_share >= settings.unseen_share:
        yield f"new series: the champion never saw {known.unseen_share:.0%} of the live ones"


def wish(known: Known, settings: RetrainSettings) -> Wish | None:
    """What is wished for now; None where nothing is.

    >>> wish(Known(at=30 * DAY, data_days=8.0), RetrainSettings())
    Wish(train=True, reason='there is no version yet, and there are 8.0 days of data')
    """
    if not settings.automatic:
        return None
    asked = list(reasons(known, settings))
    if not asked:
        return None
    reason = asked[0] if len(asked) == 1 else f"{asked[0]} (and {len(asked) - 1} more)"
    held = hindrance(known, settings)
    return Wish(train=not held, reason=f"{reason}; but {held}" if held else reason)


def hindrance(known: Known, settings: RetrainSettings) -> str:
    """What holds a training back now, in words; empty where nothing does."""
    waited = (known.at - known.tried_at) / HOUR
    if known.running:
        return "a training or its candidate is on its way"
    if known.tried_at and waited < settings.cooldown_hours:
        return f"the last attempt was {waited:.1f} h ago, and {settings.cooldown_hours:g} h have to pass"
    if known.spent >= settings.budget_seconds:
        return f"the week's {settings.budget_seconds:g} s of training are spent"
    if known.refused >= settings.failures:
        return f"{known.refused} candidates were refused in a row: a person has to look"
    return ""
