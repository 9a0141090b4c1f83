import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette.core.frames import INBOUND, METRICS, conform, empty
from vedette.core.identity import series_id


@pytest.mark.parametrize("table", sorted(INBOUND))
def test_an_empty_frame_conforms_to_its_own_schema(table):
    assert conform(empty(INBOUND[table]), INBOUND[table]).is_empty()


def test_a_wrong_column_is_named_with_what_was_expected_and_what_came():
    wrong = empty(METRICS).with_columns(pl.col("value").cast(pl.String))
    with pytest.raises(TypeError, match="field 'value': expected value Float64, got value String"):
        conform(wrong, METRICS)


@given(st.dictionaries(st.text(), st.text(), max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_labels_does_not_change_who_a_series_is(labels, random):
    pairs = list(labels.items())
    random.shuffle(pairs)
    assert series_id("m", dict(pairs)) == series_id("m", labels)


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_boundary_between_name_and_label_cannot_be_blurred(left, right):
    assert series_id(left, {right: "x"}) != series_id(left + right, {"": "x"})
