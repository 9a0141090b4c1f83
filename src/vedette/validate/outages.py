"""Outages that a model must catch: those that people confirmed, as they were, and made-up ones that nobody could overlook.

Both are laid into points of another time, so that every version can be asked for them, however long ago they were.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from vedette.core.types import Finding

Array = np.ndarray[Any, Any]

DAY: Final = 86_400_000_000
WINDOWS: Final = {"outage": pl.String, "series": pl.Int64, "start": pl.Int64, "end": pl.Int64}
#: Spreads by which a made-up outage is off, how long it lasts at least, and in how many points.
SIZE: Final = 12.0
LASTS_US: Final = 1_800_000_000
LASTS_POINTS: Final = 8


@dataclass(frozen=True, slots=True)
class Outage:
    """One that was: its name, when (UTC microseconds), and the series that it was seen in."""

    name: str
    start: int
    end: int
    series: tuple[int, ...]


def past(
    rows: pl.DataFrame, into: pl.DataFrame, outages: Sequence[Outage], taken: Sequence[tuple[int, int]]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lay the values that outages had into later points, at the same time of day.

    Args:
        rows: POINTS sorted by series and time that hold the outages as they were.
        into: POINTS sorted by series and time, where they are laid.
        outages: those to be laid; one that there is no room for is left out.
        taken: stretches of time in `into` that are no place for another, UTC microseconds.

    Returns:
        `into` with their values, and where they are now: `outage, series, start, end` (half-open, UTC microseconds).
    """
    if into.is_empty():
        return into, pl.DataFrame(schema=WINDOWS)
    first, last = int(into["at"].dt.timestamp("us").min()), int(into["at"].dt.timestamp("us").max())  # type: ignore[arg-type]
    held, parts, found = list(taken), [], []
    keys = _keys(rows)
    for outage in outages:
        moved = _moved(outage, first, last, held)
        if moved is None:
            continue
        own = pl.concat(
            [rows[_stretched(keys, each, outage.start, outage.end)] for each in sorted(outage.series)] or [rows.clear()]
        )
        if own.is_empty():
            continue
        held.append((outage.start + moved, outage.end + moved))
        parts.append(own.select("series", pl.col("at") + pl.duration(microseconds=moved), "value"))
        found += [(outage.name, series, *held[-1]) for series in own["series"].unique(maintain_order=True).to_list()]
    windows = pl.DataFrame(found, schema=WINDOWS, orient="row")
    return _replaced(into, windows, parts), windows


def made_up(
    into: pl.DataFrame, groups: pl.DataFrame, rng: np.random.Generator, taken: Sequence[tuple[int, int]], count: int = 12
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lay outages that move all series of a group far from where they are, one group at a time.

    Args:
        into: POINTS sorted by series and time.
        groups: `series, group`: what goes down together.
        rng: where and when.
        taken: see `past`.
        count: outages at most.

    Returns:
        As `past`; each is called `level of GROUP`.
    """
    names = groups["group"].unique().sort().to_list()
    if not names or into.is_empty():
        return into, pl.DataFrame(schema=WINDOWS)
    value, at, series = into["value"].to_numpy().copy(), into["at"].dt.timestamp("us").to_numpy(), into["series"].to_numpy()
    found, held = [], list(taken)
    for number in range(min(count, 3 * len(names))):
        name = names[int(rng.integers(len(names)))] if len(names) > count else names[number % len(names)]
        own = np.isin(series, groups.filter(pl.col("group") == name)["series"].to_numpy())
        stretch = _stretch(at[own], rng, held)
        if stretch is None:
            continue
        held.append(stretch)
        sign = 1.0 if number % 2 == 0 else -1.0
        for each in np.unique(series[own]):
            mine = np.flatnonzero(series == each)
            inside = mine[(at[mine] >= stretch[0]) & (at[mine] < stretch[1])]
            spread = _spread(value[mine])
            if len(inside) >= 3 and spread > 0:
                value[inside] += sign * SIZE * spread
                found.append((f"level of {name}", int(each), *stretch))
    return into.with_columns(value=pl.Series(value)), pl.DataFrame(found, schema=WINDOWS, orient="row")


def caught(verdicts: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Which outages were: `outage, start, series, odd, caught`; two odd series are enough, or the only one."""
    if windows.is_empty():
        return pl.DataFrame(
            schema={"outage": pl.String, "start": pl.Int64, "series": pl.UInt32, "odd": pl.UInt32, "caught": pl.Boolean}
        )
    odd = verdicts.filter(pl.col("anomaly_score") > 1).select("series", at=pl.col("at").dt.timestamp("us"))
    hit = odd.join(windows, on="series").filter((pl.col("at") >= pl.col("start")) & (pl.col("at") < pl.col("end")))
    seen = hit.select("outage", "start", "series").unique().group_by("outage", "start").agg(odd=pl.len())
    all_ = windows.group_by("outage", "start", maintain_order=True).agg(series=pl.col("series").n_unique())
    told = all_.join(seen, on=["outage", "start"], how="left", maintain_order="left").with_columns(pl.col("odd").fill_null(0))
    return told.with_columns(caught=pl.col("odd") >= pl.min_horizontal(pl.lit(2), pl.col("series")))


def must_catch(own: pl.DataFrame, champions: pl.DataFrame | None) -> Finding:
    """Whether a candidate catches the past outages that the champion catches; without a champion, half of them.

    Args:
        own: what `caught` says of the candidate.
        champions: the same of the champion, over the same outages; None where there is none.
    """
    missed = own.filter(~pl.col("caught"))
    allowed = own.height // 2
    if champions is not None:
        seen = champions.filter(pl.col("caught")).select("outage", "start")
        missed, allowed = missed.join(seen, on=["outage", "start"], how="semi"), 0
    names = missed["outage"].unique(maintain_order=True).to_list()
    passed = missed.height <= allowed
    required = "what the champion catches" if champions is not None else "half of them"
    if not passed:
        named = ", ".join(f"'{each}'" for each in names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        why = f"It would not see {named} again. What people confirmed must not be missed: was that time learnt as normal?"
    else:
        why = "It sees again what people confirmed." if own.height else "Nobody has confirmed an outage in its time yet."
    return Finding("past_outages", passed, f"{int(own['caught'].sum())} of {own.height} caught", required, why)


def _moved(outage: Outage, first: int, last: int, taken: Sequence[tuple[int, int]]) -> int | None:
    """By how many microseconds, whole days, an outage comes to lie in free time between `first` and `last`."""
    days = -(-(first - outage.start) // DAY)
    while outage.end + days * DAY <= last:
        start, end = outage.start + days * DAY, outage.end + days * DAY
        if start >= first and all(end <= begun or start >= over for begun, over in taken):
            return days * DAY
        days += 1
    return None


def _replaced(into: pl.DataFrame, windows: pl.DataFrame, parts: list[pl.DataFrame]) -> pl.DataFrame:
    if not parts:
        return into
    keys, gone = _keys(into), np.zeros(into.height, np.bool_)
    for _, series, start, end in windows.iter_rows():
        gone[_stretched(keys, series, start, end)] = True
    return pl.concat([into.filter(~pl.Series(gone)), *(each.select(into.columns) for each in parts)]).sort("series", "at")


def _keys(points: pl.DataFrame) -> tuple[Array, Array]:
    return points["series"].to_numpy(), points["at"].dt.timestamp("us").to_numpy()


def _stretched(keys: tuple[Array, Array], series: int, start: int, end: int) -> slice:
    """Where, in points sorted by series and time, those of one series in [start, end) are."""
    first, last = np.searchsorted(keys[0], series), np.searchsorted(keys[0], series, side="right")
    low, high = np.searchsorted(keys[1][first:last], (start, end))
    return slice(int(first + low), int(first + high))


def _stretch(at: Array, rng: np.random.Generator, taken: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    moments = np.unique(at)
    if len(moments) < 4 * LASTS_POINTS:
        return None
    step = int(np.median(np.diff(moments)))
    lasts = max(LASTS_US, LASTS_POINTS * step)
    for _ in range(20):
        start = int(moments[int(rng.integers(len(moments) // 10, len(moments)))])
        end = start + lasts
        if end < moments[-1] and all(end + lasts <= begun or start >= over + lasts for begun, over in taken):
            return start, end
    return None


def _spread(values: Array) -> float:
    known = values[np.isfinite(values)]
    if len(known) < 8:
        return 0.0
    low, high = np.quantile(known, (0.1, 0.9))
    spread = float(max(high - low, np.std(known))) / 2.56
    # That of a constant is rounding.
    return spread if spread > 1e-9 * float(np.abs(known).max()) else 0.0
