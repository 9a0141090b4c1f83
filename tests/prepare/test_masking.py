import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from vedette.prepare.masking import MINED_CHARS, blur, mask, wildcards


def masked(line: str | None) -> str:
    return str(mask(blur(pl.Series([line], dtype=pl.String)))[0])


def test_each_kind_of_variable_has_its_placeholder():
    assert masked("2025-11-24T03:08:00.123Z started") == "<time> started"
    assert masked("from 10.0.0.7 port 22") == "from <ip> port <num>"
    assert masked("id 6ba7b810-9dad-11d1-80b4-00c04fd430c8 gone") == "id <uuid> gone"
    assert masked("link 00:1b:44:11:3a:b7 up") == "link <mac> up"
    assert masked("at 0xdeadbeef") == "at <hex>"
    assert masked("GET https://example.org/a?b=1 done") == "GET <url> done"
    assert masked("open /etc/passwd now") == "open <path> now"
    assert masked('say "hello there" twice') == "say <quoted> twice"


def test_numbers_inside_words_are_masked_and_words_stay():
    assert masked("blk_-498 of eth0") == "blk_<num> of eth<num>"
    assert masked("nothing varies here") == "nothing varies here"


def test_colours_are_taken_out():
    assert masked("\x1b[1;31mERROR\x1b[0m disk") == "ERROR disk"


def test_a_stack_trace_is_its_first_line_and_its_exception():
    body = "request failed\n\tat a.b.C(D.java:12)\nCaused by: java.io.IOException: gone\n\tat e.F"
    assert masked(body) == "request failed IOException"


def test_null_and_empty_lines_are_empty():
    assert masked(None) == ""
    assert masked("   ") == ""


def test_only_the_head_of_a_giant_line_is_looked_at():
    assert len(masked("x" * 262_144)) == MINED_CHARS


@given(st.lists(st.text(max_size=60), max_size=8))
def test_blurring_twice_changes_nothing_more_than_once(lines):
    once = blur(pl.Series(lines, dtype=pl.String))
    assert blur(once).to_list() == once.to_list()


@given(st.lists(st.from_regex(r"[a-z]{1,6}( [a-z0-9=/.:]{1,8}){0,5}", fullmatch=True), max_size=8))
def test_wildcards_are_stable(lines):
    once = wildcards(mask(blur(pl.Series(lines, dtype=pl.String))))
    assert wildcards(once).to_list() == once.to_list()
