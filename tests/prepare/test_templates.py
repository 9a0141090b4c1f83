import os
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.core.frames import TEMPLATES, conform
from vedette.prepare.templates import OVERFLOW, TemplateMiner, mine

WORDS = st.sampled_from(["open", "close", "user", "root", "anna", "bob", "carl", "dora", "emil", "disk", "7", "10.0.0.1", ""])
LINES = st.lists(st.lists(WORDS, min_size=1, max_size=5).map(" ".join), max_size=60)


def text(lines: list[str]) -> pl.Series:
    return pl.Series(lines, dtype=pl.String)


def test_lines_that_differ_in_numbers_share_a_template():
    mined = TemplateMiner().learn(text(["took 1 ms", "took 22 ms", "done"]))
    assert mined.ids[0] == mined.ids[1] != mined.ids[2]
    assert mined.templates["text"].to_list() == ["took <*> ms", "done"]


def test_a_word_that_keeps_changing_becomes_a_wildcard_and_the_id_stays():
    miner = TemplateMiner()
    first = miner.learn(text(["session opened by anna"]))
    later = miner.learn(text([f"session opened by {name}" for name in ("bob", "carl", "dora", "emil")]))
    assert set(later.ids.to_list()) == {first.ids[0]}
    assert later.templates.select("template", "text").rows() == [(first.ids[0], "session opened by <*>")]


def test_two_constants_at_one_place_stay_two_templates():
    mined = TemplateMiner().learn(text(["link state up", "link state down"] * 50))
    assert mined.ids.n_unique() == 2


def test_rows_of_templates_carry_time_and_stream():
    lines = text(["boot done", "disk full"])
    at = pl.Series([5, 6]).cast(pl.Datetime("us", "UTC"))
    mined = TemplateMiner().learn(lines, at, pl.Series([7, 8]))
    conform(mined.templates, TEMPLATES)
    assert mined.templates["first_seen"].to_list() == at.to_list()
    assert mined.templates["series"].to_list() == [7, 8]


@settings(max_examples=15, deadline=None)
@given(LINES, st.integers(0, 60))
def test_resumed_anywhere_it_gives_the_same_ids(lines, cut):
    whole, resumed = TemplateMiner(limit=8, idle=10), TemplateMiner(limit=8, idle=10)
    parts = [lines[:cut], lines[cut:]]
    expected = [whole.learn(text(part)) for part in parts]
    found = [resumed.learn(text(parts[0]))]
    restarted = TemplateMiner(limit=8, idle=10)
    restarted.load(resumed.state())
    found.append(restarted.learn(text(parts[1])))
    assert [each.ids.to_list() for each in found] == [each.ids.to_list() for each in expected]
    assert [each.templates.rows() for each in found] == [each.templates.rows() for each in expected]
    assert all((restarted.state()[name] == array).all() for name, array in whole.state().items())


@settings(max_examples=15, deadline=None)
@given(LINES)
def test_every_id_was_announced(lines):
    miner, known = TemplateMiner(), set()
    for start in range(0, len(lines), 7):
        mined = miner.learn(text(lines[start : start + 7]))
        known |= set(mined.templates["template"].to_list())
        assert set(mined.ids.to_list()) <= known


def test_a_flood_goes_to_the_overflow_and_known_templates_stay():
    miner = TemplateMiner(limit=50, contexts=1000, memory=1000)
    known = miner.learn(text(["service started well"])).ids[0]
    for batch in range(20):
        flood = [
            f"{chr(97 + batch)}{chr(97 + i // 26)}{chr(97 + i % 26)}x only{'q' * (i % 7)} {'z' * (i % 11)}ab" for i in range(200)
        ]
        miner.learn(text(flood))
    assert len(miner) <= 51
    again = miner.learn(text(["service started well", "quite another thing"]))
    assert again.ids.to_list() == [known, OVERFLOW]
    state = miner.state()
    assert len(state["seen"]) <= 1001
    assert len(state["memory_template"]) <= 1000


def test_idle_templates_make_room():
    miner = TemplateMiner(limit=1, idle=2)
    miner.learn(text(["alpha beta"]))
    assert miner.learn(text(["gamma delta"])).ids[0] == OVERFLOW
    miner.learn(text(["gamma delta", "gamma delta", "gamma delta"]))
    assert miner.learn(text(["gamma delta"])).ids[0] != OVERFLOW


def test_odd_lines_are_taken():
    mined = TemplateMiner().learn(pl.Series([None, "", "x" * 262_144, "\x00\u2028\U0001f600", "a" + " b" * 1000]))
    assert mined.ids.null_count() == 0
    assert TemplateMiner().learn(pl.Series([1, 2])).ids.n_unique() == 1


@settings(max_examples=15, deadline=None)
@given(LINES, st.randoms(use_true_random=False))
def test_a_file_in_another_order_has_the_same_templates(lines, random):
    order = list(range(len(lines)))
    random.shuffle(order)
    straight = mine(text(lines))
    shuffled = mine(text([lines[each] for each in order]))
    assert [straight["template_id"][each] for each in order] == shuffled["template_id"].to_list()


def test_parameters_are_the_variable_texts():
    table = mine(text(["moved 12 files from 10.0.0.1", "moved 3 files from 10.0.0.2", "done"]))
    assert table["parameters"].to_list() == [["12", "10.0.0.1"], ["3", "10.0.0.2"], []]
    assert table["row"].to_list() == [0, 1, 2]
    assert mine(text([])).height == 0


def test_grouping_of_known_systems_is_good():
    path = Path(os.environ.get("VEDETTE_DATA", Path(__file__).parents[3] / "shared" / "data")) / "loghub_2k_10systems.parquet"
    if not path.exists():
        pytest.skip(f"{path} is not there; set VEDETTE_DATA")
    logs = pl.read_parquet(path).filter(pl.col("system").is_in(["HDFS", "Hadoop", "BGL", "Android"]))
    for (system,), lines in logs.group_by("system"):
        table = lines.select("template").with_columns(mine(lines["content"])["template_id"])
        sizes = table.with_columns(
            a=pl.len().over("template"), b=pl.len().over("template_id"), both=pl.len().over("template", "template_id")
        )
        accuracy = sizes.select(((pl.col("a") == pl.col("both")) & (pl.col("b") == pl.col("both"))).mean()).item()
        assert accuracy > 0.8, system
