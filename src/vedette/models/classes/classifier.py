"""The class of an event: of which team, of which topic, real or false. One matrix of weights, and a probability that holds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import numpy as np
import polars as pl

from vedette.core.errors import BadRecord, Rejected
from vedette.core.types import State
from vedette.models.classes.columns import Kind, as_words, edges_of, filled_bins, kinds_of, require
from vedette.models.classes.fitting import fitted, softmax
from vedette.models.classes.words import added, packed, salt, weighed

Array = np.ndarray[Any, Any]
Text = Sequence[str | None] | pl.Series

_LABEL: Final = "\0label"
_TEXT: Final = "\0text"


@dataclass
class Classifier:
    """A linear model of hashed words and of columns, calibrated.

    Texts are told by their words, runs of words, and their first words once more. Strings and booleans beside them are told by
    their value and its words, times by weekday and hour, numbers by where they lie among those seen. What was never seen says
    nothing. Rows that are alike are learnt once with their number as weight.

    Attributes:
        words: longest run of words that is a feature.
        buckets: how many hashed features there are at most; a power of two.
        opening: first words of a text that are features of their own.
        inverse_regularisation: how closely the rows are followed.
        seed: of the folds and of the descent.

    >>> model = Classifier()
    >>> model.fit(["disk full", "disk is full", "password lost", "lost my password"], pl.Series(["box", "box", "desk", "desk"]))
    >>> model.classes, model.predict(["my disk"])["label"].item()
    (('box', 'desk'), 'box')
    """

    words: int = 2
    buckets: int = 1 << 18
    opening: int = 20
    inverse_regularisation: float = 1.0
    seed: int = 0
    classes: tuple[str, ...] = field(init=False, default=())
    calibration_error: float = field(init=False, default=float("nan"))
    _kinds: Mapping[str, Kind] = field(init=False, repr=False, default_factory=dict)
    _edges: Mapping[str, Array] = field(init=False, repr=False, default_factory=dict)
    _repeats: bool = field(init=False, repr=False, default=False)
    _seen: Array = field(init=False, repr=False, default_factory=lambda: np.zeros(0, np.int32))
    _weights: Array = field(init=False, repr=False, default_factory=lambda: np.zeros((0, 0), np.float32))
    _bias: Array = field(init=False, repr=False, default_factory=lambda: np.zeros(0, np.float32))
    _places: Array = field(init=False, repr=False, default_factory=lambda: np.zeros(0, np.int32))

    def fit(self, text: Text, label: pl.Series, features: pl.DataFrame | None = None) -> None:
        """Learn from texts, their labels and, where given, columns beside them; rows without a label are left out.

        Raises:
            Rejected: there is nothing to tell apart: no rows with a label, or only one class.
            BadRecord: a column cannot be a feature, or lengths differ.
        """
        rows = self._distinct(text, label, features)
        names = rows[_LABEL].unique().sort()
        if len(names) < 2:
            found = f"the only one is '{names.item()}'" if len(names) else "no row has a label"
            raise Rejected(f"learning needs rows of two classes at least: {found}")
        beside = rows.drop(_LABEL, _TEXT, "\0count")
        self.classes, self._kinds = tuple(names), kinds_of(beside)
        self._edges = {name: edges_of(beside[name]) for name, kind in self._kinds.items() if kind == "number"}
        places = rows[_LABEL].replace_strict(names, np.arange(len(names)), return_dtype=pl.Int64).to_numpy()
        count = rows["\0count"].cast(pl.Float64).to_numpy()
        self._repeats = bool(2 * rows[_TEXT].n_unique() <= count.sum())
        matrix, self._seen = self._matrix(rows[_TEXT], beside)
        self._weights, self._bias, self.calibration_error = fitted(matrix, places, count, self.inverse_regularisation, self.seed)
        self._places = self._index()

    def probabilities(self, text: Text, features: pl.DataFrame | None = None) -> Array:
        """How likely each of `classes` is: float64 of shape (rows, classes), rows sum to 1.

        Raises:
            Rejected: nothing was learnt yet.
            BadRecord: a column that was learnt from is missing or of another kind; it is named.
        """
        if not self.classes:
            raise Rejected("the classifier has learnt nothing yet: fit it, or load a state")
        series = _series(text)
        require(features, self._kinds)
        said = np.tile(self._bias.astype(np.float64), (len(series), 1))
        for part in self._hashed(series, features):
            added(*part, self._places, self._weights, said)
        first = len(self._seen)
        for name, edges in self._edges.items():
            bins = filled_bins(cast("pl.DataFrame", features)[name], edges)
            said += bins @ self._weights[first : first + bins.shape[1]]
            first += bins.shape[1]
        return softmax(said)

    def predict(self, text: Text, features: pl.DataFrame | None = None) -> pl.DataFrame:
        """The likeliest class and how likely it is: `label`, `probability`, one row a row. Raises what `probabilities` does."""
        told = self.probabilities(text, features)
        places = told.argmax(1)
        label = pl.Series([self.classes[place] for place in places.tolist()], dtype=pl.String)
        return pl.DataFrame({"label": label, "probability": told[np.arange(len(told)), places]})

    def decide(self, probabilities: Array, cost: Array | None = None) -> Array:
        """The decision of least expected cost: int64 of shape (rows,), places in the columns of `cost`.

        Args:
            probabilities: of shape (rows, classes).
            cost: of shape (classes, decisions): what a decision costs where that class is true. None: the likeliest class.

        Raises:
            BadRecord: `cost` has not one row a class, or holds what is no number.

        >>> Classifier().decide(np.array([[0.9, 0.1]]), np.array([[0.0, 1.0], [50.0, 0.0]])).tolist()
        [1]
        """
        if cost is None:
            return np.asarray(probabilities.argmax(1))
        if cost.ndim != 2 or len(cost) != probabilities.shape[1] or not np.isfinite(cost).all():
            raise BadRecord(f"expected numbers in {probabilities.shape[1]} rows, one a class, got shape {cost.shape}", field="cost")
        return np.asarray((probabilities @ cost).argmin(1))

    def state(self) -> State:
        """The arrays: everything that `probabilities` needs, and the parameters."""
        told = {
            "words": self.words,
            "buckets": self.buckets,
            "opening": self.opening,
            "inverse_regularisation": self.inverse_regularisation,
            "seed": self.seed,
            "classes": self.classes,
            "kinds": self._kinds,
            "repeats": self._repeats,
        }
        edges = [self._edges[name] for name in self._edges]
        return {
            "told": np.frombuffer(json.dumps(told).encode(), np.uint8),
            "edges": np.concatenate([np.zeros(0), *edges]),
            "edges_of": np.array([len(each) for each in edges], np.int64),
            "seen": self._seen,
            "weights": self._weights,
            "bias": self._bias,
            "calibration_error": np.array([self.calibration_error]),
        }

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from."""
        told = json.loads(state["told"].tobytes())
        self.words, self.buckets, self.opening, self.seed = (told[name] for name in ("words", "buckets", "opening", "seed"))
        self.inverse_regularisation = told["inverse_regularisation"]
        self.classes, self._kinds = tuple(told["classes"]), told["kinds"]
        self._repeats = told["repeats"]
        parts = np.split(np.array(state["edges"]), np.cumsum(state["edges_of"])[:-1]) if len(state["edges_of"]) else []
        self._edges = dict(zip((name for name, kind in self._kinds.items() if kind == "number"), parts, strict=True))
        self._seen, self._weights, self._bias = (np.array(state[name]) for name in ("seen", "weights", "bias"))
        self.calibration_error = float(state["calibration_error"][0])
        self._places = self._index()

    def _distinct(self, text: Text, label: pl.Series, features: pl.DataFrame | None) -> pl.DataFrame:
        """Rows that differ, in order of first appearance, and how often each is there."""
        series = _series(text)
        beside = [] if features is None else features.get_columns()
        if len(series) != len(label) or (features is not None and features.height != len(series)):
            raise BadRecord(f"expected one label and one row of features a text, got {len(label)} for {len(series)}", field="label")
        rows = pl.DataFrame({_TEXT: series, _LABEL: label.cast(pl.String)}).with_columns(beside).drop_nulls(_LABEL)
        return rows.group_by(pl.all(), maintain_order=True).len("\0count")

    def _hashed(self, text: pl.Series, features: pl.DataFrame | None) -> list[tuple[Array, Array, Array]]:
        """Sparse rows of the text, and of each column that is told by words."""
        parts = [weighed(*packed(text), np.uint64(0), self.words, self.opening, int(self._repeats), self.buckets)]
        for name, kind in self._kinds.items():
            if kind != "number":
                values = as_words(cast("pl.DataFrame", features)[name])
                parts.append(weighed(*packed(values), salt(name), 1, 0, 1, self.buckets))
                if self._repeats:
                    pair = text.fill_null("\0") + "\0" + values.fill_null("\0")
                    parts.append(weighed(*packed(pair), salt(name), 0, 0, 1, self.buckets))
        return parts

    def _matrix(self, text: pl.Series, features: pl.DataFrame) -> tuple[Any, Array]:
        """All features of all rows as one sparse matrix, and the bucket of each of its first columns."""
        from scipy.sparse import csr_matrix, hstack

        shape = (len(text), self.buckets)
        hashed = sum(csr_matrix((values, columns, starts), shape) for starts, columns, values in self._hashed(text, features))
        seen = np.unique(hashed.indices).astype(np.int32)
        bins = [csr_matrix(filled_bins(features[name], edges)) for name, edges in self._edges.items()]
        return hstack([hashed[:, seen], *bins]).tocsr(), seen

    def _index(self) -> Array:
        places = np.full(self.buckets, -1, np.int32)
        places[self._seen] = np.arange(len(self._seen), dtype=np.int32)
        return places


def _series(text: Text) -> pl.Series:
    series = text if isinstance(text, pl.Series) else pl.Series(text, dtype=pl.String)
    if series.dtype not in {pl.String, pl.Null}:
        raise BadRecord(f"expected text, got {series.dtype}", field=series.name or "text")
    return series.cast(pl.String)
