"""What can happen to a service, and what it does to it. Each kind is one function from a condition to the next."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vedette.testing.simulation.chance import Chance, Floats, Places
from vedette.testing.simulation.services import DAY, HOUR


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the script.

    Attributes:
        start, end: UTC microseconds; it holds from the first until just before the second. A `deployment`, a `season_change` and
            `growth` leave things changed for ever: of these, the end says when it is over for people.
        service: name of the service; no other changes.
        kind: one of `KINDS`.
        size: 1 is typical, 2 twice as strong.
        marked: whether people and alerts notice it. What is not marked leaves its traces in metrics and logs alone.
    """

    start: int
    end: int
    service: str
    kind: str
    size: float = 1.0
    marked: bool = True


@dataclass(frozen=True, slots=True)
class Condition:
    """How a service is, at each of n times; every array has n entries.

    Attributes:
        demand: factor on the requests that people want.
        shift: microseconds by which the daily shape comes later.
        answered: share of the requests that arrive (1, but in an outage).
        failing: share of requests that fail, on top of the ordinary.
        slowness: factor on durations.
        work: factor on the CPU that a request takes.
        waiting: factor on what waits.
        leaked: share of the memory that is lost.
        filled: how far the disk is on its way from where it was to full, 0 to 1.
        seen: whether its telemetry arrives.
    """

    demand: Floats
    shift: Floats
    answered: Floats
    failing: Floats
    slowness: Floats
    work: Floats
    waiting: Floats
    leaked: Floats
    filled: Floats
    seen: NDArray[np.bool_]


Effect = Callable[[Condition, Happening, Places, Chance], Condition]


def ordinary(count: int) -> Condition:
    """The condition in which nothing has happened.

    >>> ordinary(2).answered.tolist()
    [1.0, 1.0]
    """
    one, none = np.ones(count), np.zeros(count)
    return Condition(one, none, one, none, one, one, one, none, none, np.ones(count, np.bool_))


def condition(happenings: Iterable[Happening], at: Places, chance: Chance) -> Condition:
    """What the happenings of one service, in their order, make of it at each time.

    Args:
        happenings: those of one service.
        at: UTC microseconds, shape (n,).
        chance: decides what the script leaves open.
    """
    state = ordinary(len(at))
    for each in happenings:
        state = KINDS[each.kind](state, each, at, chance)
    return state


def held(happenings: Iterable[Happening], start: int, step: int, places: Places) -> Places:
    """The place whose values are shown at each place: its own, but while an exporter is stuck, the last before that.

    >>> held([Happening(30, 60, "web", "flat")], 0, 10, np.arange(8)).tolist()
    [0, 1, 2, 2, 2, 2, 6, 7]
    """
    shown = places
    for each in happenings:
        if each.kind == "flat":
            last = max(-((start - each.start) // step) - 1, 0)
            shown = np.where(_during(each, start + places * step), np.minimum(shown, last), shown)
    return shown


def _during(each: Happening, at: Places) -> NDArray[np.bool_]:
    return (at >= each.start) & (at < each.end)


def _progress(each: Happening, at: Places) -> Floats:
    """0 at its start and outside, close to 1 just before its end."""
    part: Floats = np.where(_during(each, at), (at - each.start) / max(each.end - each.start, 1), 0.0)
    return part


def _drawn(each: Happening, chance: Chance) -> float:
    return chance.one(f"{each.kind}|{each.service}|{each.start}")


def _deployment(state: Condition, each: Happening, at: Places, chance: Chance) -> Condition:
    after, rolling = (at >= each.start) * each.size, _during(each, at) * each.size
    turn = 0.5 + _drawn(each, chance)
    return replace(
        state,
        work=state.work * np.maximum(1.0 + after * 0.06 * turn, 0.1),
        slowness=state.slowness * np.maximum(1.0 - after * 0.04 * turn, 0.5),
        failing=state.failing + 0.002 * rolling,
    )


def _leak(state: Condition, each: Happening, at: Places, _: Chance) -> Condition:
    progress = _progress(each, at)
    pressed = progress**6 * each.size
    return replace(
        state,
        leaked=state.leaked + 0.45 * each.size * progress,
        slowness=state.slowness * (1.0 + 1.5 * pressed),
        work=state.work * (1.0 + 0.3 * pressed),
    )


def _latency(state: Condition, each: Happening, at: Places, chance: Chance) -> Condition:
    now = _during(each, at) * each.size
    return replace(
        state,
        slowness=state.slowness * (1.0 + now * (2.0 + 3.0 * _drawn(each, chance))),
        failing=state.failing + 0.04 * now,
        waiting=state.waiting * (1.0 + 2.0 * now),
        work=state.work * (1.0 + 0.15 * now),
    )


def _outage(state: Condition, each: Happening, at: Places, _: Chance) -> Condition:
    now = _during(each, at)
    piling = np.where(now, np.minimum((at - each.start) / HOUR, 1.0), 0.0)
    return replace(
        state,
        answered=np.where(now, state.answered * 0.02, state.answered),
        failing=state.failing + 0.98 * now,
        slowness=state.slowness * (1.0 + 4.0 * now),
        waiting=state.waiting * (1.0 + 400.0 * piling * each.size),
    )


def _error_burst(state: Condition, each: Happening, at: Places, _: Chance) -> Condition:
    return replace(state, failing=state.failing + 0.08 * each.size * _during(each, at))


def _season_change(state: Condition, each: Happening, at: Places, _: Chance) -> Condition:
    after = (at >= each.start) * each.size
    return replace(state, demand=state.demand * (1.0 + 0.3 * after), shift=state.shift + 4.0 * HOUR * after)


def _growth(state: Condition, each: Happening, at: Places, _: Chance) -> Condition:
    days = np.maximum(at - each.start, 0) / DAY
    # Years ahead it would leave the numbers that there are.
    grown = np.exp(np.minimum(days * np.log1p(0.01 * each.size), np.log(1000.0)))
    return replace(state, demand=state.demand * grown)


def _batch(state: Condition, each: Happening, at: Places, _: Chance) -> Condition:
    now = _during(each, at) * each.size
    return replace(state, work=state.work * (1.0 + now), waiting=state.waiting * (1.0 + now))


def _nothing(state: Condition, each: Happening, at: Places, chance: Chance) -> Condition:  # noqa: ARG001 -- an Effect
    return state


def _missing(state: Condition, each: Happening, at: Places, _: Chance) -> Condition:
    return replace(state, seen=state.seen & ~_during(each, at))


def _disk_full(state: Condition, each: Happening, at: Places, _: Chance) -> Condition:
    progress = np.minimum(_progress(each, at) * each.size, 1.0)
    return replace(state, filled=np.maximum(state.filled, progress), failing=state.failing + 0.3 * (progress > 0.98))


#: Kind of a happening -> what it does. `alert_noise` is in the events alone; `flat` is in `held`.
KINDS: Final[Mapping[str, Effect]] = {
    "deployment": _deployment,
    "leak": _leak,
    "latency": _latency,
    "outage": _outage,
    "error_burst": _error_burst,
    "season_change": _season_change,
    "growth": _growth,
    "batch": _batch,
    "alert_noise": _nothing,
    "missing": _missing,
    "disk_full": _disk_full,
    "flat": _nothing,
}
#: Kinds that an operator would want to be told of.
INCIDENTS: Final = frozenset({"leak", "latency", "outage", "error_burst", "missing", "disk_full", "flat"})
