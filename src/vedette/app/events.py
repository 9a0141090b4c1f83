"""What a class model looks at in events, the same live and in training."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from vedette import config
from vedette.core import digest
from vedette.core.arrays import part
from vedette.core.frames import EVENTS, empty
from vedette.core.types import Artefact, State
from vedette.models.classes import Classifier

#: How columns of further labels are named.
FEATURE: Final = "feature:"


def read(events: pl.DataFrame, model: config.Model) -> pl.DataFrame:
    """What a classifier looks at in EVENTS: `text` and a column a feature; the same live and in training."""
    labels = [dict(each or {}) for each in events["labels"].to_list()]
    annotations = [dict(each or {}) for each in events["annotations"].to_list()]

    def column(name: str) -> list[str | None]:
        kind, _, key = name.partition(":")
        if not key:
            return events[kind].cast(pl.String).to_list() if kind in events.columns else [each.get(kind) for each in labels]
        return [each.get(key) for each in (labels if kind == "label" else annotations)]

    texts = [" ".join(filter(None, each)) for each in zip(*(column(name) for name in model.text), strict=True)]
    features = {f"{FEATURE}{name}": pl.Series([each.get(name) for each in labels], dtype=pl.String) for name in model.features}
    return pl.DataFrame({"text": pl.Series(texts, dtype=pl.String), **features})


def recipe_of(model: config.Model) -> str:
    """The digest of how events become what a classifier looks at."""
    return digest.of_values({"text": list(model.text), "features": list(model.features), "events": model.events, "version": 1})


def require_columns(artefact: Artefact, model: config.Model) -> None:
    """Refuse a classifier that learnt from a column that is not looked at any more.

    Raises:
        BadRecord: naming the column.
    """
    nothing = read(empty(EVENTS), model)
    loaded(artefact.arrays, artefact.card.parameters).predict(nothing["text"], features_of(nothing))


def features_of(rows: pl.DataFrame) -> pl.DataFrame | None:
    """The feature columns, or None where there are none."""
    names = [name for name in rows.columns if name.startswith(FEATURE)]
    return rows.select(names) if names else None


def loaded(arrays: State, parameters: Mapping[str, Any]) -> Classifier:
    """The classifier of an artefact."""
    made = Classifier(**parameters)
    made.load(part(arrays, "model"))
    return made
