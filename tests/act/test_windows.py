"""Planned work mutes, and only where it is."""

from vedette.act import Incident, Window, muting

INCIDENT = Incident("a", "open", "warning", "x", 10, 10, None, {"host": "web-1", "job": "node"})


def test_a_maintenance_window_mutes_what_it_covers():
    window = Window(1, "maintenance", 0, 100, {"host": "web-?"})
    assert muting(INCIDENT, [window], 50) == window


def test_nothing_is_muted_outside_the_window_or_on_other_labels():
    assert muting(INCIDENT, [Window(1, "maintenance", 0, 100, {"host": "web-?"})], 100) is None
    assert muting(INCIDENT, [Window(1, "maintenance", 0, 100, {"host": "db-1"})], 50) is None
    assert muting(INCIDENT, [Window(1, "maintenance", 0, 100, {"zone": "a"})], 50) is None


def test_every_member_must_be_covered_by_whatever_name_it_goes():
    members = [{"labels": {"instance": "web-1:9100"}}, {"labels": {"host": "web-2"}}]
    several = Incident("a", "open", "warning", "x", 10, 10, None, {}, {"members": members, "member_count": 2})
    assert muting(several, [Window(1, "maintenance", 0, 100, {"host": "web-?"})], 50)
    assert muting(several, [Window(1, "maintenance", 0, 100, {"host": "web-1"})], 50) is None


def test_an_outage_mutes_nothing():
    assert muting(INCIDENT, [Window(1, "outage", 0, 100)], 50) is None
