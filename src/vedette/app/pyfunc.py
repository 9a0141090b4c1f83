"""A version as MLflow's users call it: a pandas frame in, a pandas frame out, by the predictor that answers requests."""

from collections.abc import Callable
from typing import Any

import polars as pl

from vedette.app.serving import served
from vedette.config import Model
from vedette.core.types import Artefact


def predictor(artefact: Artefact) -> Callable[[Any], Any]:
    """What maps one pandas frame to another; its columns are those of the inference API."""
    model = Model.model_validate({"family": artefact.card.family})
    predict = served(artefact, model).predict

    def answer(frame: Any) -> Any:  # noqa: ANN401 -- pandas, which is not ours
        columns = {str(name): frame[name].tolist() for name in frame.columns}
        said = predict(pl.DataFrame(columns))
        return type(frame)(said.to_dict(as_series=False))

    return answer
