import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.core.frames import TEMPLATES, conform
from vedette.prepare.masking import blur, first_line, mask, wildcards
from vedette.prepare.templates import OVERFLOW, TemplateMiner, TemplateSettings, mine

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


def test_a_template_is_born_once_and_told_again_when_its_text_widens():
    miner = TemplateMiner()
    first = miner.learn(text(["door north is open"]))
    later = miner.learn(text([f"door {side} is open" for side in ("south", "east", "west", "back", "front", "side")]))
    assert first.born.equals(first.templates)
    assert later.templates["template"].to_list()[-1:] == first.templates["template"].to_list()
    assert later.templates["text"].to_list()[-1:] == ["door <*> is open"]
    assert later.born.is_empty()


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


@settings(max_examples=30, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=6), st.sampled_from([1, 8, 50]), st.sampled_from([1, 10, 100]))
def test_resumed_between_any_two_batches_it_gives_the_same(batches, limit, idle):
    tight = TemplateSettings(limit=limit, idle=idle, memory=1 << 16)
    whole, resumed = TemplateMiner(tight), TemplateMiner(tight)
    for lines in batches:
        expected, found = whole.learn(text(lines)), resumed.learn(text(lines))
        assert found.ids.to_list() == expected.ids.to_list()
        assert found.templates.rows() == expected.templates.rows()
        assert found.ended.rows() == expected.ended.rows()
        state = resumed.state()
        assert all(np.array_equal(state[name], array) for name, array in whole.state().items())
        resumed = TemplateMiner(tight)
        resumed.load(state)


def test_two_words_that_vary_in_one_line_make_one_template_in_any_order():
    words = [chr(97 + number % 26) * 3 + chr(97 + number // 2) * 3 for number in range(26)]
    picked = np.random.default_rng(7).integers(0, len(words), (4000, 2)).tolist()
    lines = [f"move {words[what]} with box {words[where]} done" for what, where in picked]
    miner = TemplateMiner()
    for start in range(0, len(lines), 100):
        last = miner.learn(text(lines[start : start + 100]))
    assert miner.texts()["text"].to_list() == ["move <*> with box <*> done"]
    assert last.ids.n_unique() == 1


@settings(max_examples=30, deadline=None)
@given(LINES, st.integers(1, 20))
def test_where_distinct_lines_are_cut_into_batches_does_not_change_what_is_found(lines, beat):
    """Of distinct ones only: a line that comes again is read as what is open by then."""
    masked = wildcards(mask(blur(text(lines))))
    distinct = [line for line in masked.unique(maintain_order=True) if line != "<*>"]
    whole, cut = TemplateMiner(), TemplateMiner()
    whole.learn(text(distinct))
    for start in range(0, len(distinct), beat):
        cut.learn(text(distinct[start : start + beat]))
    assert cut.texts().rows() == whole.texts().rows()


@settings(max_examples=15, deadline=None)
@given(LINES)
def test_every_id_was_announced(lines):
    miner, known = TemplateMiner(), set()
    for start in range(0, len(lines), 7):
        mined = miner.learn(text(lines[start : start + 7]))
        known |= set(mined.templates["template"].to_list())
        assert set(mined.ids.to_list()) <= known


def flood(lines, seed):
    """Lines of eight random words each: no two share a word."""
    letters = np.random.default_rng(seed).integers(97, 123, (lines, 64)).astype(np.uint8)
    letters[:, 7::8] = 32
    return pl.Series(letters.view("S64").ravel().astype(str).tolist())


def test_a_flood_goes_to_the_overflow_known_templates_stay_and_memory_is_bounded_in_bytes():
    miner = TemplateMiner(TemplateSettings(limit=200, memory=4 << 20))
    known = miner.learn(text(["service started well"])).ids[0]
    for seed in range(10):
        last = miner.learn(flood(20_000, seed))
    assert last.ids.unique().to_list() == [OVERFLOW]
    assert len(miner) <= 202
    assert miner.nbytes <= 4 << 20
    assert sum(array.nbytes for array in miner.state().values()) <= 4 << 20
    again = miner.learn(text(["service started well", "quite another thing"]))
    assert again.ids.to_list() == [known, OVERFLOW]


def test_long_texts_are_bounded_in_bytes():
    miner = TemplateMiner(TemplateSettings(memory=1 << 20))
    for seed in range(20):
        wide = flood(100, seed)
        miner.learn(pl.select(pl.concat_str([wide] * 20, separator=" ")).to_series())
    assert miner.nbytes <= (1 << 20) + 3_000_000  # the tables for 20,000 templates beside it
    assert len(miner) < 400


def test_a_full_miner_that_meets_the_same_line_again_and_again_does_not_think_that_it_varies():
    miner = TemplateMiner(TemplateSettings(limit=1))
    miner.learn(text(["alpha beta"]))
    for _ in range(10):
        assert miner.learn(text(["gamma delta"])).ids[0] == OVERFLOW


def test_what_turns_out_to_be_one_template_ends_in_the_oldest_and_later_lines_go_there():
    miner = TemplateMiner()
    names = ["reading alpha now", "reading beta now", "reading gamma now", "reading delta now"]
    before = [miner.learn(text([line])).ids[0] for line in names]
    mined = miner.learn(text(["reading epsilon now"]))
    assert mined.ids[0] == before[0]
    assert sorted(mined.ended.rows()) == sorted((each, before[0]) for each in before[1:])
    assert mined.templates.select("template", "text").rows() == [(before[0], "reading <*> now")]
    assert miner.learn(text(names)).ids.unique().to_list() == [before[0]]


@settings(max_examples=40, deadline=None)
@given(LINES, st.integers(1, 20))
def test_following_what_ended_a_line_has_the_template_it_would_have_now(lines, beat):
    miner, ids, into = TemplateMiner(), [], {}
    for start in range(0, len(lines), beat):
        mined = miner.learn(text(lines[start : start + beat]))
        ids += mined.ids.to_list()
        into |= dict(mined.ended.rows())
    again = miner.learn(text(lines))
    into |= dict(again.ended.rows())

    def final(template):
        return final(into[template]) if template in into else template

    assert [final(each) for each in ids] == again.ids.to_list()


def test_idle_templates_make_room():
    miner = TemplateMiner(TemplateSettings(limit=1, idle=2))
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
    for name in ("template_id", "template", "parameters"):
        assert [straight[name].to_list()[each] for each in order] == shuffled[name].to_list()


ODD = st.one_of(
    st.text(st.sampled_from(list("ab =:/.,<*>0129-_'\"[]()\t\n\x1b\u00e4")), max_size=40),
    st.lists(WORDS, max_size=6).map(" ".join),
    st.sampled_from(
        ["a <*> b", "x=<num> y", "failed\n at b\nCaused by: java.io.IOException: gone", "user root from web-7:80 ssh2"]
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ODD, min_size=1, max_size=30))
def test_a_template_filled_with_its_parameters_is_the_line(lines):
    table = mine(text(lines))
    seen = first_line(text(lines)).to_list()
    for line, template, parameters in zip(seen, table["template"], table["parameters"].to_list(), strict=True):
        constants = template.split("<*>")
        assert len(parameters) == len(constants) - 1
        filled = constants[0] + "".join(value + part for value, part in zip(parameters, constants[1:], strict=True))
        assert " ".join(filled.split()) == " ".join(line.split())


def test_names_behind_their_role_vary_from_the_first_line_on():
    lines = [
        "Failed password for anna from 10.0.0.1",
        "login ok user=anna rhost=mail.example.org",
        "asking node db.example.org again",
    ]
    assert mine(text(lines))["template"].to_list() == [
        "Failed password for <*> from <*>",
        "login ok user=<*> rhost=<*>",
        "asking node <*> again",
    ]


def test_digits_at_the_end_of_a_word_that_never_change_are_constant():
    table = mine(text(["anna in by ssh2 port 7", "anna in by ssh2 port 9"]))
    assert table["template"].unique().to_list() == ["anna in by ssh2 port <*>"]
    assert table["parameters"].to_list() == [["7"], ["9"]]


def test_parameters_have_types():
    table = mine(text(["moved 12 files from 10.0.0.1 to /var/log", "done"]))
    assert table["types"].to_list() == [["num", "ip", "path"], []]


def test_lines_of_only_words_that_all_vary_do_not_end_in_one_template():
    lines = [f"{kind} happened" for kind in ("login", "logout", "failure", "restart", "shutdown", "upgrade", "timeout")]
    assert set(mine(text(lines))["template"].to_list()).isdisjoint({"<*>", "<*> <*>"})


def test_colours_unicode_empty_and_giant_lines_have_their_templates():
    lines = ["\x1b[31mred 7\x1b[0m", "naïve \U0001f600 12", "", "x" * 1_000_000, "x" * 2_000_000]
    table = mine(text(lines))
    assert table["template"].to_list()[:3] == ["red <*>", "naïve \U0001f600 <*>", ""]
    assert table["template_id"][3] == table["template_id"][4]
    assert len(table["template"][3]) == 2048


def test_parameters_are_the_variable_texts():
    table = mine(text(["moved 12 files from 10.0.0.1", "moved 3 files from 10.0.0.2", "done"]))
    assert table["parameters"].to_list() == [["12", "10.0.0.1"], ["3", "10.0.0.2"], []]
    assert table["row"].to_list() == [0, 1, 2]
    assert mine(text([])).height == 0


def test_grouping_of_known_systems_is_good():
    path = Path(os.environ.get("VEDETTE_DATA", Path(__file__).parents[3] / "shared" / "data")) / "loghub_2k_10systems.parquet"
    if not path.exists():
        pytest.skip(f"{path} is not there; set VEDETTE_DATA")
    logs = pl.read_parquet(path).filter(pl.col("system").is_in(["HDFS", "Hadoop", "BGL", "Android", "OpenSSH"]))
    for (system,), lines in logs.group_by("system"):
        table = lines.select("template").with_columns(mine(lines["content"])["template_id"])
        sizes = table.with_columns(
            a=pl.len().over("template"), b=pl.len().over("template_id"), both=pl.len().over("template", "template_id")
        )
        accuracy = sizes.select(((pl.col("a") == pl.col("both")) & (pl.col("b") == pl.col("both"))).mean()).item()
        assert accuracy > 0.8, system
