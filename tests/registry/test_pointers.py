import threading
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from vedette.core.errors import BadRecord, Rejected, Transient
from vedette.registry import Pointed, Pointers


@pytest.fixture
def pointers(tmp_path):
    with Pointers(f"sqlite:///{tmp_path / 'vedette.db'}") as made:
        yield made


def move(pointers, version, expected, alias="champion", at=1):
    pointers.point("web", alias, version, expected=expected, at=at, actor="ann", reason="because")


def test_a_move_is_seen_with_who_and_why(pointers):
    move(pointers, 1, None)
    move(pointers, 2, 1, at=5)
    move(pointers, 1, None, alias="challenger", at=6)
    assert pointers.aliases("web") == {"challenger": 1, "champion": 2}
    assert pointers.history("web")[:2] == (
        Pointed(6, "web", "challenger", 1, None, "ann", "because"),
        Pointed(5, "web", "champion", 2, 1, "ann", "because"),
    )
    assert pointers.alias("logs", "champion") is None


def test_it_lasts(tmp_path):
    url = f"sqlite:///{tmp_path / 'vedette.db'}"
    with Pointers(url) as pointers:
        move(pointers, 4, None)
    with Pointers(url) as pointers:
        assert pointers.alias("web", "champion") == 4


@pytest.mark.parametrize(("expected", "version"), [(None, 3), (1, 3), (3, 4), (1, None)])
def test_who_looked_too_long_ago_moves_nothing(pointers, expected, version):
    move(pointers, 2, None)
    with pytest.raises(Rejected, match="champion of 'web' is on version 2 by now"):
        move(pointers, version, expected)
    assert pointers.alias("web", "champion") == 2
    assert len(pointers.history("web")) == 1


def test_an_alias_may_be_taken_off(pointers):
    move(pointers, 2, None)
    move(pointers, None, 2)
    assert pointers.alias("web", "champion") is None
    assert pointers.previous("web", "champion") == 2
    move(pointers, 3, None)
    assert pointers.previous("web", "champion") == 2


def test_back_and_back_again_and_forward(pointers):
    way = [(1, None, None), (2, 1, 1), (3, 2, 2), (2, 3, 1), (1, 2, None), (4, 1, 1), (1, 4, None)]
    for version, expected, before in way:
        move(pointers, version, expected)
        assert pointers.previous("web", "champion") == before


@pytest.mark.parametrize("first", [None, 1])
def test_of_many_at_once_one_wins(tmp_path, first):
    url = f"sqlite:///{tmp_path / 'vedette.db'}"
    won, lost = [], []
    start = threading.Barrier(6)

    def promote(version):
        with Pointers(url) as mine:
            start.wait()
            try:
                move(mine, version, first)
                won.append(version)
            except Rejected as error:
                lost.append(str(error))

    with Pointers(url) as pointers:
        if first:
            move(pointers, first, None)
        threads = [threading.Thread(target=promote, args=(version,)) for version in range(2, 8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(won), len(lost)) == (1, 5)
        assert pointers.alias("web", "champion") == won[0]
        assert len(pointers.history("web")) == (2 if first else 1)
        assert all(f"is on version {won[0]} by now" in each for each in lost)


@pytest.mark.parametrize(("name", "alias", "version"), [("../x", "champion", 1), ("web", "Champ", 1), ("web", "champion", 0)])
def test_what_cannot_be_is_refused(pointers, name, alias, version):
    with pytest.raises(BadRecord):
        pointers.point(name, alias, version, expected=None, at=1, actor="ann", reason="")


def test_a_database_that_cannot_be_used_is_told_without_its_password(tmp_path):
    with pytest.raises(Transient, match="cannot be used now"):
        Pointers(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")


class Champions(RuleBasedStateMachine):
    """M10: whatever is asked in whatever order, a champion is exactly what the last winner said, and its history says so."""

    def __init__(self):
        super().__init__()
        self.pointers = Pointers("sqlite://")
        self.champion = None
        self.moves = 0

    @rule(version=st.none() | st.integers(1, 4), expected=st.none() | st.integers(1, 4))
    def point(self, version, expected):
        if expected == self.champion:
            move(self.pointers, version, expected)
            self.champion = version
            self.moves += 1
        else:
            with pytest.raises(Rejected):
                move(self.pointers, version, expected)

    @rule()
    def back(self):
        before = self.pointers.previous("web", "champion")
        if before is not None:
            move(self.pointers, before, self.champion)
            self.champion = before
            self.moves += 1

    @invariant()
    def one_champion(self):
        assert self.pointers.alias("web", "champion") == self.champion
        history = self.pointers.history("web")
        assert len(history) == self.moves
        assert self.pointers.previous("web", "champion") != self.champion or self.champion is None
        for later, earlier in pairwise(history):
            assert later.before == earlier.version

    def teardown(self):
        self.pointers.close()


TestChampions = Champions.TestCase
TestChampions.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
