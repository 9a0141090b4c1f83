"""Of two decisions at once one wins, and every one is kept."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.core.errors import Rejected, Transient
from vedette.core.types import Decision, Signal
from vedette.deploy import Deployments, Standing

FIRST = Decision(1, "web", 1, "PROMOTE", "champion", "the first", {"metrics": {"recall": 0.5}}, "ada")


def promote(version, at=2, stage="champion"):
    return Decision(at, "web", version, "PROMOTE", stage, f"version {version}")


def signal(at, subject="web", **more):
    return Signal(at, "drift", subject, more.get("severity", "warning"), "it moved", "look at it")


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'vedette.db'}"


def test_where_versions_stand_outlives_the_process(url):
    with Deployments(url) as kept:
        assert kept.standing("web") == Standing("web")
        standing = kept.decide(FIRST, kept.standing("web"))
        standing = kept.decide(promote(2, stage="shadow"), standing)
    with Deployments(url) as again:
        assert again.standing("web") == standing == Standing("web", 1, 0, 2, "shadow", 0.0, 2, 2)
        assert again.standings() == {"web": standing}


@pytest.mark.parametrize("base", [0, 1])
def test_of_two_that_saw_the_same_one_wins_and_the_other_is_told_to_look_again(url, base):
    with Deployments(url) as one, Deployments(url) as other:
        if base:
            one.decide(FIRST, one.standing("web"))
        seen = one.standing("web"), other.standing("web")
        winner = one.decide(promote(2), seen[0])
        with pytest.raises(Rejected, match="something else was decided of it just now; look again with: vedette models web"):
            other.decide(promote(3), seen[1])
        assert other.standing("web") == winner
        assert [each.version for each in other.decisions("web")] == [2, 1][: base + 1]
        assert other.decide(promote(3), other.standing("web")).champion == 3


def test_many_at_once_leave_one_champion(url):
    count = 6
    start = Barrier(count)
    with Deployments(url) as kept:
        seen = kept.decide(FIRST, kept.standing("web"))

    def race(version):
        with Deployments(url) as mine:
            start.wait()
            try:
                return mine.decide(promote(version), seen).champion
            except Rejected:
                return None

    with ThreadPoolExecutor(count) as pool:
        won = [each for each in pool.map(race, range(2, 2 + count)) if each]
    with Deployments(url) as kept:
        assert [kept.standing("web").champion] == won
        assert len(kept.decisions("web")) == 2


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), max_size=12))
def test_who_looked_too_long_ago_never_wins(plan):
    with Deployments("sqlite://") as kept:
        held = [kept.standing("web")] * 3
        revision = 0
        for who, version in plan:
            fits, moves = held[who].revision == revision, held[who].champion != version
            try:
                held[who] = kept.decide(promote(version), held[who])
            except Rejected:
                assert moves
                assert not fits
                held[who] = kept.standing("web")
            else:
                revision += moves
                assert fits or not moves
            assert kept.standing("web").revision == revision


def test_every_decision_is_kept_with_its_reason_and_evidence_the_newest_first(url):
    with Deployments(url) as kept:
        kept.decide(FIRST, kept.standing("web"))
        refused = Decision(3, "web", 2, "HOLD", "refused", "too many alarms", {"failed": ["alarms"]})
        kept.note(refused)
        kept.note(Decision(4, "shop", 1, "HOLD", "refused", "too little data"))
        assert kept.decisions("web") == (refused, FIRST)
        assert [each.at for each in kept.decisions(limit=2)] == [4, 3]
        assert kept.standing("web").champion == 1


def test_what_fits_nothing_is_kept_and_moves_nothing(url):
    with Deployments(url) as kept:
        standing = kept.decide(FIRST, kept.standing("web"))
        assert kept.decide(Decision(9, "web", 7, "ROLL_BACK", "rejected", "late"), standing) == standing
        assert kept.standing("web") == standing
        assert kept.decisions("web")[0].reason == "late"


def test_what_monitors_say_twice_is_kept_once(url):
    with Deployments(url) as kept, Deployments(url) as beside:
        kept.tell("web", (signal(5), signal(5, "db"), signal(6)))
        beside.tell("web", (signal(5), signal(7)))
        beside.tell("shop", (signal(5),))
        assert [(each.at, each.subject) for each in kept.signals("web")] == [(7, "web"), (6, "web"), (5, "db"), (5, "web")]
        assert kept.signals("web", since=7) == (signal(7),)
        assert len(kept.signals()) == 5
        assert len(kept.signals(limit=3)) == 3


def test_a_database_that_cannot_be_used_is_said_to_be(tmp_path):
    with pytest.raises(Transient, match="cannot be used now"):
        Deployments(f"sqlite:///{tmp_path}/no/such/folder.db")
