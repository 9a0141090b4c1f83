"""How the weights are found: a support vector machine, and by class a scale and an offset that make what it says a probability.

The machine is LIBLINEAR's (Fan et al. 2008). What it says of rows it has not seen (five folds) is scaled so that its softmax is as
likely as can be (vector scaling, Guo et al. 2017). All of that is linear, so what is left is one matrix.
"""

import warnings
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]

FOLDS: Final = 5
#: Where scales begin, and how strongly scales and offsets are held, in rows.
_SCALE: Final = 2.0
_HELD: Final = 1.0


def shares(label: Array, count: Array, seed: int) -> Array:
    """How many of the records of each row are in each fold: int64 of shape (rows, FOLDS), drawn within each class.

    Records are drawn, not rows: what came a hundred times will come again. A class's only record is never left out.
    """
    rng = np.random.default_rng(seed)
    whole = count.astype(np.int64)
    out = np.repeat(whole[:, None] // FOLDS, FOLDS, axis=1)
    for k in range(int(label.max()) + 1):
        rows = np.flatnonzero(label == k)
        if whole[rows].sum() > 1:
            records = rng.permutation(np.repeat(rows, whole[rows] % FOLDS))
            np.add.at(out, (records, (np.arange(len(records)) + rng.integers(FOLDS)) % FOLDS), 1)
    return out


def fitted(rows: Any, label: Array, count: Array, strength: float, seed: int) -> tuple[Array, Array, float]:  # noqa: ANN401 -- sparse
    """The weights and the bias whose softmax is the probability, and the calibration error left on rows not seen.

    Args:
        rows: sparse, of shape (rows, features).
        label: int64, all of 0..classes-1.
        count: float64, how many records each row stands for.
        strength: the inverse regularisation.
        seed: of folds and descent.

    Returns:
        float32 of shape (features, classes), float32 of shape (classes,), and a number.
    """
    held = shares(label, count, seed)
    parts = []
    for fold in range(FOLDS):
        out, rest = np.flatnonzero(held[:, fold]), np.flatnonzero(count > held[:, fold])
        weights, bias = _machine(rows[rest], label[rest], (count - held[:, fold])[rest], strength, seed)
        parts.append((rows[out] @ weights + bias, label[out], held[out, fold].astype(np.float64)))
    said, true, records = (np.concatenate(each) for each in zip(*parts, strict=True))
    scale, offset = scaled(said, true, records)
    error = calibration_error(softmax(said * scale + offset), true, records)
    weights, bias = _machine(rows, label, count, strength, seed)
    return (weights * scale).astype(np.float32), (bias * scale + offset).astype(np.float32), error


def _machine(rows: Any, label: Array, count: Array, strength: float, seed: int) -> tuple[Array, Array]:  # noqa: ANN401
    """Weights (features, classes) and bias (classes,), each class against the rest."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    machine = LinearSVC(C=strength, random_state=seed, dual="auto")
    with warnings.catch_warnings():
        # Rows that stand for many may keep the descent from its goal; how good the end is, the folds tell.
        warnings.simplefilter("ignore", ConvergenceWarning)
        machine.fit(rows, label, sample_weight=count)
    weights, bias = machine.coef_.T, machine.intercept_
    if weights.shape[1] == 1:
        weights, bias = np.hstack([-weights, weights]), np.array([-bias[0], bias[0]])
    return weights, bias


def scaled(said: Array, label: Array, count: Array) -> tuple[Array, Array]:
    """The scales and offsets (classes,) under which `label` is likeliest; close to even where rows are few.

    Args:
        said: float64 of shape (rows, classes).
        label: int64 of shape (rows,).
        count: float64 of shape (rows,).
    """
    from scipy.optimize import minimize

    rows, classes = said.shape
    prior = np.repeat([_SCALE, 0.0], classes)
    places = np.arange(rows)

    def loss(guess: Array) -> tuple[float, Array]:
        told = softmax(said * guess[:classes] + guess[classes:])
        missed = -np.log(np.maximum(told[places, label], 1e-300)) @ count
        told[places, label] -= 1
        told *= count[:, None]
        away = guess - prior
        return missed + _HELD / 2 * away @ away, np.concatenate([(said * told).sum(0), told.sum(0)]) + _HELD * away

    best = minimize(loss, prior, jac=True, method="L-BFGS-B").x if rows else prior
    return best[:classes], best[classes:]


def softmax(said: Array) -> Array:
    """Rows of positive numbers that sum to 1.

    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    told: Array = np.exp(said - said.max(1, keepdims=True))
    return np.asarray(told / told.sum(1, keepdims=True))


def calibration_error(probabilities: Array, label: Array, count: Array | None = None, bins: int = 15) -> float:
    """How far the largest probability is from how often it is right, in the mean over equal bins (Guo et al. 2017).

    Args:
        probabilities: of shape (rows, classes).
        label: the true place of each row among the classes.
        count: how many records each row stands for.
        bins: how many.

    >>> calibration_error(np.array([[0.75, 0.25]] * 4), np.array([0, 0, 0, 1]))
    0.0
    """
    weight = np.ones(len(label)) if count is None else count
    if not len(label):
        return float("nan")
    sure, right = probabilities.max(1), probabilities.argmax(1) == label
    place = np.minimum((sure * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(place, weight * (sure - right), bins)
    return float(np.abs(gaps).sum() / weight.sum())
