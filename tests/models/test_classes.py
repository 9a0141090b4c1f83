import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from vedette.core.digest import of_arrays
from vedette.core.errors import BadRecord, Rejected
from vedette.models.classes import Classifier, calibration_error, twins

DATA = Path(os.environ.get("VEDETTE_DATA", Path(__file__).parents[3] / "shared" / "data"))
TEXT = [
    "disk full on server",
    "disk failed again",
    "password lost",
    "password is locked",
    "printer out of paper",
    "printer is jammed",
] * 4
LABEL = pl.Series(["box", "box", "desk", "desk", "print", "print"] * 4)


def beside():
    rng = np.random.default_rng(0)
    at = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=i) for i in range(24)]
    return pl.DataFrame({"load": rng.normal(size=24), "host": ["a", "b", None] * 8, "at": at, "paid": [True, False] * 12})


def learnt(**parameters):
    model = Classifier(**parameters)
    model.fit(TEXT, LABEL, beside())
    return model


def test_what_was_learnt_is_told_again_with_probabilities_that_sum_to_one():
    model = learnt()
    told = model.predict(TEXT, beside())
    assert told["label"].equals(LABEL.alias("label"))
    assert told.columns == ["label", "probability"]
    assert told["probability"].is_between(1 / 3, 1).all()
    np.testing.assert_allclose(model.probabilities(TEXT, beside()).sum(1), 1)


@pytest.mark.parametrize("text", [[], [""], [None], ["!?", "  "], ["ünïcode ☃ 日本語"], ["x" * 100_000]])
def test_any_text_gets_an_answer(text):
    model = Classifier()
    model.fit(TEXT, LABEL)
    told = model.probabilities(text)
    assert told.shape == (len(text), 3)
    assert np.isfinite(told).all()


def test_the_same_data_and_seed_make_the_same_bytes_and_a_loaded_state_the_same_answers():
    model, again = learnt(seed=3), learnt(seed=3)
    assert of_arrays(model.state()) == of_arrays(again.state())
    loaded = Classifier()
    loaded.load(model.state())
    assert of_arrays(loaded.state()) == of_arrays(model.state())
    assert np.array_equal(loaded.probabilities(TEXT, beside()), model.probabilities(TEXT, beside()))
    assert (loaded.classes, loaded.calibration_error, loaded.seed) == (model.classes, model.calibration_error, 3)
    assert all(array.dtype.kind in "uif" for array in model.state().values())


def test_the_order_of_columns_changes_nothing_and_further_columns_do_no_harm():
    model, other = learnt(), Classifier()
    turned = beside().select(*reversed(beside().columns))
    other.fit(TEXT, LABEL, turned)
    assert of_arrays(model.state()) == of_arrays(other.state())
    assert np.array_equal(model.probabilities(TEXT, turned.with_columns(more=1)), model.probabilities(TEXT, beside()))


@pytest.mark.parametrize("name", ["load", "host", "at", "paid"])
def test_a_missing_renamed_or_changed_column_is_refused_by_its_name(name):
    model = learnt()
    for frame in (beside().drop(name), beside().rename({name: "other"}), beside().with_columns(pl.lit([1]).alias(name)), None):
        with pytest.raises(BadRecord, match=f"'{name}'" if frame is not None else "missing"):
            model.probabilities(TEXT, frame)
    with pytest.raises(BadRecord, match="'load': the model learnt it as number, and here it is words"):
        model.probabilities(TEXT, beside().with_columns(load=pl.lit("much")))


def test_nulls_unseen_categories_and_numbers_beyond_all_bounds_are_harmless():
    frame = beside().with_columns(host=pl.lit("never seen"), load=pl.lit(float("inf")), paid=None, at=None)
    assert np.isfinite(learnt().probabilities(TEXT, frame)).all()
    assert np.isfinite(learnt().probabilities(TEXT, frame.with_columns(load=pl.lit(1e300)))).all()


def test_a_column_alone_can_tell_the_classes_apart():
    number = pl.Series([float(i % 7) for i in range(140)])
    label = pl.Series(["low" if each < 3 else "high" for each in number])
    model = Classifier()
    model.fit([""] * 140, label, pl.DataFrame({"number": number}))
    told = model.predict(["", ""], pl.DataFrame({"number": [1, 6]}))
    assert told["label"].to_list() == ["low", "high"]


def test_where_texts_repeat_a_text_and_a_string_beside_it_tell_more_than_each():
    text, host = ["probe", "scan"] * 40, ["a", "a", "b", "b"] * 20
    label = pl.Series(["real", "false", "false", "real"] * 20)
    model = Classifier()
    model.fit(text, label, pl.DataFrame({"host": host}))
    assert model.predict(text, pl.DataFrame({"host": host}))["label"].equals(label.alias("label"))


def test_nothing_to_tell_apart_is_said():
    with pytest.raises(Rejected, match="no row has a label"):
        Classifier().fit([], pl.Series([], dtype=pl.String))
    with pytest.raises(Rejected, match="the only one is 'x'"):
        Classifier().fit(["a", "b", "c"], pl.Series(["x", "x", None]))
    with pytest.raises(Rejected, match="learnt nothing yet"):
        Classifier().predict(["a"])
    with pytest.raises(BadRecord, match="'label': expected one label"):
        Classifier().fit(["a"], pl.Series(["x", "y"]))
    with pytest.raises(BadRecord, match="'tags': a column of type List"):
        Classifier().fit(["a", "b"], pl.Series(["x", "y"]), pl.DataFrame({"tags": [["p"], ["q"]]}))
    with pytest.raises(BadRecord, match="expected text, got Int64"):
        learnt().predict(pl.Series([1, 2]))


def test_one_row_a_class_is_enough_to_answer():
    model = Classifier()
    model.fit(["disk full", "password lost"], pl.Series(["box", "desk"]))
    assert model.predict(["disk", "password"])["label"].to_list() == ["box", "desk"]


def test_a_probability_is_how_often_it_is_right():
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, 3000)
    words = np.where(rng.random((3000, 3)) < 0.7, label[:, None], 1 - label[:, None])
    text = [" ".join(f"w{place}{each}" for place, each in enumerate(row)) for row in words]
    model = Classifier()
    model.fit(text[:2000], pl.Series(label[:2000]))
    assert calibration_error(model.probabilities(text[2000:]), label[2000:]) < 0.05
    assert model.calibration_error < 0.05


def test_a_decision_weighs_what_errors_cost():
    model = Classifier()
    sure = np.array([[0.9, 0.1], [0.5, 0.5]])
    assert model.decide(sure, None).tolist() == [0, 0]
    assert model.decide(sure, np.array([[0.0, 1.0], [20.0, 0.0]])).tolist() == [1, 1]
    with pytest.raises(BadRecord, match="'cost': expected numbers in 2 rows"):
        model.decide(sure, np.ones((3, 2)))
    with pytest.raises(BadRecord, match="'cost'"):
        model.decide(sure, np.array([[0.0, np.nan], [1.0, 0.0]]))


def test_twins_share_a_group_and_groups_are_counted_from_zero():
    text = pl.Series(["Disk 7 full", "mail", None, "disk  42\tFULL ", "mail ", None, "disk full"])
    assert twins(text).tolist() == [0, 1, 2, 0, 1, 2, 3]
    assert twins(pl.Series([], dtype=pl.String)).dtype == np.int64


def test_judging_imports_no_learning_library():
    script = (
        "import sys, vedette.models.classes as c; sys.exit(any(n.startswith(('sklearn', 'scipy.optimize')) for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_tenth_of_real_tickets_is_enough_for_four_of_five():
    path = DATA / "it_tickets_47k.parquet"
    if not path.exists():
        pytest.skip(f"no tickets at {path}")
    table = pl.read_parquet(path).sample(6000, seed=0, shuffle=True)
    model = Classifier()
    model.fit(table["Document"][:4800], table["Topic_group"][:4800])
    told = model.probabilities(table["Document"][4800:])
    true = table["Topic_group"][4800:].replace_strict(model.classes, range(len(model.classes))).to_numpy()
    assert (told.argmax(1) == true).mean() > 0.76
    assert calibration_error(told, true) < 0.06
