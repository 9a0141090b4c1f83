import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from vedette.web.reader import STRETCHES, _thin, identity, plain
from vedette.web.text import visible

SIZE = 8 * STRETCHES


def frame(values, scores):
    return pl.DataFrame(
        {"at": range(len(values)), "value": values, "score": scores},
        schema={"at": pl.Int64, "value": pl.Float64, "score": pl.Float64},
    )


@given(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1), st.integers(0, 2**32))
def test_thinning_loses_no_peak(peak, oddest, seed):
    random = np.random.default_rng(seed)
    values, scores = random.standard_normal(SIZE), random.random(SIZE)
    values[peak], scores[oddest] = 99.0, 9.0
    thin = _thin(frame(values, scores), 0, SIZE)
    assert thin.height <= 4 * (STRETCHES + 1)
    assert (thin["value"].max(), thin["value"].min(), thin["score"].max()) == (99.0, values.min(), 9.0)
    assert thin["at"].is_sorted()


def test_a_curve_without_values_is_thinned_too():
    nothing = [None] * SIZE
    assert _thin(frame(nothing, nothing), 0, SIZE).height <= STRETCHES + 1


def test_a_short_curve_is_left_alone():
    short = frame([1.0] * 50, [None] * 50)
    assert _thin(short, 0, 10**12).height == 50


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_every_identity_can_be_written_and_read(series):
    assert identity(str(series)) == series


@given(
    st.recursive(
        st.none() | st.floats() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_plain_values_stay_plain(value):
    assert plain(plain(value)) == plain(value)


@given(st.text(st.characters()))
def test_what_is_visible_stays_as_it_is(text):
    assert visible(visible(text)) == visible(text)
    visible(text).encode()
