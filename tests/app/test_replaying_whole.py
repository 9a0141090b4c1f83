"""What is left out of a replay changes nothing of what it says."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from vedette.act import ActSettings, Incidents
from vedette.app.replaying import BEAT_US, replayed
from vedette.core.catalogue import Catalogue
from vedette.core.frames import AT, EVENTS, LOGS, SERIES, TEMPLATES, VERDICTS, conform, empty, from_rows

START = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp() * 1e6)
NAMES = ("queue_length", "requests", "up", "node_load1")
#: Short enough that a series is followed to the end once it was odd.
MINUTES = 110


def company():
    catalogue = Catalogue()
    rows = [(number, name, {"host": f"h{number % 2}"}, "gauge", "") for number, name in enumerate(NAMES, 1)]
    catalogue.add(from_rows(rows, SERIES))
    return catalogue


def verdicts(seed):
    """Scores that wander over and under what counts, with holes and with what is no number."""
    rng = np.random.default_rng(seed)
    parts = []
    for series in range(1, len(NAMES) + 1):
        level = np.repeat(rng.choice([0.2, 0.8, 1.5, 4.0], MINUTES // 5, p=[0.6, 0.15, 0.15, 0.1]), 5)
        score = level * rng.lognormal(0.0, 0.3, MINUTES)
        at = START + np.arange(MINUTES) * 60_000_000 + rng.integers(0, 30_000_000)
        columns = {"at": at, "value": np.where(score > 1, 100.0, 10.0), "anomaly_score": score}
        frame = pl.DataFrame(columns).with_columns(
            pl.col("at").cast(AT),
            pl.when(pl.Series(rng.random(MINUTES) < 0.05)).then(None).otherwise(pl.col("anomaly_score")).alias("anomaly_score"),
            series=pl.lit(series, pl.Int64), model=pl.lit("envelope"), version=pl.lit("1"),
            yhat=pl.lit(10.0), yhat_lower=pl.lit(8.0), yhat_upper=pl.lit(12.0),
        )  # fmt: skip
        parts.append(frame.select(list(VERDICTS)))
    return conform(pl.concat(parts), VERDICTS)


def everything(rows, catalogue, settings):
    """The same without leaving anything out."""
    incidents, found = Incidents(settings, catalogue), {}
    rest = (empty(LOGS).with_columns(template=pl.lit(None, pl.Int64)), empty(EVENTS), empty(TEMPLATES))
    beats = rows.sort("at", "series").with_columns(beat=pl.col("at").dt.timestamp("us") // BEAT_US)
    last = 0
    for part in beats.partition_by("beat", maintain_order=True):
        last = int(part["at"].dt.timestamp("us").max())
        found |= {each.id: each for each in incidents.observe(last, part.drop("beat"), *rest)}
    for minute in range(1, 400):
        found |= {each.id: each for each in incidents.observe(last + minute * BEAT_US, empty(VERDICTS), *rest)}
    return sorted(
        (each for each in found.values() if "merged_into" not in each.explanation), key=lambda each: (each.started_at, each.id)
    )


@pytest.mark.parametrize("seed", range(12))
def test_the_incidents_are_those_of_a_replay_of_every_row(seed):
    settings, rows = ActSettings(), verdicts(seed)
    asked = [(each.id, each.title, each.severity, each.started_at, each.ended_at) for each in replayed(rows, company(), settings)]
    told = [(each.id, each.title, each.severity, each.started_at, each.ended_at) for each in everything(rows, company(), settings)]
    assert asked == told


def test_the_order_of_rows_is_chance_and_nothing_odd_is_no_incident():
    rows = verdicts(3)
    shuffled = rows.sample(fraction=1.0, shuffle=True, seed=1)
    assert replayed(rows, company(), ActSettings()) == replayed(shuffled, company(), ActSettings())
    assert replayed(rows.with_columns(anomaly_score=pl.lit(0.5)), company(), ActSettings()) == ()
    assert replayed(rows.clear(), company(), ActSettings()) == ()


def test_how_far_it_is_is_told_until_all_is_done():
    shares = []
    replayed(verdicts(0), company(), ActSettings(), shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
