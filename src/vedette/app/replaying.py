"""The whole alert path over history: which incidents verdicts would have raised, without a log, a lake or a clock.

Only what is odd, and what follows it until it has come to rest, takes part; the rest of a month of points says nothing to anybody.
"""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import polars as pl

from vedette.act import ActSettings, Incident, Incidents
from vedette.core.catalogue import Catalogue
from vedette.core.frames import EVENTS, LOGS, TEMPLATES, empty

#: The length of a beat, and how long a series is followed after it was odd, microseconds.
BEAT_US: Final = 60_000_000
FOLLOW_US: Final = 7_200_000_000
_NO_LOGS: Final = empty(LOGS).with_columns(template=pl.lit(None, pl.Int64))


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
    incidents = Incidents(settings, catalogue)
    found: dict[str, Incident] = {}
    hot = _hot(verdicts, settings.enter)
    if hot.is_empty():
        return ()
    last, total = 0, hot.height
    done = 0
    for at, part in _beats(hot):
        for moment in _pauses(last, at, settings):
            for each in incidents.observe(moment, verdicts.clear(), _NO_LOGS, empty(EVENTS), empty(TEMPLATES)):
                found[each.id] = each
        for each in incidents.observe(at, part, _NO_LOGS, empty(EVENTS), empty(TEMPLATES)):
            found[each.id] = each
        last, done = at, done + part.height
        tell(done / total)
    for moment in _pauses(last, last + 10 * FOLLOW_US, settings):
        for each in incidents.observe(moment, verdicts.clear(), _NO_LOGS, empty(EVENTS), empty(TEMPLATES)):
            found[each.id] = each
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


def _hot(verdicts: pl.DataFrame, enter: float) -> pl.DataFrame:
    """The rows that are odd, and those of the same series and model for a while after."""
    ordered = verdicts.sort("model", "series", "at")
    at = ordered["at"].dt.timestamp("us").to_numpy()
    odd = (ordered["anomaly_score"] > enter).fill_null(value=False).to_numpy()
    keys = ordered.select(pl.struct("model", "series").rank("dense")).to_series().to_numpy()
    # The time of the last odd row of the same key; keys ascend, so a running maximum cannot reach back into another one.
    latest = np.maximum.accumulate(np.where(odd, np.arange(len(at)), -1))
    known = latest >= 0
    same = known & (keys[np.maximum(latest, 0)] == keys)
    near = same & (at - at[np.maximum(latest, 0)] <= FOLLOW_US)
    return ordered.filter(pl.Series(near)).sort("at", "series", "model")


def _beats(hot: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    at = hot["at"].dt.timestamp("us").to_numpy()
    edges = np.flatnonzero(np.diff(at // BEAT_US)) + 1
    for start, end in zip([0, *edges], [*edges, len(at)], strict=True):
        yield int(at[end - 1]), hot[int(start) : int(end)]
