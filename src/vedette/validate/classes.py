"""How good a classifier is: by class, not only in sum, and whether its probabilities mean what they say."""

import math
from typing import Final

import numpy as np
import polars as pl

from vedette.core.frames import Schema

#: Truth against what was said, a row a pair that occurred; `said` is null where nothing was.
CONFUSION: Final[Schema] = {"truth": pl.String, "said": pl.String, "count": pl.Int64}
BINS: Final = 15


def confusion(truth: pl.Series, said: pl.Series) -> pl.DataFrame:
    """What was said of what, as CONFUSION, sorted.

    Both are of one length, String or what can be cast to it. Where `said` is null there was no answer: an error of its class.

    >>> confusion(pl.Series(["a", "a", "b"]), pl.Series(["a", "b", "b"])).rows()
    [('a', 'a', 1), ('a', 'b', 1), ('b', 'b', 1)]
    """
    pairs = pl.DataFrame({"truth": truth.cast(pl.String), "said": said.cast(pl.String)})
    return pairs.group_by("truth", "said").agg(pl.len().cast(pl.Int64).alias("count")).sort("truth", "said")


def by_class(table: pl.DataFrame) -> pl.DataFrame:
    """`class, rows, said, precision, recall, f1` of CONFUSION, a row a class that occurs or was said; a share of nothing is 0."""
    right = pl.col("count").filter(pl.col("truth") == pl.col("said")).sum()
    truth = table.group_by(pl.col("truth").alias("class")).agg(pl.col("count").sum().alias("rows"), right.alias("right"))
    told = table.drop_nulls("said").group_by(pl.col("said").alias("class")).agg(pl.col("count").sum().alias("said"))
    joined = truth.join(told, on="class", how="full", coalesce=True).with_columns(pl.col("rows", "right", "said").fill_null(0))
    share = (pl.col("right") / pl.col(name) for name in ("said", "rows"))
    return joined.select(
        "class",
        "rows",
        "said",
        *(each.fill_nan(0.0).alias(name) for name, each in zip(("precision", "recall"), share, strict=True)),
        (2 * pl.col("right") / (pl.col("rows") + pl.col("said"))).alias("f1"),
    ).sort("class")


def reliability(right: pl.Series, probability: pl.Series, bins: int = BINS) -> pl.DataFrame:
    """How often answers of each probability were right: `bin, count, probability, right` (means), empty bins left out.

    >>> reliability(pl.Series([True, False]), pl.Series([0.81, 0.82]), 10).rows()
    [(8, 2, 0.815, 0.5)]
    """
    rows = pl.DataFrame({"right": right.cast(pl.Float64), "probability": probability.cast(pl.Float64)}).drop_nulls()
    place = (pl.col("probability") * bins).floor().clip(0, bins - 1).cast(pl.Int64).alias("bin")
    return rows.group_by(place).agg(pl.len().cast(pl.Int64).alias("count"), pl.col("probability", "right").mean()).sort("bin")


def calibration_error(table: pl.DataFrame) -> float:
    """Expected calibration error of a `reliability` table: how far probability and truth are apart, in the mean of the answers.

    After Naeini et al., *Obtaining Well Calibrated Probabilities Using Bayesian Binning*, 2015.

    >>> round(calibration_error(reliability(pl.Series([True, False]), pl.Series([0.9, 0.9]))), 6)
    0.4
    """
    off = (table["probability"] - table["right"]).abs().to_numpy()
    return float(np.average(off, weights=table["count"].to_numpy())) if table.height else math.nan


def cost_by_class(table: pl.DataFrame, costs: pl.DataFrame) -> pl.DataFrame:
    """What the errors cost, a row a true class: `truth, rows, cost, mean_cost`.

    Args:
        table: CONFUSION.
        costs: `truth, said, cost`; a pair that is not listed costs 1, a right answer 0.

    >>> table = confusion(pl.Series(["a", "a", "b"]), pl.Series(["a", "b", "b"]))
    >>> cost_by_class(table, pl.DataFrame({"truth": ["a"], "said": ["b"], "cost": [5.0]})).rows()
    [('a', 2, 5.0, 2.5), ('b', 1, 0.0, 0.0)]
    """
    usual = pl.col("truth").ne_missing(pl.col("said")).cast(pl.Float64)
    priced = table.join(costs.select("truth", "said", "cost"), on=["truth", "said"], how="left")
    cost = (pl.col("cost").fill_null(usual) * pl.col("count")).sum()
    sums = priced.group_by("truth").agg(pl.col("count").sum().alias("rows"), cost.cast(pl.Float64).alias("cost")).sort("truth")
    return sums.with_columns((pl.col("cost") / pl.col("rows")).alias("mean_cost"))


def class_metrics(
    truth: pl.Series, said: pl.Series, probability: pl.Series | None = None, costs: pl.DataFrame | None = None
) -> dict[str, float]:
    """All figures of a classifier, by the names that gates know; NaN without a row.

    Args:
        truth: what it was, of shape (n,).
        said: what was answered; null where nothing was.
        probability: of the answer being right, in [0, 1].
        costs: as for `cost_by_class`.

    Returns:
        `accuracy`, `macro_f1`, `balanced_accuracy` (the mean recall of classes that occur), `worst_class_recall`, `null_share`, and
        `calibration_error`, `mean_cost` where they can be told.

    >>> class_metrics(pl.Series(["a", "a", "b"]), pl.Series(["a", "b", "b"]))["balanced_accuracy"]
    0.75
    """
    count = len(truth)
    if count == 0:
        return dict.fromkeys(("accuracy", "macro_f1", "balanced_accuracy", "worst_class_recall", "null_share"), math.nan)
    table = confusion(truth, said)
    classes = by_class(table)
    recalls = classes.filter(pl.col("rows") > 0)["recall"].to_numpy()
    right = (truth.cast(pl.String) == said.cast(pl.String)).fill_null(value=False)
    metrics = {
        "accuracy": float(right.to_numpy().mean()),
        "macro_f1": float(classes["f1"].to_numpy().mean()),
        "balanced_accuracy": float(recalls.mean()),
        "worst_class_recall": float(recalls.min()),
        "null_share": said.null_count() / count,
    }
    if probability is not None:
        metrics["calibration_error"] = calibration_error(reliability(right, probability))
    if costs is not None:
        metrics["mean_cost"] = float(cost_by_class(table, costs)["cost"].sum()) / count
    return metrics
