"""A version that is promoted or sent back in mid-stream costs no point, doubles none, and forgets nothing of a series."""

import polars as pl

from vedette.core.types import Decision
from vedette.testing.simulation import DEFAULT, Service

#: 29 hosts with 7 series each, 203 in all.
SERVICES = (*DEFAULT, *(Service(f"shop-{number:02}", load=20.0 + number) for number in range(22)))


def test_promotions_and_rollbacks_in_mid_stream_lose_and_double_no_point(drill):
    running = drill(services=SERVICES)
    running.live(3, 3.0)
    running.train("services", "the first")
    running.live(0.25, 0.5)
    running.train("services", "the second")
    versions = running.loop.shelves.registry.versions("services")
    assert versions == (1, 2)
    moves = [
        ("PROMOTE", "champion", 2),
        ("ROLL_BACK", "retired", 2),
        ("PROMOTE", "canary", 2),
        ("ROLL_BACK", "rejected", 2),
        ("PROMOTE", "canary", 2),
        ("PROMOTE", "champion", 2),
    ]
    for move, stage, version in moves:
        decision = Decision(running.at, "services", version, move, stage, "by the test", {"next_share": 0.5})
        running.loop.deployments.decide(decision, running.standing())
        running.live(0.125, 0.25)
    whole = running.said_of().select("series", "at", "value", "model", "version", "anomaly_score")
    whole = whole.filter(pl.col("model") != "heartbeat")
    sent = running.company.metrics(running.company.start, running.at).select("series", "at", "value").sort("series", "at")
    assert sent["series"].n_unique() >= 200
    assert whole.select("series", "at", "value").sort("series", "at").equals(sent)
    late = whole.filter(pl.col("model") == "services")
    assert set(late["version"]) == {"1", "2"}
    assert late["anomaly_score"].null_count() == 0
