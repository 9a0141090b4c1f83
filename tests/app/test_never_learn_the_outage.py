"""M05, M06: what lasts long enough to look normal, and what creeps there, is not learnt without a person's word."""

import pytest

from vedette.act import Window
from vedette.testing.simulation import DAY, START, Happening, Service

BEGINS, LASTS = 8.3, 3.0


def day(number):
    return START + int(number * DAY)


PLATEAU = Happening(day(BEGINS), day(BEGINS + LASTS), "checkout", "outage", marked=False)


def finding(running, check):
    """What the last training found."""
    return next(each for each in running.came_to[-1].card.findings if each.check == check)


@pytest.mark.parametrize("later", [0.25, 8.0])
def test_an_outage_of_days_that_nobody_marked_is_not_learnt(going_on, later):
    running = going_on(script=[PLATEAU])
    running.live(LASTS + later)
    running.train("services", "a plateau in its window")
    found, decision = finding(running, "golden_baseline"), running.came_to[-1].decision
    assert not found.passed
    assert "like an outage nobody marked" in found.why
    assert 'service="checkout"' in found.why
    assert "web" not in found.why
    assert (decision.stage, decision.version) == ("refused", 2)
    assert "golden_baseline" in decision.reason
    assert (running.standing().champion, running.standing().candidate) == (1, 0)
    taught = running.came_to[-1].manifest.removed
    running.store.add_window(Window(0, "outage", PLATEAU.start, PLATEAU.end, {"service": "checkout"}, "the long one"))
    running.train("services", "it was marked")
    trained = running.came_to[-1]
    assert trained.manifest.removed - taught > 2.5 * 288 * 12
    assert any(each["why"] == "declared" and each["start"] == PLATEAU.start for each in trained.manifest.left_out)
    assert finding(running, "golden_baseline").passed
    assert finding(running, "past_outages").passed
    assert running.standing().champion == 1


def test_what_grows_by_two_percent_a_day_is_told_and_is_not_learnt_beyond_the_cap(drill, settings):
    declared = settings.replace("automatic: false", "first_days: 8, every_days: 5, cooldown_hours: 96, failures: 3")
    services = (Service("web"), Service("search", load=60.0), Service("orders", "queue", load=8.0))
    frog = Happening(day(8), day(70), "web", "growth", 2.0)
    running = drill(declared=declared, services=services, script=[frog])
    running.live(68, 24.0, each=running.tick)

    def grown(at):
        """Times the demand of the days before it grew."""
        return 1.02 ** max(0.0, (at - frog.start) / DAY)

    signals = [each for each in running.loop.deployments.signals("services", limit=1000) if each.monitor == "cap"]
    assert signals
    assert 1.1 < grown(min(each.at for each in signals)) < 1.5
    assert grown(running.at) > 3
    decisions = running.loop.deployments.decisions("services", 1000)
    spoken = [each for each in decisions if each.move == "PROMOTE"]
    assert spoken
    assert max(grown(each.at) for each in spoken if each.stage == "shadow") < 1.5
    refused = [each for each in decisions if each.stage == "refused" and "golden_baseline" in each.reason]
    assert len(refused) == 3
    assert running.standing().champion == max(each.version for each in spoken if each.stage == "champion")
