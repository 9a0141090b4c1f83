import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score

from vedette.validate import by_class, class_metrics, confusion, cost_by_class, reliability
from vedette.validate.classes import calibration_error

PAIRS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=1, max_size=60)


@given(PAIRS)
def test_figures_agree_with_those_of_scikit_learn(pairs):
    truth, said = zip(*pairs, strict=True)
    figures = class_metrics(pl.Series(truth), pl.Series(said))
    assert figures["macro_f1"] == pytest.approx(f1_score(truth, said, average="macro", zero_division=0))
    if 1 < len(set(said) | set(truth)) == len(set(truth)):
        assert figures["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, said))
    assert figures["accuracy"] == pytest.approx(np.mean([a == b for a, b in pairs]))


@given(PAIRS)
def test_right_answers_are_perfect_and_cost_nothing(pairs):
    truth = pl.Series([a for a, _ in pairs])
    costs = pl.DataFrame({"truth": ["a"], "said": ["b"], "cost": [9.0]})
    figures = class_metrics(truth, truth, pl.Series([1.0] * len(truth)), costs)
    assert figures["macro_f1"] == figures["balanced_accuracy"] == figures["worst_class_recall"] == 1.0
    assert figures["calibration_error"] == figures["mean_cost"] == 0.0


def test_no_answer_is_an_error_of_its_class():
    figures = class_metrics(pl.Series(["a", "a", "b"]), pl.Series(["a", None, "b"]))
    assert figures["null_share"] == pytest.approx(1 / 3)
    assert figures["worst_class_recall"] == 0.5
    table = confusion(pl.Series(["a", "a", "b"]), pl.Series(["a", None, "b"]))
    assert by_class(table)["class"].to_list() == ["a", "b"]
    costs = pl.DataFrame({"truth": ["b"], "said": ["a"], "cost": [7.0]})
    assert cost_by_class(table, costs)["cost"].to_list() == [1.0, 0.0]


def test_costs_are_those_declared():
    table = confusion(pl.Series(["a", "a", "b", "b"]), pl.Series(["b", "a", "a", "a"]))
    costs = pl.DataFrame({"truth": ["a"], "said": ["b"], "cost": [20.0]})
    assert cost_by_class(table, costs)["mean_cost"].to_list() == [10.0, 1.0]


def test_honest_probabilities_are_calibrated_and_boasting_is_not():
    rng = np.random.default_rng(0)
    probability = rng.uniform(0.3, 1.0, 20_000)
    right = rng.random(20_000) < probability
    honest = calibration_error(reliability(pl.Series(right), pl.Series(probability)))
    boast = calibration_error(reliability(pl.Series(right), pl.Series(np.minimum(probability + 0.2, 1.0))))
    assert honest < 0.02
    assert boast > 0.12
    assert math.isnan(calibration_error(reliability(pl.Series([], dtype=pl.Boolean), pl.Series([], dtype=pl.Float64))))


def test_nothing_measured_is_not_a_number():
    assert math.isnan(class_metrics(pl.Series([], dtype=pl.String), pl.Series([], dtype=pl.String))["macro_f1"])
