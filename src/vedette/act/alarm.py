"""What a monitor says of a model, where it is so bad that a person must know: an incident like any other."""

from hashlib import blake2b

from vedette.act.incident import Incident
from vedette.core.types import Signal


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
        "direction": "", "members": [member], "member_count": 1, "first": [member["text"]], "logs": [], "changes": [], "merged": [],
    }  # fmt: skip
    labels = {"model": model, "monitor": signal.monitor}
    title = f"Model {model}: {signal.reason}"
    # Nothing says when it is over; it stays in the list as what it was, a message.
    return Incident(key, "closed", "warning", title, signal.at, signal.at, signal.at, labels, explanation)
