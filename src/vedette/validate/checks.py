"""What is checked of a candidate besides its figures: each check is one function, and one finding.

A scorer is anything that turns POINTS into rows with `anomaly_score`, from a fresh model each time it is called.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import polars as pl

from vedette.core.types import Finding
from vedette.validate.counting import Events
from vedette.validate.intervals import wilson
from vedette.validate.vocabulary import written

Scorer = Callable[[pl.DataFrame], pl.DataFrame]
SCORE: Final = "anomaly_score"
#: Events that a group must have before its share says anything.
ENOUGH: Final = 5


def scores_finite(scored: pl.DataFrame) -> Finding:
    """No score is NaN or infinite; null (still learning) is an answer.

    >>> scores_finite(pl.DataFrame({"anomaly_score": [0.1, None, float("nan")]})).measured
    '1 of 3 scores'
    """
    wrong = int((~scored[SCORE].is_finite()).sum())
    return Finding(
        "scores_finite",
        passed=wrong == 0,
        measured=f"{wrong:,} of {scored.height:,} scores",
        required="none is NaN or infinite",
        why="Every score is a number."
        if wrong == 0
        else "A score that is no number is compared with nothing: its alarm never comes.",
    )


def scores_vary(scored: pl.DataFrame) -> Finding:
    """The score is not the same for every point.

    >>> scores_vary(pl.DataFrame({"anomaly_score": [0.5, 0.5, None]})).passed
    False
    """
    values = scored[SCORE].drop_nulls().n_unique()
    return Finding(
        "scores_vary",
        passed=values > 1,
        measured=f"{values:,} different scores",
        required="at least 2",
        why="The score tells points apart." if values > 1 else "A score that never changes, or never comes, warns of nothing.",
    )


def arity(points: pl.DataFrame, scored: pl.DataFrame) -> Finding:
    """One answer a point, for that series and that time, in the order of the points."""
    same = points.height == scored.height and all(points[name].equals(scored[name]) for name in ("series", "at"))
    return Finding(
        "arity",
        passed=same,
        measured=f"{scored.height:,} answers to {points.height:,} points",
        required="one answer a point, in their order",
        why="Every point has its answer." if same else "Answers that belong to no point asked about accuse the wrong ones.",
    )


def causal(score: Scorer, points: pl.DataFrame, share: float = 0.6) -> Finding:
    """What was said of the past does not change with what came later: the first `share` of the time scores the same alone."""
    at = points["at"].to_physical()
    cut = int(at.quantile(share, "nearest") or 0)
    early = at <= cut
    whole, alone = score(points)[SCORE], score(points.filter(early))[SCORE]
    rows = _differ(whole.filter(early), alone) if len(whole) == points.height else int(early.sum())
    return Finding(
        "causal",
        passed=rows == 0,
        measured=f"{rows:,} of {int(early.sum()):,} scores differ",
        required="the same scores without the later points",
        why="No score knows the future." if rows == 0 else "Scores that look ahead are not those that the live stream would get.",
    )


def order_of_series(score: Scorer, points: pl.DataFrame, rng: np.random.Generator) -> Finding:
    """Which series comes first does not matter: under other identities, in another order, each scores the same."""
    ids = points["series"].unique().sort()
    names = pl.DataFrame({"series": ids, "other": pl.Series(rng.permutation(len(ids)))})
    moved = points.with_row_index("row").join(names, on="series", how="left").sort("other", "at", maintain_order=True)
    renamed = moved.select(pl.col("other").cast(pl.Int64).alias("series"), *(name for name in points.columns if name != "series"))
    here, there = score(points)[SCORE], score(renamed.select(points.columns))[SCORE]
    back = there.gather(moved["row"].arg_sort()) if len(there) == points.height else there.clear()
    return _order_finding("order_of_series", _differ(here, back), points.height, "series")


def order_of_columns(score: Scorer, frame: pl.DataFrame, rng: np.random.Generator) -> Finding:
    """Which column comes first does not matter: for scorers of wide tables."""
    names = [frame.columns[each] for each in rng.permutation(frame.width)]
    return _order_finding(
        "order_of_columns", _differ(score(frame)[SCORE], score(frame.select(names))[SCORE]), frame.height, "columns"
    )


def latency(microseconds: float, champion: float | None, most: float = 5.0) -> Finding:
    """A point takes at most `most` times what it takes the champion; both in microseconds.

    >>> latency(12.0, 2.0).measured
    '6.0 times the champion'
    """
    if champion is None or not champion > 0.0:
        return Finding(
            "latency", passed=True, measured=written("microseconds_per_point", microseconds), required="no champion", why=""
        )
    ratio = microseconds / champion
    passed = ratio <= most
    return Finding(
        "latency",
        passed=passed,
        measured=f"{ratio:.1f} times the champion",
        required=f"at most {most:g} times",
        why="It keeps up with the stream." if passed else "A stream that the champion keeps up with would wait for it.",
    )


def must_catch(events: pl.DataFrame, floor: float = 0.5) -> Finding:
    """Of every kind of outage on the list, at least the share `floor` is caught; the kinds that are not are named.

    Args:
        events: `kind` and `delay` (null: missed) a row an outage, as in `Outcomes.events`.
        floor: the share; at least one of each kind.

    >>> events = pl.DataFrame({"kind": ["plateau", "spike"], "delay": [None, 2]})
    >>> must_catch(events).why
    'Missed: plateau (0 of 1 caught). What hurt once, and would not be noticed now, is no progress.'
    """
    kinds = events.group_by("kind").agg(pl.col("delay").count().alias("caught"), pl.len().alias("all")).sort("kind")
    missed = [f"{kind} ({caught} of {of} caught)" for kind, caught, of in kinds.iter_rows() if caught < _least(of, floor)]
    caught = events["delay"].count()
    none = "There is no outage to prove itself on." if events.is_empty() else ""
    why = none or (
        f"Missed: {', '.join(missed)}. What hurt once, and would not be noticed now, is no progress."
        if missed
        else "Each kind of outage on the list is caught."
    )
    return Finding(
        "must_catch",
        passed=not missed and not none,
        measured=f"{caught} of {events.height} outages caught",
        required=f"{100 * floor:g} % of every kind",
        why=why,
    )


def worst_group(whole: Events, groups: Mapping[str, Events]) -> tuple[str, float]:
    """The group whose events are found least, and its recall; groups of fewer than five events are not judged, and without any
    other it is `all` and the recall of the whole.
    """
    judged = {name: each.recall for name, each in groups.items() if each.found + each.missed >= ENOUGH}
    return min(judged.items(), key=lambda pair: pair[1], default=("all", whole.recall))


def fairness(whole: Events, groups: Mapping[str, Events], ratio: float = 0.5) -> Finding:
    """No group is left behind: the recall of the worst is at least `ratio` of the whole's. Groups of few events are not judged.

    A group is only called worse where chance cannot explain it (its Wilson interval lies below what is required).
    """
    name, recall = worst_group(whole, groups)
    worst = groups.get(name, whole)
    if math.isnan(recall):
        measured = "no group has enough events"
        return Finding("fairness", passed=True, measured=measured, required=_half(ratio), why="There is nothing to compare.")
    passed = wilson(worst.found, worst.found + worst.missed).upper >= ratio * whole.recall
    finds = f"{name} has {100 * recall:.0f} % of its events found, {100 * whole.recall:.0f} % are found of all"
    return Finding(
        "fairness",
        passed=passed,
        measured=finds,
        required=_half(ratio),
        why="No group is left behind." if passed else f"Who runs '{name}' would trust a watch that hardly watches it.",
    )


def source_share(rows: Mapping[str, int], cap: float = 0.05) -> Finding:
    """No source is more than the share `cap` of a training set; of n sources, half as much again as an equal share is allowed.

    >>> source_share({"a": 80, "b": 10, "c": 10}).measured
    "'a' is 80 % of 100 rows"
    """
    total = sum(rows.values())
    if total == 0:
        return Finding("source_share", passed=False, measured="no rows", required="some", why="There is nothing to learn from.")
    allowed = min(1.0, max(cap, 1.5 / len(rows)))
    name, most = max(rows.items(), key=lambda pair: pair[1])
    passed = most <= allowed * total
    return Finding(
        "source_share",
        passed=passed,
        measured=f"'{name}' is {100 * most / total:.3g} % of {total:,} rows",
        required=f"at most {100 * allowed:.3g} % from one source",
        why="No source decides alone what is normal." if passed else f"'{name}' alone would decide what is normal for all.",
    )


def baseline(points: pl.DataFrame) -> pl.DataFrame:
    """What is usual of each series: `series, level` (median), `spread` (median distance from it)."""
    level = pl.col("value").median()
    rows = points.drop_nulls("value").filter(pl.col("value").is_finite())
    return (
        rows.group_by("series").agg(level.alias("level"), (pl.col("value") - level).abs().median().alias("spread")).sort("series")
    )


def within_baseline(now: pl.DataFrame, golden: pl.DataFrame, cap: float = 1.5, tolerated: float = 0.01) -> Finding:
    """What is to be learnt has not crept away from the golden baseline, however slowly.

    A series has drifted where its level, or its spread, is over `cap` times the golden one, or under a `cap`-th of it.
    Both are measured on top of a golden spread, so that a level near zero does not make much of little. Of many series the share
    `tolerated` may have drifted, of few none. Only a person raises the cap. Both frames are of `baseline`, the golden one of a good
    training set; series that only one of them knows are not compared.
    """
    both = golden.join(now, on="series", suffix="_now")
    floor = pl.col("spread") + 1e-9 + 1e-6 * pl.col("level").abs()
    usual = pl.col("level").abs() + floor
    level, spread = (pl.col("level_now").abs() + floor) / usual, (pl.col("spread_now") + floor) / (2.0 * floor)
    # A level that changes its sign keeps its size.
    moved = (pl.col("level_now") - pl.col("level")).abs() / usual
    folds = both.select("series", pl.max_horizontal(level, 1.0 / level, spread, 1.0 / spread, moved).alias("fold"))
    count, worst = folds.filter(pl.col("fold") > cap).height, folds.sort("fold", descending=True).head(1).rows()
    passed = count <= tolerated * both.height
    furthest = f"; furthest {worst[0][1]:.2f} times, series {worst[0][0]}" if worst else ""
    return Finding(
        "golden_drift",
        passed=passed,
        measured=f"{count:,} of {both.height:,} series beyond {cap:g} times{furthest}",
        required=f"at most {100 * tolerated:g} % of the series",
        why="It is still the world that the golden baseline was taken of."
        if passed
        else "What was abnormal once would be learnt as normal. If the change is meant, a person takes a new baseline.",
    )


def _least(of: int, floor: float) -> int:
    return max(1, math.ceil(floor * of - 1e-9))


def _half(ratio: float) -> str:
    return f"at least {100 * ratio:g} % of the recall of all, in each group"


def _differ(one: pl.Series, other: pl.Series) -> int:
    """Rows that are not bit for bit the same; all of them where the lengths differ."""
    if len(one) != len(other):
        return max(len(one), len(other))
    same = one.eq_missing(other)
    return len(one) - int(same.sum())


def _order_finding(check: str, rows: int, count: int, what: str) -> Finding:
    return Finding(
        check,
        passed=rows == 0,
        measured=f"{rows:,} of {count:,} scores differ",
        required=f"the same scores whatever the order of {what}",
        why=f"The order of {what} is chance, and decides nothing."
        if rows == 0
        else f"Scores hang on the order of {what}, which is chance.",
    )
