"""The whole alert path over history: which incidents verdicts would have raised, without a log, a lake or a clock.

Only what is odd for long enough to count, and what follows it until it has come to rest, takes part; the rest of a month of points
says nothing to anybody.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import polars as pl

from vedette.act import ActSettings, Incident, Incidents
from vedette.core.catalogue import Catalogue
from vedette.core.frames import EVENTS, LOGS, TEMPLATES, VERDICTS, empty

#: The length of a beat, and how long a series is followed after it was odd, microseconds.
BEAT_US: Final = 60_000_000
FOLLOW_US: Final = 7_200_000_000
#: Nothing but verdicts is heard: no log lines, events or templates.
_REST: Final = (empty(LOGS).with_columns(template=pl.lit(None, pl.Int64)), empty(EVENTS), empty(TEMPLATES))
_SILENCE: Final = empty(VERDICTS)

Array = np.ndarray[Any, Any]


def replayed(
    verdicts: pl.DataFrame, catalogue: Catalogue, settings: ActSettings, tell: Callable[[float], None] = lambda _share: None
) -> tuple[Incident, ...]:
    """The incidents that VERDICTS would have raised, each as it was at its end, the oldest first.

    Args:
        verdicts: of any models, in any order.
        catalogue: who the series are.
        settings: when something counts.
        tell: told the share that is done.
    """
    hot = _hot(verdicts, catalogue, settings)
    if hot.is_empty():
        return ()
    incidents = Incidents(settings, catalogue)
    found: dict[str, Incident] = {}
    last, done = 0, 0
    for at, part in _beats(hot):
        for moment in _pauses(last, at, settings):
            found |= {each.id: each for each in incidents.observe(moment, _SILENCE, *_REST)}
        found |= {each.id: each for each in incidents.observe(at, part, *_REST)}
        last, done = at, done + part.height
        tell(done / hot.height)
    for moment in _pauses(last, last + 10 * FOLLOW_US, settings):
        found |= {each.id: each for each in incidents.observe(moment, _SILENCE, *_REST)}
    kept = (each for each in found.values() if "merged_into" not in each.explanation)
    return tuple(sorted(kept, key=lambda each: (each.started_at, each.id)))


def _pauses(last: int, at: int, settings: ActSettings) -> Iterator[int]:
    """Moments of silence at which something may come to rest: what was open closes in time, however long nothing is odd."""
    if not last or at - last <= 2 * BEAT_US:
        return
    near, close = int(settings.near_seconds * 1e6), int(settings.close_seconds * 1e6)
    stale = int(settings.stale_seconds * 1e6)
    for after in sorted({BEAT_US, near + BEAT_US, close + BEAT_US, stale + BEAT_US, stale + close + 2 * BEAT_US}):
        if last + after < at:
            yield last + after


def _hot(verdicts: pl.DataFrame, catalogue: Catalogue, settings: ActSettings) -> pl.DataFrame:
    """The rows from which something could count on, and those of the same series and model for a while after whatever is odd."""
    ordered = verdicts.sort("model", "series", "at")
    if ordered.is_empty():
        return ordered
    at, score = ordered["at"].dt.timestamp("us").to_numpy(), ordered["anomaly_score"].fill_null(math.nan).to_numpy()
    series = ordered["series"].to_numpy()
    fresh = (ordered["model"] != ordered["model"].shift()).fill_null(value=True).to_numpy() | (series != np.roll(series, 1))
    fresh[0] = True
    odd = score > settings.enter
    # The place of the last odd row, and the first place of the same key: what was odd in another one is none of ours.
    places = np.arange(len(at))
    latest = np.maximum.accumulate(np.where(odd, places, -1))
    first = np.maximum.accumulate(np.where(fresh, places, 0))
    near = (latest >= first) & (at - at[np.maximum(latest, 0)] <= FOLLOW_US)
    # Within a block of such rows nothing is heard before the first run of odd ones that is long enough to count.
    begins = near & (fresh | ~np.roll(near, 1))
    block = np.maximum.accumulate(np.where(begins, places, 0))
    serious = _serious(ordered["series"], score, fresh, catalogue, settings)
    heard = np.maximum.accumulate(np.where(serious, places, -1))
    return ordered.filter(pl.Series(near & (heard >= block))).sort("at", "series", "model")


def _serious(series: pl.Series, score: Array, fresh: Array, catalogue: Catalogue, settings: ActSettings) -> Array:
    """Whether each row lies in a run, which a calm row ends, with as many odd ones as it takes to count."""
    run = np.cumsum(fresh | (score < settings.leave))
    odd = np.where(score > settings.enter, 1, 0)
    count = np.bincount(run, weights=odd)
    peak = np.zeros(len(count))
    np.maximum.at(peak, run, np.nan_to_num(score))
    unlike = {each: settings.rule(info.name, info.labels).points for each, info in catalogue.get(series.unique().to_list()).items()}
    few = series.replace_strict(unlike, default=None, return_dtype=pl.Int64).fill_null(settings.points).to_numpy()
    enough = np.minimum(few, settings.points)
    long = count[run] >= enough
    return np.asarray(long | ((count[run] >= 2) & (peak[run] > settings.extreme)), dtype=np.bool_)


def _beats(hot: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    at = hot["at"].dt.timestamp("us").to_numpy()
    edges = np.flatnonzero(np.diff(at // BEAT_US)) + 1
    for start, end in zip([0, *edges], [*edges, len(at)], strict=True):
        yield int(at[end - 1]), hot[int(start) : int(end)]
