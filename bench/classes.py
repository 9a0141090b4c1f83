"""Classes of events: topics of IT tickets, and alerts that matter, each against what peers measure.

`tickets`: 80 % learn, 20 % judge, over several splits. `alerts`: one scenario is left out at a time; which of its alerts are worth
a look?
"""

import os
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl

from vedette.models.classes import Classifier, calibration_error

SPLITS = 3


def data(name: str) -> pl.DataFrame:
    home = Path(os.environ.get("VEDETTE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    return pl.read_parquet(home / name)


def macro(true: np.ndarray, told: np.ndarray, classes: int) -> float:
    """F1 of each class, and their mean."""
    right = np.bincount(true[true == told], minlength=classes)
    return float((2 * right / (np.bincount(true, minlength=classes) + np.bincount(told, minlength=classes))).mean())


def tickets() -> None:
    """Accuracy, macro-F1 and calibration error of each split, and what learning and judging cost."""
    table = data("it_tickets_47k.parquet")
    print("split  accuracy  macro-F1  calibration error  CPU s to fit")
    figures = []
    for split in range(SPLITS):
        order = np.random.default_rng(split).permutation(table.height)
        learn, judge = table[order[: table.height * 4 // 5]], table[order[table.height * 4 // 5 :]]
        model = Classifier()
        began = time.process_time()
        model.fit(learn["Document"], learn["Topic_group"])
        took = time.process_time() - began
        told = model.probabilities(judge["Document"])
        true = judge["Topic_group"].replace_strict(model.classes, range(len(model.classes))).to_numpy()
        place = told.argmax(1)
        figures.append((float((place == true).mean()), macro(true, place, len(model.classes)), calibration_error(told, true), took))
        print(f"{split:5}  {figures[-1][0]:8.4f}  {figures[-1][1]:8.4f}  {figures[-1][2]:17.4f}  {took:12.1f}")
    means = np.mean(figures, axis=0)
    print(f" mean  {means[0]:8.4f}  {means[1]:8.4f}  {means[2]:17.4f}  {means[3]:12.1f}")
    for rows in (1, 1000):
        print(f"{rows} rows judged in {1000 * cost(model, judge['Document'][:rows]):.2f} ms of CPU time")


def cost(model: Classifier, text: pl.Series) -> float:
    """CPU seconds of one answer, the median of 20."""
    took = []
    for _ in range(20):
        began = time.process_time()
        model.predict(text)
        took.append(time.process_time() - began)
    return float(np.median(took))


def silence(table: pl.DataFrame) -> pl.DataFrame:
    """Seconds since the signature was last seen on the host, as a binary logarithm; null at its first time."""
    last = pl.col("time").cast(pl.Float64).cast(pl.Int64)
    ordered = table.with_columns(last.alias("at")).sort("scenario", "at", maintain_order=True)
    since = pl.col("at").diff().over("scenario", "short", "host")
    return ordered.with_columns((since + 1).log(2).alias("silence"))


def looked_at(table: pl.DataFrame, model: Classifier) -> np.ndarray:
    """How likely each alert is no false one."""
    return model.probabilities(table["short"], table.select("host", "silence"))[:, model.classes.index("attack")]


def learnt(table: pl.DataFrame) -> Classifier:
    model = Classifier()
    model.fit(table["short"], table["true"], table.select("host", "silence"))
    return model


def highest(table: pl.DataFrame, chance: np.ndarray) -> float:
    """The highest threshold at which an alert of every attack phase is still seen."""
    attacks = table.with_columns(chance=chance).filter(pl.col("true") == "attack")
    return float(attacks.group_by("time_label").agg(pl.col("chance").max())["chance"].min())


def removed(table: pl.DataFrame, chance: np.ndarray, threshold: float) -> tuple[float, int, int]:
    """The share of false alerts below the threshold, the attack phases seen, and how many there are."""
    judged = table.with_columns(below=chance < threshold)
    false = judged.filter(pl.col("true") == "false")
    phases = judged.filter(pl.col("true") == "attack").group_by("time_label").agg(pl.col("below").all())
    return float(false["below"].mean()), phases.height - int(phases["below"].sum()), phases.height


def alerts() -> None:
    """Leave one scenario out; the threshold is the best one (as peers are measured), or chosen on the others alone."""
    true = pl.when(pl.col("time_label") == "false_positive").then(pl.lit("false")).otherwise(pl.lit("attack"))
    table = silence(data("ait_alerts_4scenarios.parquet")).with_columns(true.alias("true"))
    parts = {str(part["scenario"][0]): part for part in table.partition_by("scenario", maintain_order=True)}
    print("scenario   removed at the best threshold   at one chosen on the others   phases seen   CPU s to fit")
    figures = []
    for name, held in parts.items():
        others = {each: part for each, part in parts.items() if each != name}
        began = time.process_time()
        model = learnt(pl.concat(others.values()))
        took = time.process_time() - began
        chance = looked_at(held, model)
        best = removed(held, chance, highest(held, chance))[0]
        share, seen, phases = removed(held, chance, chosen(others))
        figures.append((best, share, seen, phases))
        print(f"{name:10} {best:29.3f} {share:29.3f} {seen:9} of {phases} {took:13.1f}")
    means = np.array(figures)
    print(f"{'mean':10} {means[:, 0].mean():29.3f} {means[:, 1].mean():29.3f} {means[:, 2].sum():9.0f} of {means[:, 3].sum():.0f}")


def chosen(others: dict[str, pl.DataFrame]) -> float:
    """The lowest of the thresholds that each of the others would have needed, told by a model of the rest of them."""
    needed = []
    for name, held in others.items():
        rest = [part for each, part in others.items() if each != name]
        needed.append(highest(held, looked_at(held, learnt(pl.concat(rest)))))
    return min(needed)


if __name__ == "__main__":
    {"tickets": tickets, "alerts": alerts}[sys.argv[1]]()
