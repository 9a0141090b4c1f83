"""M07: a source that floods is a small part of what is learnt, and what is measured on the others stays as it was."""

import math

import pytest

from vedette.app.families import Ground
from vedette.app.families.anomalies import Anomalies
from vedette.core.types import Delivery
from vedette.testing.simulation import DAY, START, Service, Simulation
from vedette.train import by_time

QUIET = 30
DAYS = 8


def company(names, step_seconds):
    services = [Service(name, load=20.0 + place) for place, name in enumerate(names)]
    return Simulation(step_seconds=step_seconds, services=services)


def deliver(running, source, simulation):
    """All its days in one beat, as from a sender that was cut off."""
    frames = {"metrics": simulation.metrics(START, START + DAYS * DAY), "series": simulation.definitions()}
    running.beat(START + DAYS * DAY, Delivery(source, frames))
    return frames["metrics"].height


def test_a_source_that_floods_is_a_twentieth_of_what_is_learnt_and_moves_no_figure_of_the_others(drill):
    plain, flooded = drill("plain"), drill("flooded")
    sent = {}
    for number in range(QUIET):
        name = f"quiet-{number:02}"
        for running in (plain, flooded):
            sent[name] = deliver(running, name, company([name], 900))
    sent["loud"] = deliver(flooded, "loud", company([f"loud-{number}" for number in range(40)], 300))
    assert sent["loud"] > 0.75 * sum(sent.values())
    trained = {}
    for running in (plain, flooded):
        running.train("services", "drill")
        trained[running] = running.came_to[-1]
    shares = trained[flooded].manifest.sources
    assert len(shares) == QUIET + 1
    assert max(shares.values()) <= 0.05
    assert trained[flooded].manifest.thinned > 0.7 * sent["loud"]
    assert trained[plain].manifest.thinned == 0
    family, model = Anomalies(), plain.config.models["services"]
    ground = Ground(plain.home / "lake", plain.config, model, until=plain.at)
    material = family.material(ground, lambda _text: None)
    manifest = trained[plain].manifest
    dataset = plain.loop.shelves.datasets.get("services", manifest.version)
    cuts = by_time(manifest.start, manifest.end, model.validation, model.holdout, int(model.gap_seconds * 1e6))
    one, other = (
        family.judge(dataset, cuts, trained[running].card.parameters, material, ground, None).metrics
        for running in (plain, flooded)
    )
    assert math.isfinite(one["event_f1"])
    for name in one.keys() - {"microseconds_per_point"}:
        assert other[name] == pytest.approx(one[name], rel=0.02), name
