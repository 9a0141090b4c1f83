"""What a monitor says of a model, where it is so bad that a person must know: an incident like any other."""

from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b
from typing import Final

from vedette.act.incident import Incident
from vedette.core.types import Signal

#: A monitor tells again what lasts within this, microseconds; what it has not told again is over.
RESTS: Final = 3 * 86_400_000_000


def of_signal(model: str, signal: Signal) -> Incident:
    """The incident of a signal: one a model and monitor, so that what is told again is not another.

    >>> of_signal("web", Signal(7, "cap", "web@3", "critical", "it creeps", "look")).title
    'Model web: it creeps'
    """
    key = blake2b(f"model|{model}|{signal.monitor}".encode(), digest_size=8).hexdigest()
    member = {
        "key": f"model:{model}:{signal.monitor}", "kind": "model", "series": 0, "name": model, "labels": {"model": model},
        "text": f"{signal.reason} {signal.advice}", "since": signal.at, "last": signal.at, "active": True, "direction": "",
        "at": signal.at, "value": None, "yhat": None, "yhat_lower": None, "yhat_upper": None, "score": None,
    }  # fmt: skip
    explanation = {
        "model": model, "direction": "", "members": [member], "member_count": 1, "first": [member["text"]], "logs": [],
        "changes": [], "merged": [],
    }  # fmt: skip
    labels = {"model": model, "monitor": signal.monitor}
    return Incident(key, "open", "warning", f"Model {model}: {signal.reason}", signal.at, signal.at, None, labels, explanation)


def rested(open_: Iterable[Incident], at: int) -> tuple[Incident, ...]:
    """Those of a monitor that it has not told again for days, at their end; `at` is now, UTC microseconds.

    >>> one = of_signal("web", Signal(7, "cap", "web@3", "critical", "it creeps", "look"))
    >>> len(rested([one], 8)), rested([one], 8 + RESTS)[0].status
    (0, 'closed')
    """
    over = (each for each in open_ if "monitor" in each.labels and each.updated_at < at - RESTS)
    return tuple(replace(each, status="closed", updated_at=at, ended_at=at) for each in over)
