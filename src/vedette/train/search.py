"""The search for better parameters: seeded, pruned, bounded in trials and time, and resumable.

Candidates are drawn in groups whose size does not depend on the machine, judged on a part of the data, pruned where they are worse
than the median was there, and judged on all of it. Every answer is remembered by what was asked, so a search that was killed draws
the same candidates again and has their answers at once: the same seed ends with the same parameters.
"""

import math
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vedette.core import digest
from vedette.core.ports import Engine

#: The share of the data on which a candidate is judged first.
FIRST_LOOK: Final = 0.25
#: Candidates that are drawn together.
GROUP: Final = 4
#: What an answer that is no number counts for.
WORST: Final = -1e30

Parameters = Mapping[str, Any]
#: (parameters, share of the data) -> value, the larger the better.
Objective = Callable[[tuple[Parameters, float]], float]


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`; `log` looks at their ratios, `whole` takes whole numbers."""

    low: float
    high: float
    log: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values."""

    options: tuple[Any, ...]


Space = Mapping[str, Range | Choice]


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found: the best parameters, their value, that of the usual ones, and how many were tried and pruned."""

    parameters: Parameters
    value: float
    usual: float
    tried: int
    pruned: int


def search(
    objective: Objective,
    space: Space,
    usual: Parameters,
    *,
    trials: int,
    seed: int,
    engine: Engine,
    remembered: MutableMapping[str, float],
    go_on: Callable[[], bool] = lambda: True,
    tell: Callable[[int, float], None] = lambda _done, _best: None,
) -> Found:
    """Look for parameters better than the `usual` ones, which are tried first and stay where nothing beats them.

    Args:
        objective: importable where the engine uses other processes.
        space: what may vary.
        usual: the parameters one starts from, also those that do not vary.
        trials: candidates at most.
        seed: of what is drawn.
        engine: where candidates are judged.
        remembered: answers by question; what it holds already is not asked again.
        go_on: asked before each group, for a budget of time.
        tell: how many candidates are done, and the best value so far.

    >>> from vedette.train.engine import Inline
    >>> space = {"x": Range(-1, 3)}
    >>> found = search(lambda ask: -((ask[0]["x"] - 1) ** 2), space, {"x": 0.0}, trials=12, seed=1, engine=Inline(), remembered={})
    >>> found.value > found.usual, found.tried
    (True, 12)
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    asker = _Asker(objective, engine, remembered)
    first = asker.answers([usual], 1.0)[0]
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=2 * GROUP),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=GROUP),
    )
    best, best_value, tried, pruned = usual, first, 0, 0
    while tried < trials and go_on():
        group = [study.ask() for _ in range(min(GROUP, trials - tried))]
        drawn = [dict(usual) | {name: _draw(trial, name, what) for name, what in space.items()} for trial in group]
        early = asker.answers(drawn, FIRST_LOOK)
        kept = []
        for trial, parameters, value in zip(group, drawn, early, strict=True):
            trial.report(value, 0)
            if trial.should_prune():
                pruned += 1
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            else:
                kept.append((trial, parameters))
        full = asker.answers([parameters for _, parameters in kept], 1.0)
        for (trial, parameters), value in zip(kept, full, strict=True):
            study.tell(trial, value)
            if value > best_value:
                best, best_value = parameters, value
        tried += len(group)
        tell(tried, best_value)
    return Found(best, best_value, first, tried, pruned)


class _Asker:
    def __init__(self, objective: Objective, engine: Engine, remembered: MutableMapping[str, float]) -> None:
        self._objective = objective
        self._engine = engine
        self._remembered = remembered

    def answers(self, asked: Sequence[Parameters], share: float) -> list[float]:
        keys = [digest.of_values([dict(each), share]) for each in asked]
        open_ = {key: (each, share) for key, each in zip(keys, asked, strict=True) if key not in self._remembered}
        for key, value in zip(open_, self._engine.map(self._objective, list(open_.values())), strict=True):
            self._remembered[key] = value if math.isfinite(value) else WORST
        return [self._remembered[key] for key in keys]


def _draw(trial: Any, name: str, what: Range | Choice) -> Any:  # noqa: ANN401 -- a trial of Optuna; a parameter's value
    if isinstance(what, Choice):
        return trial.suggest_categorical(name, what.options)
    if what.whole:
        return trial.suggest_int(name, int(what.low), int(what.high), log=what.log)
    return trial.suggest_float(name, what.low, what.high, log=what.log)
