"""The same content has the same digest, and other content another."""

import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette.core import digest
from vedette.core.frames import AT

FRAME = pl.DataFrame({"a": [1, None], "b": ["x", None], "c": [0.5, float("nan")], "d": [True, None]})
OTHERS = {
    "a value": FRAME.with_columns(a=pl.Series([2, None])),
    "a null that is a zero": FRAME.with_columns(a=pl.Series([1, 0])),
    "a null that is a word": FRAME.with_columns(b=pl.Series(["x", "null"])),
    "a number that is none": FRAME.with_columns(c=pl.Series([0.5, None])),
    "a truth": FRAME.with_columns(d=pl.Series([True, False])),
    "the order of rows": FRAME[::-1],
    "a row more": pl.concat([FRAME, FRAME[:1]]),
    "a row less": FRAME[:1],
    "no row": FRAME[:0],
    "the name of a column": FRAME.rename({"a": "aa"}),
    "the order of columns": FRAME.select("b", "a", "c", "d"),
    "a type": FRAME.cast({"a": pl.Int32}),
    "a time that is a number": FRAME.cast({"a": AT}),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_frame_that_differs_has_another_digest(what):
    assert digest.of_frame(OTHERS[what]) != digest.of_frame(FRAME)


@given(st.lists(st.tuples(st.integers(-5, 5), st.text(max_size=3)), max_size=8), st.integers(0, 8))
def test_how_a_frame_lies_in_memory_does_not_matter(rows, cut):
    whole = pl.DataFrame(rows, schema={"a": pl.Int64, "b": pl.String}, orient="row")
    pieces = pl.concat([whole[:cut], whole[cut:]], rechunk=False)
    assert digest.of_frame(pieces) == digest.of_frame(whole) == digest.of_frame(whole.clone())
    assert digest.of_frame(pl.concat([whole, whole])[len(rows) :]) == digest.of_frame(whole)


def test_arrays_are_told_apart_by_name_type_shape_and_bytes():
    base = {"x": np.arange(6), "y": np.zeros(2)}
    others = [
        {"x": np.arange(6), "z": np.zeros(2)}, {"x": np.arange(6)}, {"x": np.arange(6).reshape(2, 3), "y": np.zeros(2)},
        {"x": np.arange(6, dtype=np.int32), "y": np.zeros(2)}, {"x": np.arange(6)[::-1], "y": np.zeros(2)},
        {"x": np.arange(6), "y": np.array([0.0, -0.0])},
    ]  # fmt: skip
    assert len({digest.of_arrays(each) for each in [base, *others]}) == len(others) + 1
    strided = {"y": np.zeros(4)[::2], "x": np.stack([np.arange(6), np.zeros(6, int)], axis=1)[:, 0]}
    assert digest.of_arrays(strided) == digest.of_arrays(base)


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)


@given(plain, plain)
def test_plain_values_have_the_same_digest_when_they_are_the_same_json(one, other):
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (digest.of_values(one) == digest.of_values(other)) == same


def test_another_run_has_the_same_digests():
    asked = "from vedette.core import digest as d; import polars as pl, numpy as np; "
    asked += (
        "print(d.of_values({'a': {'b', }, 'c': 1.5}), d.of_frame(pl.DataFrame({'x': ['y', None]})), d.of_arrays({'x': np.ones(3)}))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", asked],
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in "12"
    }
    assert len(runs) == 1
