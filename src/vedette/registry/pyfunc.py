"""What MLflow calls where somebody loads one of our versions as a pyfunc: `mlflow.pyfunc.load_model("models:/NAME@champion")`.

The signature is verified first, with the keys of the home that `VEDETTE_HOME` names: never with keys that are found beside what
is to be verified. Nothing here imports MLflow or pandas.
"""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from vedette.core.errors import NotFound, Tampered
from vedette.core.types import Artefact
from vedette.registry import codec, files, signing
from vedette.registry.keys import Keys

#: What MLflow itself lays into a directory that it loads. It is not signed, and not opened.
_NOTE: Final = "registered_model_meta"

Predict = Callable[[Any], Any]

#: family -> `module:function`, which makes of an artefact what maps one pandas frame to another. They are texts because what
#: predicts lives in rooms that this one may not know; they are code of ours, never read from a version, so that a version cannot
#: choose what runs.
PREDICTORS: Final[dict[str, str]] = dict.fromkeys(("anomalies", "forecasts", "classes"), "vedette.app.pyfunc:predictor")


class Predictor:
    """A version as MLflow wants it: something with `predict`."""

    def __init__(self, artefact: Artefact, predict: Predict) -> None:
        self.card = artefact.card
        self._predict = predict

    def predict(self, model_input: Any, params: object = None) -> Any:  # noqa: ANN401 -- pandas frames, which we do not import
        """What the version says of a pandas frame; no parameters are known.

        >>> from vedette.core.types import Card
        >>> card = Card("web", 1, "anomalies", "envelope", {}, "", "d@1", "", 0, "0", 0)
        >>> Predictor(Artefact(card, {}), len).predict("abc")
        3
        """
        del params
        return self._predict(model_input)


def _load_pyfunc(data_path: str) -> Predictor:
    """The version in the directory `data_path`; MLflow calls it by this name.

    Raises:
        Tampered: it is not what a trusted key signed, or there are no keys to tell by.
        NotFound: nothing predicts for its family.
    """
    directory = Path(data_path).resolve()
    home = os.environ.get("VEDETTE_HOME")
    if not home:
        raise Tampered(f"{directory}: there are no keys to verify it with; set VEDETTE_HOME to the home that it comes from")
    keys = Keys(Path(home) / "keys")
    found = {name: content for name, content in files.read(directory).items() if name != _NOTE}
    signing.verify("", found, directory, keys)
    artefact = codec.artefact(found)
    dotted = PREDICTORS.get(artefact.card.family)
    if dotted is None:
        raise NotFound(f"nothing predicts for the family '{artefact.card.family}'; known: {', '.join(PREDICTORS) or 'none'}")
    module, _, function = dotted.partition(":")
    return Predictor(artefact, getattr(import_module(module), function)(artefact))
