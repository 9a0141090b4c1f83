"""The same seed finds the same, whoever does the work and however often it is killed."""

import sys
from importlib import util
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.train import Answers, Choice, Inline, Processes, Range, search

_SPEC = util.spec_from_file_location("vedette_test_answers", Path(__file__).with_name("answers.py"))
answers = util.module_from_spec(_SPEC)
sys.modules["vedette_test_answers"] = answers
_SPEC.loader.exec_module(answers)

SPACE = {"x": Range(-10, 10), "n": Range(1, 100, log=True, whole=True), "kind": Choice(("a", "b"))}
USUAL = {"x": 0.0, "n": 3, "kind": "a", "fixed": 7}


class Counted:
    """An objective that counts its questions and may fail at one of them."""

    def __init__(self, objective=answers.peak, ends_at=None):
        self.objective, self.ends_at, self.asked = objective, ends_at, []

    def __call__(self, question):
        if len(self.asked) == self.ends_at:
            raise KeyboardInterrupt
        self.asked.append(question[1])
        return self.objective(question)


def looked(objective=None, *, seed=3, trials=18, remembered=None, engine=None, usual=USUAL, **more):
    return search(
        objective or answers.peak, SPACE, usual, trials=trials, seed=seed, engine=engine or Inline(),
        remembered={} if remembered is None else remembered, **more,
    )  # fmt: skip


def test_it_finds_better_ones_and_keeps_what_does_not_vary():
    found = looked(trials=40)
    assert found.value > found.usual
    assert found.parameters["fixed"] == 7
    assert found.tried == 40
    assert answers.peak((found.parameters, 1.0)) == found.value


def test_the_same_seed_finds_the_same_and_another_another():
    assert looked() == looked()
    assert looked().parameters != looked(seed=4).parameters


def test_several_processes_find_what_one_does(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr(answers.slow_peak, "__module__", "answers")
    monkeypatch.setitem(sys.modules, "answers", answers)
    engine = Processes(2)
    try:
        found = looked(answers.slow_peak, engine=engine, trials=10)
    finally:
        engine.close()
        engine.close()
    assert found == looked(trials=10)


@settings(max_examples=15)
@given(st.integers(0, 30))
def test_killed_anywhere_it_asks_on_where_it_was_and_finds_the_same(place):
    whole = Counted()
    undisturbed = looked(whole)
    remembered = {}
    first, second = Counted(ends_at=min(place, len(whole.asked) - 1)), Counted()
    with pytest.raises(KeyboardInterrupt):
        looked(first, remembered=remembered)
    assert looked(second, remembered=remembered) == undisturbed
    assert first.asked + second.asked == whole.asked


def test_what_is_pruned_is_not_asked_about_all_of_the_data():
    counted = Counted()
    found = looked(counted, trials=40)
    assert found.pruned > 0
    assert counted.asked.count(1.0) == 1 + found.tried - found.pruned
    assert sum(counted.asked) < 1 + 40


@settings(max_examples=10)
@given(st.integers(0, 100))
def test_it_is_never_worse_than_the_usual_ones(seed):
    best = {"x": 3.0, "n": 5, "kind": "b", "fixed": 7}
    found = looked(seed=seed, usual=best, trials=6)
    assert (found.parameters, found.value) == (best, found.usual)


def test_without_trials_the_usual_ones_stay():
    assert looked(trials=0).parameters == USUAL


def test_a_budget_of_time_ends_it_between_two_groups():
    told = []
    groups = iter([True, True, False])
    found = looked(go_on=lambda: next(groups), tell=lambda done, best: told.append((done, best)))
    assert found.tried == 8
    assert [done for done, _ in told] == [4, 8]
    assert told[-1][1] == found.value


@pytest.mark.parametrize("broken", [float("nan"), float("-inf"), float("inf")])
def test_an_answer_that_is_no_number_is_the_worst(broken, tmp_path):
    kept = Answers(tmp_path / "answers")
    found = looked(lambda asked: broken if asked[0]["x"] > 0 else answers.peak(asked), remembered=kept)
    assert found.parameters["x"] <= 0
    assert found.value >= found.usual
    assert dict(Answers(tmp_path / "answers")) == dict(kept)
    assert looked(lambda _: broken).parameters == USUAL


def test_half_a_line_spoils_no_answer_before_or_after_it(tmp_path):
    path = tmp_path / "training" / "answers"
    first = Answers(path)
    first["a"], first["b"] = 0.1, 0.2
    path.write_bytes(path.read_bytes()[:-3])
    second = Answers(path)
    assert dict(second) == {"a": 0.1}
    second["b"], second["c"] = 0.2, 0.3
    third = Answers(path)
    assert dict(third) == {"a": 0.1, "b": 0.2, "c": 0.3}
    third.forget()
    assert not path.exists()
    assert len(third) == 0
