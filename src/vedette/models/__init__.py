"""The detectors, one algorithm a file. `Envelope` scores every point of every series against what it has learnt of it;
`Heartbeat` notices series that fell silent; `Novelty` notices log templates never seen before. Each is a dataclass of its
parameters, learns as it goes, keeps its memory in plain arrays, and depends on nothing
but the points it has seen and the time it is told.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from vedette.core.settings import Settings
from vedette.models.envelope import Envelope
from vedette.models.heartbeat import Heartbeat
from vedette.models.novelty import Novelty


class DetectorSettings(Settings):
    """What may be declared of the detectors.

    Attributes:
        max_series: series known at most, each with under a KiB of memory; a newcomer beyond them is not scored.
        forget_seconds: silence after which a series may be forgotten.
        silence_seconds: silence of a series that is never too long.
        novelty_learn_seconds: how long a log stream only teaches its vocabulary.
    """

    max_series: Annotated[int, Field(gt=0)] = 1_000_000
    forget_seconds: Annotated[float, Field(gt=0)] = 7 * 86_400.0
    silence_seconds: Annotated[float, Field(gt=0)] = 60.0
    novelty_learn_seconds: Annotated[float, Field(ge=0)] = 3600.0


def workbench() -> Envelope:
    """The detector of `vedette score`: that of the live stream, but only the first point of an episode is an alarm.

    A point within ten points of an alarm that does not pass its peak by a third scores just below 1: it keeps its rank, and wakes
    nobody again. (In the live stream incidents are what groups odd points.)

    >>> workbench().refractory
    10
    """
    return Envelope(refractory=10)


def standard(settings: DetectorSettings | None = None) -> Mapping[str, Envelope | Heartbeat | Novelty]:
    """The detectors of the live stream, by the name that their verdicts carry.

    >>> list(standard())
    ['envelope', 'heartbeat', 'novelty']
    """
    told = settings or DetectorSettings()
    return {
        "envelope": Envelope(max_series=told.max_series, forget_seconds=told.forget_seconds),
        "heartbeat": Heartbeat(max_series=told.max_series, forget_seconds=told.forget_seconds, least_seconds=told.silence_seconds),
        "novelty": Novelty(learn_seconds=told.novelty_learn_seconds),
    }


__all__ = ["DetectorSettings", "Envelope", "Heartbeat", "Novelty", "standard", "workbench"]
