"""How much of what is planted is found, and how much of what is harmless is left alone (S09)."""

import importlib.util
import os
import sys
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from vedette.security import Redaction, RedactionSettings

HERE = Path(__file__).parent
SPEC = importlib.util.spec_from_file_location("redaction_corpus", HERE / "corpus.py")
corpus = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = corpus
SPEC.loader.exec_module(corpus)

DATA = Path(os.environ.get("VEDETTE_DATA", HERE.parents[1] / ".." / "shared" / "data"))
RECALL, FALSE_ALARMS = 0.99, 0.01


def test_what_is_planted_is_found():
    lines = corpus.labelled()
    redacted = Redaction(RedactionSettings()).column(pl.Series([each.line for each in lines]))
    missed = [each for each, left in zip(lines, redacted, strict=True) if each.planted in left]
    recall = 1 - len(missed) / len(lines)
    assert len(lines) >= 500
    assert recall >= RECALL, (recall, Counter((each.kind, each.form) for each in missed))


def test_every_kind_and_every_form_is_found():
    lines = corpus.labelled()
    redacted = Redaction(RedactionSettings()).column(pl.Series([each.line for each in lines]))
    missed = [each for each, left in zip(lines, redacted, strict=True) if each.planted in left]
    for part in ("kind", "form"):
        all_of = Counter(getattr(each, part) for each in lines)
        missed_of = Counter(getattr(each, part) for each in missed)
        assert not [each for each in all_of if missed_of[each] == all_of[each]]


def test_harmless_lines_stay_as_they_are():
    lines = pl.Series(corpus.clean())
    changed = lines.filter(lines != Redaction(RedactionSettings()).column(lines))
    assert len(lines) >= 10_000
    assert len(changed) / len(lines) <= FALSE_ALARMS, changed.sample(10, seed=1).to_list()


def test_real_logs_stay_as_they_are():
    path = DATA / "loghub_2k_10systems.parquet"
    if not path.exists():
        pytest.skip(f"{path}: no such file; set VEDETTE_DATA to the folder with the real data")
    lines = pl.read_parquet(path, columns=["raw"])["raw"]
    changed = lines.filter(lines != Redaction(RedactionSettings()).column(lines))
    assert len(lines) >= 10_000
    assert len(changed) / len(lines) <= FALSE_ALARMS, changed.sample(10, seed=1).to_list()


def test_columns_and_texts_of_the_corpus_come_out_alike():
    redaction = Redaction(RedactionSettings(ip=True))
    lines = [each.line for each in corpus.labelled()] + corpus.clean(1000)
    assert redaction.column(pl.Series(lines)).to_list() == [redaction.text(line) for line in lines]


def test_redacting_the_corpus_again_changes_nothing():
    redaction = Redaction(RedactionSettings())
    once = redaction.column(pl.Series([each.line for each in corpus.labelled()]))
    assert redaction.column(once).to_list() == once.to_list()
