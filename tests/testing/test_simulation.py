"""What one sees in the company: days and weekends, and what each happening does to the service it happens to."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from vedette.core.errors import ConfigError
from vedette.core.frames import EVENTS, LOGS, METRICS, SERIES, conform
from vedette.testing.simulation import DAY, DEFAULT, HOUR, MINUTE, START, TRUTH, Happening, Service, Simulation, month, ordinary

NOON = START + DAY + 12 * HOUR
PAGE = Path(__file__).parents[2] / "docs" / "simulation.md"


def happening(kind, service="web", start=NOON, length=2 * HOUR, size=1.0, marked=True):
    return Happening(start, start + length, service, kind, size, marked)


def values(simulation, name, start, end, host="web-1"):
    """The values of one series, in the order of time."""
    rows = simulation.definitions().to_dicts()
    found = [row["series"] for row in rows if row["name"] == name and dict(row["labels"])["host"] == host]
    return simulation.metrics(start, end).filter(pl.col("series") == found[0])["value"].to_numpy()


def mean(simulation, name, start, end, host="web-1"):
    return float(values(simulation, name, start, end, host).mean())


def texts(events, kind):
    return events.filter(pl.col("kind") == kind)["title"].to_list()


def test_the_frames_are_those_of_the_core():
    delivery = Simulation(script=month()).deliveries(START, START + DAY)
    for table, schema in {"series": SERIES, "metrics": METRICS, "logs": LOGS, "events": EVENTS}.items():
        conform(delivery.frames[table], schema)
        assert delivery.frames[table].height
    assert set(delivery.frames["metrics"]["series"]) | set(delivery.frames["logs"]["series"]) <= set(
        delivery.frames["series"]["series"]
    )
    conform(Simulation(script=month()).truth(), TRUTH)


def test_a_delivery_is_known_by_its_key():
    here = Simulation(seed=1)
    assert here.deliveries(START, START + HOUR).key == Simulation(seed=1).deliveries(START, START + HOUR).key
    others = (
        here.deliveries(START, START + 2 * HOUR),
        Simulation(seed=2).deliveries(START, START + HOUR),
        Simulation(seed=1, script=ordinary(3)).deliveries(START, START + HOUR),
    )
    assert here.deliveries(START, START + HOUR).key not in {each.key for each in others}


def test_days_are_busier_than_nights_and_working_days_than_weekends():
    company = Simulation(seed=3)
    name = "http_requests_per_second"
    day, night = (mean(company, name, START + hour * HOUR, START + (hour + 2) * HOUR) for hour in (14, 3))
    assert day > 2.5 * night
    tuesday, sunday = (mean(company, name, START + each * DAY, START + (each + 1) * DAY) for each in (1, 6))
    assert tuesday > 1.3 * sunday


def test_noise_grows_with_the_root_of_the_load():
    even = [Service(name, load=load, daily=0.0, weekly=0.0) for name, load in (("small", 25.0), ("large", 2500.0))]
    company = Simulation(services=even)
    small, large = (
        np.diff(values(company, "http_requests_per_second", START, START + DAY, f"{each.name}-1")).std() for each in even
    )
    assert 8 < large / small < 13


def test_a_rise_in_load_is_seen_in_cpu_and_duration():
    company = Simulation(seed=4)
    names = ("http_requests_per_second", "cpu_usage_ratio", "http_request_duration_p95_seconds")
    requests, cpu, duration = (values(company, name, START, START + 2 * DAY) for name in names)
    assert np.corrcoef(requests, cpu)[0, 1] > 0.9
    assert np.corrcoef(cpu, duration)[0, 1] > 0.7


def test_in_an_outage_hardly_anything_arrives_and_that_fails():
    company = Simulation(script=[happening("outage")])
    during = (NOON, NOON + 2 * HOUR)
    requests = mean(company, "http_requests_per_second", *during)
    assert requests < 0.05 * mean(company, "http_requests_per_second", NOON - HOUR, NOON)
    assert mean(company, "http_request_errors_per_second", *during) > 0.9 * requests
    assert mean(company, "cpu_usage_ratio", *during) < 0.1
    assert mean(company, "queue_length", *during) > 10 * mean(company, "queue_length", NOON - HOUR, NOON)
    events = company.events(*during)
    assert "ServiceDown on web" in texts(events, "alert")
    assert "outage" in {dict(each)["topic"] for each in events.filter(kind="ticket")["labels"].to_list()}


def test_latency_is_three_to_six_times_what_it_was():
    for seed in range(5):
        slow, calm = (Simulation(seed, script=script) for script in ([happening("latency")], []))
        name = "http_request_duration_p95_seconds"
        ratio = mean(slow, name, NOON, NOON + 2 * HOUR) / mean(calm, name, NOON, NOON + 2 * HOUR)
        assert 2.5 < ratio < 7.5
        assert mean(slow, "http_request_errors_per_second", NOON, NOON + 2 * HOUR) > 1.0


def test_a_leak_rises_until_the_restart():
    company = Simulation(script=[happening("leak", length=DAY)])
    memory = values(company, "memory_used_bytes", NOON, NOON + DAY + HOUR)
    quarters = memory[: 24 * 60].reshape(4, -1).mean(axis=1)
    assert (np.diff(quarters) > 0.05 * 8 * 2**30).all()
    assert memory[-60:].mean() < 0.6 * memory[24 * 60 - 60 : 24 * 60].mean()
    assert texts(company.events(NOON, NOON + DAY + HOUR), "change") == ["web restarted"]


def test_a_disk_fills_on_a_line_and_a_line_sees_it_days_ahead():
    company = Simulation(step_seconds=300, script=[happening("disk_full", "postgres", length=6 * DAY)])
    used = values(company, "disk_used_ratio", NOON, NOON + 6 * DAY, "postgres-1")
    assert used[-1] > 0.999
    seen = used[: 2 * 288]
    slope, level = np.polyfit(np.arange(len(seen)), seen, 1)
    assert abs((1.0 - level) / slope / 288 - 6.0) < 0.5
    assert mean(company, "disk_used_ratio", NOON + 6 * DAY, NOON + 7 * DAY, "postgres-1") < 0.7


def test_an_error_burst_is_in_the_log_and_in_the_metrics():
    company = Simulation(script=[happening("error_burst")])
    logs = [company.logs(at, at + 2 * HOUR).filter(pl.col("severity") >= 17).height for at in (NOON - 2 * HOUR, NOON)]
    assert logs[1] > 10 * max(logs[0], 1)
    errors = [mean(company, "http_request_errors_per_second", at, at + 2 * HOUR) for at in (NOON - 2 * HOUR, NOON)]
    assert errors[1] > 10 * errors[0]


def test_what_nobody_marks_is_in_no_alert_and_no_ticket():
    calm = Simulation()
    for kind in ("outage", "latency", "error_burst", "leak", "disk_full"):
        company = Simulation(script=[happening(kind, marked=False)])
        assert company.events(START, START + 3 * DAY).equals(calm.events(START, START + 3 * DAY))
        assert company.truth()["is_incident"].to_list() == [True]


def test_a_season_changes_for_ever():
    company = Simulation(seed=5, script=[happening("season_change")])
    calm = Simulation(seed=5)
    name, late = "http_requests_per_second", START + 7 * DAY
    then, before = (values(each, name, late, late + DAY).reshape(24, -1).mean(axis=1) for each in (company, calm))
    assert then.mean() / before.mean() == pytest.approx(1.3, abs=0.05)
    assert 3 <= np.argmax(np.convolve(then, np.ones(5), "same")) - np.argmax(np.convolve(before, np.ones(5), "same")) <= 5


def test_growth_is_too_slow_for_a_day_to_show_it():
    company, calm = Simulation(script=[happening("growth")]), Simulation()
    ratios = [
        mean(company, "http_requests_per_second", START + day * DAY, START + (day + 1) * DAY)
        / mean(calm, "http_requests_per_second", START + day * DAY, START + (day + 1) * DAY)
        for day in (2, 3, 31)
    ]
    assert ratios[1] / ratios[0] < 1.015
    assert ratios[2] > 1.3


def test_a_nightly_job_doubles_cpu_and_queue_and_is_no_incident():
    night = START + DAY + 2 * HOUR
    company, calm = Simulation(script=[happening("batch", "postgres", night)]), Simulation()
    for name in ("cpu_usage_ratio", "queue_length"):
        busy, usual = (mean(each, name, night, night + 2 * HOUR, "postgres-1") for each in (company, calm))
        assert busy / usual > 1.6
    assert company.truth()["is_incident"].to_list() == [False]


def test_a_deployment_is_a_change_with_a_version_and_a_small_step():
    company, calm = Simulation(script=[happening("deployment"), happening("deployment", start=NOON + DAY)]), Simulation()
    assert texts(company.events(START, START + 3 * DAY), "change") == ["web 1.1.0 deployed", "web 1.2.0 deployed"]
    ratio = mean(company, "cpu_usage_ratio", NOON + HOUR, NOON + DAY) / mean(calm, "cpu_usage_ratio", NOON + HOUR, NOON + DAY)
    assert 1.01 < ratio < 1.1


def test_alerts_that_flap_leave_metrics_and_logs_alone():
    company, calm = Simulation(script=[happening("alert_noise")]), Simulation()
    assert len([text for text in texts(company.events(NOON, NOON + 2 * HOUR), "alert") if text.startswith("Probe")]) > 20
    assert company.metrics(NOON, NOON + HOUR).equals(calm.metrics(NOON, NOON + HOUR))
    assert company.logs(NOON, NOON + HOUR).equals(calm.logs(NOON, NOON + HOUR))


def test_what_is_missing_is_missing_and_what_is_stuck_stands_still():
    assert not len(values(Simulation(script=[happening("missing")]), "cpu_usage_ratio", NOON, NOON + 2 * HOUR))
    stuck = Simulation(script=[happening("flat")])
    seen = values(stuck, "cpu_usage_ratio", NOON - MINUTE, NOON + 3 * HOUR)
    assert len(set(seen[:121])) == 1
    assert len(set(seen[121:])) > 10
    assert stuck.logs(NOON, NOON + HOUR).equals(Simulation().logs(NOON, NOON + HOUR))


def test_alerts_end_and_carry_the_key_of_their_labels():
    events = Simulation(seed=6, script=month(6)).events(START, START + 31 * DAY).filter(kind="alert")
    fired, resolved = (events.filter(status=status).sort("key", "starts_at") for status in ("firing", "resolved"))
    assert fired.select("key", "starts_at").equals(resolved.select("key", "starts_at"))
    assert (resolved["ends_at"] > resolved["starts_at"]).all()
    assert fired["ends_at"].null_count() == fired.height


def test_the_month_tells_the_story_that_it_promises():
    for seed in range(3):
        story = Simulation(seed, script=month(seed)).truth().with_columns(day=(pl.col("start").to_physical() - START) // DAY)
        incidents = story.filter("is_incident").select("day", "kind", "service").rows()
        assert incidents == [
            (10, "outage", "web"),
            (13, "latency", "search"),
            (15, "error_burst", "checkout"),
            (20, "disk_full", "postgres"),
        ]
        assert story.filter(kind="season_change")["day"].to_list() == [19] * len(DEFAULT)
        assert story.filter(kind="deployment").height == 2
        assert story.filter(kind="batch").height > 3
    assert month(1) != month(2)


def test_every_fault_of_what_was_declared_is_told_at_once():
    script = [Happening(5, 5, "wbe", "outrage", size=-1.0)]
    with pytest.raises(ConfigError) as caught:
        Simulation(step_seconds=0, services=[Service("a", daily=1.5), Service("a", load=-1.0, kind="cron")], script=script)
    assert len(caught.value.faults) == 9


def test_the_examples_of_the_page_run():
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), {})  # noqa: S102 -- our own page
