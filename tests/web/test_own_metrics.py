"""The metrics that we promise are there and explained, and what `deploy/` says of them exists."""

import json
import re
from pathlib import Path

import pytest
import yaml

from vedette.app.stream import App
from vedette.config import Config

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMISED = {
    *(f"vedette_records_{book}_total" for book in ("received", "stored", "duplicate", "dead_lettered", "rejected", "shed")),
    "vedette_log_lag_records",
    "vedette_event_to_verdict_seconds",
    "vedette_scored_points_total",
    "vedette_incidents_open",
    "vedette_build_info",
}
#: Of a Prometheus that scrapes us, or of all processes there.
OTHERS = {"up"}


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    """Every metric of a running pipeline by the names of its samples."""
    with App(Config(), tmp_path_factory.mktemp("home"), clock=lambda: 1_795_500_000_000_000) as app:
        return {name: family for family in app.telemetry.registry.collect() for name in names_of(family)}


def names_of(family):
    suffixes = {"counter": ("_total",), "histogram": ("", "_bucket", "_sum", "_count")}.get(family.type, ("",))
    return [family.name + suffix for suffix in suffixes]


def named(expression):
    """The metrics in a PromQL expression."""
    outside = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"|\b(?:by|without|on|ignoring)\s*\([^)]*\)", "", expression)
    return set(re.findall(r"\bvedette_\w+|\bup\b|\bprocess_\w+", outside))


def test_every_promised_metric_is_there_and_explained(families):
    assert set(families) >= PROMISED
    assert [family.name for family in families.values() if not family.documentation.endswith(".")] == []
    assert [name for name in families if not name.startswith("vedette_")] == []


def test_the_alert_rules_name_only_metrics_that_exist(families):
    (group,) = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]:
        assert named(rule["expr"]), rule
        assert named(rule["expr"]) <= set(families) | OTHERS, rule
        assert rule["annotations"]["summary"], rule


def test_the_board_names_only_metrics_that_exist(families):
    board = json.loads((DEPLOY / "grafana" / "vedette.json").read_text(encoding="utf-8"))
    expressions = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    assert len(expressions) >= 8
    for expression in expressions:
        assert named(expression), expression
        assert named(expression) <= set(families) | OTHERS, expression
