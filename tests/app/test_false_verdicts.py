"""M08: what one operator calls false a thousand times makes a bounded number of series a bounded bit less loud, until somebody says
otherwise.
"""

import polars as pl

from vedette.act import Incident
from vedette.act.hearing import HearingSettings
from vedette.testing.simulation import DAY, START, Happening

ANSWERS = 1000
SETTINGS = HearingSettings()
OUTAGE = Happening(START + int(9 * DAY), START + int(9.2 * DAY), "checkout", "outage", marked=False)


def incidents(running, series):
    """Two of each series, in which it was four times as odd as is borne."""
    members = [{"kind": "metric", "series": each, "direction": side, "score": 4.0} for each in series for side in ("up", "down")]
    for number in range(ANSWERS):
        mine = [members[number % len(members)]]
        at = running.at - DAY + number
        yield Incident(f"made-{number}", "closed", "warning", "made up", at, at, at, {}, {"members": mine})


def scores(running):
    """What was said since the outage began, and the incidents of it."""
    said = running.said_of().filter(pl.col("model") == "services", pl.col("at").dt.timestamp("us") >= OUTAGE.start)
    raised = [
        each
        for each in running.store.list(limit=3000)
        if (not each.id.startswith("made") and each.status == "open") or each.started_at >= OUTAGE.start
    ]
    return said.sort("series", "at"), raised


def test_a_thousand_false_verdicts_of_one_operator_go_so_far_and_are_taken_back(going_on):
    plain, lied_to = going_on("plain", script=[OUTAGE]), going_on("lied-to", script=[OUTAGE])
    real = plain.company.definitions().filter(kind="gauge")["series"].to_list()
    made = list(incidents(lied_to, [*real, *range(1, 200)]))
    lied_to.store.upsert(made)
    for each in made:
        lied_to.store.answer(each.id, "false", "eve", "", lied_to.at)
    for running in (plain, lied_to):
        running.live(1, 1.0)
    rows = lied_to.loop.tolerance.rows
    assert 0 < rows["series"].n_unique() <= SETTINGS.per_person
    assert rows["factor"].max() <= min(SETTINGS.most, 4.0 * SETTINGS.beyond)
    (said, raised), (less, still) = scores(plain), scores(lied_to)
    both = said.select("series", "at", "value", "anomaly_score").with_columns(less=less["anomaly_score"])
    assert said.select("series", "at", "value").equals(less.select("series", "at", "value"))
    assert both.filter(pl.col("less") > pl.col("anomaly_score") + 1e-9).is_empty()
    assert both.filter(pl.col("less") * SETTINGS.most < pl.col("anomaly_score") - 1e-9).is_empty()
    assert both.filter(pl.col("less") < pl.col("anomaly_score") - 1e-9).height > 0
    assert raised
    assert still, "an outage is told of all the same"
    for each in made:
        lied_to.store.answer(each.id, "real", "ann", "these were real", lied_to.at + 1)
    lied_to.live(0.25, 1.0)
    assert lied_to.loop.tolerance.rows.is_empty()
