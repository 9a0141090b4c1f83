"""Event classes: what a ticket is about, which alerts matter, who should have them; learnt from those that are labelled."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from vedette import config
from vedette.app import ground as grounds
from vedette.app.events import features_of, read, recipe_of
from vedette.app.families import Ground, Judged, Material, Parameters, Rival, Tell
from vedette.core.arrays import whole
from vedette.core.errors import Rejected
from vedette.core.types import Finding, State
from vedette.models.classes import Classifier
from vedette.models.classes.groups import twins
from vedette.train import SPANS, Choice, Cuts, Dataset, Found, Range, Space, leaks
from vedette.validate.charts import Chart, Reliability
from vedette.validate.classes import class_metrics, reliability

#: Labelled events without which nothing can be learnt.
LEAST: Final = 50
#: The share of events whose class is new that a judgement bears.
UNSEEN: Final = 0.05
HOUR: Final = 3_600_000_000
DAY: Final = 24 * HOUR


class Classes:
    """Implements `Family`."""

    name = "classes"
    kind = "classifier"

    def material(self, ground: Ground, tell: Tell) -> Material:
        """Labelled events of the declared kind, each with its text and features; twins of each other have the same `series`."""
        model = ground.model
        at = pl.col("at").dt.timestamp("us")
        end = ground.until if ground.until is not None else 1 << 62
        events = grounds.events_of(ground.lake, model.events, 0, end)
        last = int(events.select(at.max()).item() or 0)
        events = events.filter(at > last - model.window_days * DAY)
        tell(f"{events.height:,} events of kind {model.events} are read")
        rows = read(events, model).with_columns(
            label=pl.Series([dict(each or {}).get(model.label) for each in events["labels"].to_list()], dtype=pl.String),
            source=events["source"],
            at=events["at"],
        )
        rows = rows.filter(pl.col("label").is_not_null())
        if rows.height < LEAST:
            raise Rejected(
                f"{rows.height} events of kind '{model.events}' have a label '{model.label}'; {LEAST} are the least to learn from. "
                "Import labelled ones with: vedette import FILE --column events=KIND text=COLUMN labels=COLUMN"
            )
        rows = rows.with_columns(series=_groups(rows, model.events)).sort("at", maintain_order=True)
        return Material(rows, pl.DataFrame(schema=SPANS), {}, recipe_of(model), {})

    def usual(self, model: config.Model) -> Parameters:
        """Words and pairs of them."""
        shipped = Classifier()
        return {"words": shipped.words, "inverse_regularisation": shipped.inverse_regularisation, "seed": model.search.seed}

    def space(self, model: config.Model) -> Space:  # noqa: ARG002 -- the same for every model
        """How long runs of words are, and how closely the events are followed."""
        return {"words": Choice((1, 2)), "inverse_regularisation": Range(0.1, 10.0, log=True)}

    def search(self, dataset: Dataset, cuts: Cuts, model: config.Model, folder: Path, look: Callable[..., Found]) -> Found:
        """Macro-F1 on the validation part, without twins on both sides."""
        folder.mkdir(parents=True, exist_ok=True)
        shown = cuts.part(dataset.rows, "validation")
        apart(cuts.part(dataset.rows, "train"), shown).write_parquet(folder / "train.parquet")
        shown.write_parquet(folder / "validation.parquet")
        objective = _Objective(str(folder))
        return look(objective, self.space(model), self.usual(model))

    def fit(self, dataset: Dataset, parameters: Parameters, model: config.Model, rival: Rival | None) -> State:  # noqa: ARG002
        """The classifier from all labelled events, and how many of each class there were, which its answers are held against."""
        made = _fitted(dataset.rows, parameters)
        counts = dict(dataset.rows["label"].value_counts().iter_rows())
        classes = np.array([counts[each] for each in made.classes], np.float64)
        return whole("model", made.state()) | whole("profile", {"classes": classes})

    def judge(
        self,
        dataset: Dataset,
        cuts: Cuts,
        parameters: Parameters,
        material: Material,  # noqa: ARG002 -- the port's
        ground: Ground,
        rival: Rival | None,
    ) -> Judged:
        """Fitted on what comes before the holdout, without twins of it, and asked for the holdout."""
        holdout = cuts.part(dataset.rows, "holdout")
        before = apart(cuts.part(dataset.rows, "seen"), holdout)
        model = _fitted(before, parameters)
        own, said = _measured(model, holdout), model.predict(holdout["text"], features_of(holdout))
        champion = _measured(_fitted(before, rival.parameters), holdout) if rival else None
        groups = holdout.group_by("label").agg(events=pl.len()).sort("label")
        told = f"{holdout.height:,} labelled events of {groups.height} classes in the holdout"
        basis = f"{told}, {before.height:,} before it, no twins on both sides"
        known = set(before["label"].unique())
        unseen = sorted(set(holdout["label"].unique()) - known)
        share = float((~holdout["label"].is_in(list(known))).to_numpy().mean())
        finding = Finding(
            "classes_seen", share <= UNSEEN, f"{share:.1%} of the holdout", f"at most {UNSEEN:.0%} of classes never seen before",
            f"Never seen before: {', '.join(unseen[:5])}." if unseen else "Every class was seen before it was asked for.",
        )  # fmt: skip
        findings = (finding, *leaks.of_series(before, holdout, ground.model.gap_seconds))
        return Judged(own, champion, findings=findings, groups=groups, charts=_charts(said, holdout), basis=basis)


class _Objective:
    """Macro-F1 of parameters on the laid-out parts; plain values, since it may be asked in another process."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __call__(self, question: tuple[Parameters, float]) -> float:
        parameters, share = question
        train = pl.read_parquet(Path(self._folder) / "train.parquet")
        shown = pl.read_parquet(Path(self._folder) / "validation.parquet")
        if share < 1.0:
            train = train.tail(max(int(share * train.height), LEAST))
        try:
            value = _measured(_fitted(train, parameters), shown)["macro_f1"]
        except Rejected:
            return -1.0
        return value if math.isfinite(value) else -1.0


def _groups(rows: pl.DataFrame, kind: str) -> pl.Series:
    """What belongs together: the twins of a ticket; of alerts, those of the same words within an hour, which are one story."""
    alike = pl.Series("series", twins(rows["text"]))
    if kind == "ticket":
        return alike
    hour = rows["at"].dt.timestamp("us") // HOUR
    return pl.select(series=pl.struct(alike=alike, hour=hour).rank("dense").cast(pl.Int64)).to_series()


def apart(train: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """The rows of `train` that have no twin in `held`."""
    return train.filter(~pl.col("series").is_in(held["series"].unique().implode()))


def _charts(said: pl.DataFrame, holdout: pl.DataFrame) -> list[Chart]:
    table = reliability(holdout["label"] == said["label"], said["probability"])
    caption = "Of the answers that claimed to be right with some probability, the share that was."
    probability, right, count = (table[name].to_list() for name in ("probability", "right", "count"))
    return [Reliability("Do probabilities mean what they say?", caption, probability, right, count)]


def _fitted(rows: pl.DataFrame, parameters: Parameters) -> Classifier:
    made = Classifier(**parameters)
    made.fit(rows["text"], rows["label"], features_of(rows))
    return made


def _measured(model: Classifier, rows: pl.DataFrame) -> dict[str, float]:
    said = model.predict(rows["text"], features_of(rows))
    found = class_metrics(rows["label"], said["label"], said["probability"])
    return {**found, "null_share": said["label"].null_count() / max(rows.height, 1), "events": float(np.int64(rows.height))}
