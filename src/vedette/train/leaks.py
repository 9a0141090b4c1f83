"""Does the holdout know the training data, or the training data the answer? What is judged on a leak is not judged at all.

Source: Kaufman, Rosset, Perlich, "Leakage in data mining: formulation, detection, and avoidance", KDD 2011. The kinds of leaks
are those of Kapoor and Narayanan, "Leakage and the reproducibility crisis in machine-learning-based science", Patterns 2023.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier

from vedette.core.errors import ConfigError
from vedette.core.types import Finding

#: Balanced accuracy from which a column alone is too good to be true.
TOO_GOOD: Final = 0.99
#: Share of holdout rows that may be found in the training data.
TWINS: Final = 0.01
#: Rows from which on it is no accident that each has its own value.
_FEW: Final = 30
#: Cuts of the rule over a column of numbers: as many as it takes for a band in the middle and some room.
_LEAVES: Final = 8


def of_series(train: pl.DataFrame, holdout: pl.DataFrame, gap_seconds: float = 0.0) -> tuple[Finding, ...]:
    """Whether all training points lie before all points of the holdout, by the gap that was asked for.

    Times are compared across series too: what is odd in one is odd in its neighbours at the same time.

    Args:
        train: a frame with a column `at` of times, such as POINTS.
        holdout: the same of what it is judged on.
        gap_seconds: from the last training point to the first of the holdout, at least.

    Returns:
        The findings `leaks.overlap` and `leaks.gap`. Where a side has no rows, both pass.

    >>> from datetime import UTC, datetime
    >>> one, other = (pl.DataFrame({"at": [datetime(2026, 1, day, tzinfo=UTC)]}) for day in (5, 6))
    >>> [each.passed for each in of_series(one, other, gap_seconds=3600)], [each.passed for each in of_series(other, one)]
    ([True, True], [False, False])
    """
    _required((train, holdout), ["at"])
    # The last of none and the first of none are null, which is after and before nothing.
    last, first = _micros(train)["at"].max(), _micros(holdout)["at"].min()
    late = _micros(train).filter(pl.col("at") >= pl.lit(first, dtype=pl.Int64)).height
    between = (first - last) / 1e6 if isinstance(last, int) and isinstance(first, int) else float("inf")
    overlap = f"at: {late} of {train.height} training rows are not before the holdout"
    gap, least = f"at: {between:,.0f} s between training and holdout", f"{gap_seconds:,.0f} s or more"
    seen = "Column at: the model has seen the time it is judged on. Split by time: end training before the holdout."
    close = "Column at: windows and late labels reach across the cut. Leave out training rows until the gap is kept."
    return (
        Finding("leaks.overlap", not late, overlap, "none", seen if late else ""),
        Finding("leaks.gap", between >= gap_seconds, gap, least, "" if between >= gap_seconds else close),
    )


def of_tables(
    train: pl.DataFrame,
    holdout: pl.DataFrame,
    label: str,
    *,
    labelled_at: str | None = None,
    group: str | None = None,
    leave_out: Sequence[str] = (),
) -> tuple[Finding, ...]:
    """What gives the answer away in two tables of examples.

    Args:
        train: examples to learn from.
        holdout: examples to be judged on, with the same columns.
        label: the column of classes.
        labelled_at: the column of the time at which each label became known; times of other columns must not lie after it.
        group: the column that says which rows belong together, such as a host or a person.
        leave_out: columns that the model does not see.

    Returns:
        The findings `leaks.twins`, `leaks.one_rule`, `leaks.identifier`, and where the columns were named `leaks.later` and
        `leaks.group`: one for each column that is at fault, or one that passed.

    Raises:
        ConfigError: where a named column is missing, or the tables differ in their columns.

    >>> train = pl.DataFrame({"closed_by": ["ann", "bot"] * 20, "label": ["real", "false"] * 20})
    >>> [each.measured for each in of_tables(train, train[:4], "label") if each.check == "leaks.one_rule"]
    ['closed_by: alone it is right in 100.0 % of the holdout']
    """
    named = [label, *(each for each in (labelled_at, group) if each), *leave_out]
    _required((train, holdout), named)
    if dict(train.schema) != dict(holdout.schema):
        raise ConfigError([f"holdout: expected the columns of training, {dict(train.schema)}, got {dict(holdout.schema)}"])
    holdout = holdout.select(train.columns)
    features = [name for name in train.columns if name not in named]
    found = (
        *_twins(train, holdout, features, label),
        *_one_rules(train, holdout, features, label),
        *_identifiers(pl.concat([train, holdout]).select(features)),
    )
    if labelled_at:
        found += _later(pl.concat([train, holdout]), features, labelled_at)
    if group:
        found += _groups(train, holdout, group)
    return found


def _required(frames: Iterable[pl.DataFrame], names: Sequence[str]) -> None:
    missing = sorted({name for frame in frames for name in names if name not in frame.columns})
    if missing:
        raise ConfigError([f"columns: there is no {name!r}" for name in missing])


def _micros(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(pl.col("at").cast(pl.Datetime("us", "UTC")).to_physical())


def _told(check: str, faults: Sequence[tuple[str, str]], required: str, advice: str) -> tuple[Finding, ...]:
    """One finding a fault, each (column, what was measured), or one that passed."""
    if not faults:
        return (Finding(check, passed=True, measured="none", required=required, why=""),)
    return tuple(
        Finding(check, passed=False, measured=f"{column}: {measured}", required=required, why=f"Column {column}: {advice}")
        for column, measured in faults
    )


def _twins(train: pl.DataFrame, holdout: pl.DataFrame, features: Sequence[str], label: str) -> tuple[Finding, ...]:
    """Rows of the holdout that the training data has too, in all features and the label."""
    columns = [*features, label]
    known = train.select(columns).unique()
    same = holdout.select(columns).join(known, on=columns, how="semi", nulls_equal=True).height if features else 0
    fine = same <= TWINS * holdout.height
    return _told(
        "leaks.twins",
        [] if fine else [(", ".join(columns), f"{same} of {holdout.height} holdout rows are training rows")],
        f"at most {100 * TWINS:g} % of holdout rows",
        "what was learnt by heart looks like skill. Drop duplicates, and copy rare rows only after the split.",
    )


def _one_rules(train: pl.DataFrame, holdout: pl.DataFrame, features: Sequence[str], label: str) -> tuple[Finding, ...]:
    """Columns that give the answer by one rule, learnt on one side and right on the other (Holte, Machine Learning 11, 1993)."""
    train, holdout = (each.filter(pl.col(label).is_not_null()) for each in (train, holdout))
    answers = [each[label].cast(pl.String).to_numpy() for each in (train, holdout)]
    faults = []
    if len(np.unique(answers[0])) > 1 and holdout.height:
        for name in features:
            score = _balanced(_ruled(train[name], holdout[name], answers[0]), answers[1])
            if score >= TOO_GOOD:
                faults.append((name, f"alone it is right in {100 * score:.1f} % of the holdout"))
    return _told(
        "leaks.one_rule",
        faults,
        f"no column alone right in {100 * TOO_GOOD:g} %, each class counting the same",
        "it may be written only once the answer is known: leave it out. If it is known in time, a rule is all one needs.",
    )


def _balanced(guesses: NDArray[np.object_], answers: NDArray[np.object_]) -> float:
    """Mean over the classes of the share that is right: a rare class counts as much as a common one."""
    return float(np.mean([np.mean(guesses[answers == each] == each) for each in np.unique(answers)]))


def _ruled(known: pl.Series, asked: pl.Series, answers: NDArray[np.object_]) -> NDArray[np.object_]:
    """What one column says of the rows of the other side: a few cuts of what is ordered, a class for each value of what is not."""
    both = pl.concat([known, asked])
    if both.dtype.is_numeric() or both.dtype.is_temporal():
        # Ranks are exact where the tree, which counts in 32 bits, would round times and identifiers.
        places = both.rank("dense").cast(pl.Float64).to_numpy().reshape(-1, 1)
        tree = DecisionTreeClassifier(max_leaf_nodes=_LEAVES, class_weight="balanced", random_state=0)
        guessed: NDArray[np.object_] = tree.fit(places[: len(known)], answers).predict(places[len(known) :])
        return guessed
    values = _plain(both)
    table = pl.DataFrame({"value": values[: len(known)], "answer": answers}, schema_overrides={"answer": pl.String})
    weighed = table.group_by("value", "answer").len().with_columns(share=pl.col("len") / pl.col("len").sum().over("answer"))
    best = weighed.sort("share", "answer", descending=[True, False]).unique("value", keep="first", maintain_order=True)
    read = pl.DataFrame({"value": values[len(known) :]}).join(best, on="value", how="left", nulls_equal=True, maintain_order="left")
    return read["answer"].fill_null("").to_numpy()


def _plain(column: pl.Series) -> pl.Series:
    """Text of columns that have no order; of nested ones as JSON."""
    if column.dtype.is_nested():
        return column.to_frame("x").select(pl.struct("x").struct.json_encode()).to_series()
    return column.cast(pl.String)


def _identifiers(both: pl.DataFrame) -> tuple[Finding, ...]:
    """Whole numbers and words of which each row has its own; measured values and sentences are naturally all different."""
    faults = []
    for column in both.select(cs.integer() | cs.string()).get_columns() if both.height >= _FEW else ():
        sentences = column.dtype == pl.String and column.str.contains(r"\s").sum() > 0.1 * len(column)
        if not sentences and column.n_unique() == both.height:
            faults.append((column.name, f"{both.height} values in {both.height} rows"))
    return _told(
        "leaks.identifier",
        faults,
        "no column of names or whole numbers with a value for each row",
        "it names the row, and may tell when or by whom it was filed. Leave it out; if it is a measurement, make it a float.",
    )


def _later(both: pl.DataFrame, features: Sequence[str], labelled_at: str) -> tuple[Finding, ...]:
    """Times that lie after the answer was known."""
    faults = []
    for name in both.select(features).select(cs.date() | cs.datetime()).columns:
        zones = [pl.col(each).cast(pl.Datetime("us")) for each in (name, labelled_at)]
        late = both.filter(zones[0] > zones[1]).height
        if late:
            faults.append((name, f"{late} of {both.height} rows lie after {labelled_at}"))
    return _told(
        "leaks.later",
        faults,
        f"no time after {labelled_at}",
        "it was written once the answer was known, and what stands beside it may be too. Take values as of the question.",
    )


def _groups(train: pl.DataFrame, holdout: pl.DataFrame, group: str) -> tuple[Finding, ...]:
    """Groups that have rows on both sides."""
    shared = holdout.select(group).drop_nulls().unique().join(train.select(group).unique(), on=group, how="semi")
    of = holdout[group].drop_nulls().n_unique()
    return _told(
        "leaks.group",
        [(group, f"{shared.height} of {of} groups of the holdout are in training")] if shared.height else [],
        "none on both sides",
        "the model may know the group rather than the reason. Split by groups: all rows of one on the same side.",
    )
