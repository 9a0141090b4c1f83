"""What holds for every company, whatever happens to it."""

from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.core.digest import of_frame
from vedette.testing.simulation import DAY, DEFAULT, HOUR, KINDS, MINUTE, START, Happening, Service, Simulation

SMALL = (
    Service("web", load=90.0, hosts=2),
    Service("orders", "queue", load=6.0, latency=1.0, queue=50.0),
    Service("db", "database", load=300.0),
)
TABLES = ("metrics", "logs", "events")
kinds = st.sampled_from(sorted(KINDS))
sizes = st.sampled_from([0.0, 0.5, 1.0, 3.0, 10.0])


@st.composite
def happenings(draw):
    start = START + draw(st.integers(-2 * HOUR, 30 * HOUR))
    return Happening(start, start + draw(st.integers(1, 20 * HOUR)), draw(st.sampled_from(SMALL)).name, draw(kinds), draw(sizes))


@st.composite
def companies(draw):
    script = draw(st.lists(happenings(), max_size=5))
    return Simulation(draw(st.integers(0, 2**31)), step_seconds=draw(st.sampled_from([60, 90, 300])), services=SMALL, script=script)


@settings(max_examples=60, deadline=None)
@given(companies(), st.lists(st.integers(-HOUR, 26 * HOUR), min_size=3, max_size=5))
def test_a_stretch_gives_the_same_rows_however_it_is_cut(company, edges):
    edges = [START + edge for edge in sorted(edges)]
    for table in TABLES:
        read = getattr(company, table)
        parts = pl.concat([read(start, end) for start, end in pairwise(edges)])
        assert of_frame(parts) == of_frame(read(edges[0], edges[-1])), table


@settings(max_examples=10, deadline=None)
@given(companies())
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(company):
    def made(seed):
        again = Simulation(seed, company.start, company.step_seconds, SMALL, company.script)
        return [of_frame(getattr(again, table)(START, START + 12 * HOUR)) for table in ("metrics", "logs")]

    assert made(company.seed) == made(company.seed)
    assert all(one != other for one, other in zip(made(company.seed), made(company.seed + 1), strict=True))


def others(company, table, service):
    """The rows of all services but one."""
    frame = getattr(company, table)(START, START + DAY)
    if table == "events":
        return [row for row in frame.rows() if dict(row[5])["service"] != service]
    theirs = [row["series"] for row in company.definitions().to_dicts() if dict(row["labels"])["service"] == service]
    return frame.filter(~pl.col("series").is_in(theirs)).rows()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_happening_changes_its_service_and_no_other(kind):
    script = [Happening(START + 8 * HOUR, START + 14 * HOUR, "web", kind)]
    told, calm = Simulation(services=SMALL, script=script), Simulation(services=SMALL)
    for table in TABLES:
        assert others(told, table, "web") == others(calm, table, "web")
    assert any(
        of_frame(getattr(told, table)(START, START + DAY)) != of_frame(getattr(calm, table)(START, START + DAY)) for table in TABLES
    )


@settings(max_examples=10, deadline=None)
@given(happenings(), st.integers(0, 2**31))
def test_before_it_happens_nothing_has_changed(happening, seed):
    start, end = max(happening.start - DAY, START), max(happening.start, START)
    told, calm = Simulation(seed, services=SMALL, script=[happening]), Simulation(seed, services=SMALL)
    for table in TABLES:
        assert of_frame(getattr(told, table)(start, end)) == of_frame(getattr(calm, table)(start, end))


@settings(max_examples=25, deadline=None)
@given(companies())
def test_values_are_within_the_bounds_of_nature(company):
    definitions = company.definitions().select("series", "name")
    frame = company.metrics(START, START + 2 * DAY).join(definitions, on="series", maintain_order="left")
    assert frame["value"].is_finite().all()
    assert (frame["value"] >= 0).all()
    assert (frame.filter(pl.col("name").str.ends_with("_ratio"))["value"] <= 1).all()
    memory = frame.filter(pl.col("name") == "memory_used_bytes")["value"]
    assert (memory <= SMALL[0].memory).all()
    requests, errors = (
        frame.filter(pl.col("name") == f"http_{name}_per_second")["value"] for name in ("requests", "request_errors")
    )
    assert errors.sum() <= requests.sum()
    assert frame.select("at", "series").equals(frame.select("at", "series").sort("at", "series"))
    assert frame.select("at", "series").is_unique().all()


@settings(max_examples=10, deadline=None)
@given(companies())
def test_lines_and_events_come_in_the_order_of_time_and_inside_what_was_asked(company):
    for table in ("logs", "events"):
        at = getattr(company, table)(START + HOUR + 7, START + 9 * HOUR + 1)["at"]
        assert at.is_sorted()
        assert at.to_physical().is_between(START + HOUR + 7, START + 9 * HOUR + 1, closed="left").all()


def test_growth_stays_finite_for_centuries():
    script = [Happening(START, START + DAY, "web", "growth", size=10.0)]
    far = START + 36_500 * DAY
    values = Simulation(services=SMALL, script=script).metrics(far, far + HOUR)["value"]
    assert values.is_finite().all()


def test_a_stretch_of_no_time_has_no_rows():
    company = Simulation(services=DEFAULT)
    for table in TABLES:
        read = getattr(company, table)
        assert read(START, START).is_empty()
        assert read(START + MINUTE, START).is_empty()
        assert read(START - DAY, START).is_empty()
