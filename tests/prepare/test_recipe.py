"""The recipe as a whole: what it hands out, and what it refuses to score."""

import polars as pl

from vedette.core.catalogue import Catalogue
from vedette.core.frames import LOGS, METRICS, SERIES
from vedette.core.types import Beat
from vedette.prepare import PrepareSettings, StandardRecipe


def series_of(definitions):
    return pl.DataFrame(dict(zip(SERIES, map(list, zip(*definitions, strict=True)), strict=False)), schema=SERIES)


def beat_of(definitions, rows):
    tag = pl.lit("web").alias("source")
    series = series_of(definitions).with_columns(tag)
    metrics = pl.DataFrame(rows, schema={"series": pl.Int64, "at": pl.Int64, "value": pl.Float64}, orient="row").cast(METRICS)
    return Beat(at=5_000_000, last=1, frames={"series": series, "metrics": metrics.with_columns(tag)})


def test_an_empty_beat_has_every_frame_with_its_columns():
    prepared = StandardRecipe(PrepareSettings(), Catalogue())(Beat(at=1, last=1, frames={}))
    assert set(prepared) == {"points", "metrics", "series", "logs", "templates", "born", "events", "dead_letters"}
    assert all(frame.is_empty() for frame in prepared.values())
    assert prepared["logs"].columns[-1] == "template"


def test_definitions_new_to_the_catalogue_come_out_once():
    recipe = StandardRecipe(PrepareSettings(), Catalogue())
    beat = beat_of([(1, "up", {"job": "a"}, "gauge", "")], [(1, 1, 1.0)])
    assert recipe(beat)["series"].select("series", "source").rows() == [(1, "web")]
    assert recipe(beat)["series"].is_empty()


def test_info_created_and_overflow_series_are_stored_but_not_scored():
    names = ["go_info", "http_created", "__other__"]
    definitions = [(number, name, {}, "gauge", "") for number, name in enumerate(names)]
    prepared = StandardRecipe(PrepareSettings(), Catalogue())(beat_of(definitions, [(n, 1, 1.0) for n in range(3)]))
    assert prepared["points"].is_empty()
    assert prepared["metrics"].height == 3


def test_a_changed_unit_is_set_aside_with_field_expected_and_got():
    recipe = StandardRecipe(PrepareSettings(), Catalogue())
    recipe(beat_of([(1, "latency", {}, "gauge", "ms")], [(1, 1, 9.0)]))
    prepared = recipe(beat_of([(2, "latency", {"zone": "b"}, "gauge", "s")], [(1, 2, 9.0), (2, 2, 0.009)]))
    assert prepared["points"]["series"].to_list() == [1]
    assert "field 'unit': expected ms got s" in prepared.findings[0].why


def test_the_digest_names_the_settings():
    one = StandardRecipe(PrepareSettings(), Catalogue())
    assert one.digest == StandardRecipe(PrepareSettings(), Catalogue()).digest
    assert one.digest != StandardRecipe(PrepareSettings(gap_intervals=9), Catalogue()).digest


def test_a_series_known_to_the_catalogue_alone_is_read_by_its_name():
    catalogue = Catalogue()
    catalogue.add(series_of([(1, "jobs_total", {}, "unknown", "")]))
    points = StandardRecipe(PrepareSettings(), catalogue)(beat_of([], [(1, 1_000_000, 5.0), (1, 2_000_000, 8.0)]))["points"]
    assert points["value"].to_list() == [3.0]


def test_log_lines_get_templates_and_their_counts_become_points_of_new_series_through_a_restart():
    bodies = ["took 12 ms", "took 7 ms", "done"]
    at = [1_000_000, 2_000_000, 3_000_000]
    columns = {"at": at, "observed_at": at, "series": [5] * 3, "severity": [9] * 3, "body": bodies, "attributes": [{}] * 3}
    logs = pl.DataFrame(columns, schema=LOGS).with_columns(source=pl.lit("app"))
    catalogue = Catalogue()
    recipe = StandardRecipe(PrepareSettings(), catalogue)
    prepared = recipe(Beat(at=4_000_000, last=1, frames={"logs": logs}))
    assert prepared["logs"]["template"].n_unique() == prepared["templates"].height == 2
    restarted = StandardRecipe(PrepareSettings(), catalogue)
    restarted.load(recipe.state())
    one, two = (made(Beat(at=200_000_000, last=2, frames={})) for made in (recipe, restarted))
    assert one["points"].equals(two["points"])
    assert not one["points"].is_empty()
    assert set(one["points"]["series"]) <= set(catalogue.frame()["series"])
