"""What `/metrics` and the pages call drift is a share of what is borne, for every model alike."""


def test_nothing_has_drifted_on_ordinary_days_and_the_age_is_told(going_on):
    running = going_on()
    running.live(1.5)
    gauges = running.loop.gauges()["services"]
    drifts = {kind: value for kind, value in gauges.items() if kind.startswith("drift")}
    assert set(drifts) == {"drift", "drift_joint", "drift_cap"}
    assert {kind: value for kind, value in drifts.items() if not 0 <= value < 1} == {}
    assert gauges["age_seconds"] > 0
