import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import polars as pl

from vedette.core.types import Finding
from vedette.validate.charts import Bars, Curve, Lines, Reliability
from vedette.validate.gates import DEFAULT_GATES, judge
from vedette.validate.intervals import poisson, wilson
from vedette.validate.report import Figure, Report, document, html, markdown

CANDIDATE = {
    "event_f1": 0.738,
    "event_recall": 0.68,
    "false_alarms_per_series_week": 1.42,
    "must_catch_recall": 0.86,
    "worst_group_recall": 0.41,
    "null_share": 0.04,
    "microseconds_per_point": 0.31,
    "memory_bytes_per_series": 992.0,
}
CHAMPION = CANDIDATE | {"event_f1": 0.701, "false_alarms_per_series_week": 0.88, "event_recall": 0.69}


def sample(name="checkout-latency@7"):
    rng = np.random.default_rng(0)
    day = 86_400_000_000
    at = 1_700_000_000_000_000 + np.arange(56) * day
    rate = 0.9 + 0.3 * np.sin(np.arange(56) / 5) + rng.normal(0, 0.1, 56)
    recall = np.linspace(0.02, 0.95, 60)
    intervals = {"event_recall": wilson(136, 200), "false_alarms_per_series_week": poisson(142, 100.0)}
    return Report(
        title=name,
        facts={
            "model": "anomalies, kind envelope, trained 2026-11-21 04:00 UTC by policy",
            "dataset": "payments@12, 31 days, 1,204 series, 4 outages left out",
            "judged on": "2026-11-14 to 2026-11-28, a day's gap behind the training set",
            "champion": "checkout-latency@6",
            "digest": "2f6d1c0b8a7e4f5f9a3f1f0b2f9f1c77",
        },
        findings=(
            *judge(CANDIDATE, CHAMPION, DEFAULT_GATES["anomalies"]),
            Finding("scores_finite", True, "0 of 2,419,200 scores", "none is NaN or infinite", "Every score is a number."),
            Finding(
                "must_catch",
                False,
                "11 of 14 outages caught",
                "50 % of every kind",
                "Missed: error plateau (0 of 3 caught). What hurt once, and would not be noticed now, is no progress.",
            ),
        ),
        figures=tuple(Figure(key, value, intervals.get(key), CHAMPION[key]) for key, value in CANDIDATE.items()),
        groups=pl.DataFrame(
            {
                "group": ["checkout", "database", "ingress", "search"],
                "series": [312, 88, 402, 402],
                "event_recall": [0.71, 0.41, 0.66, None],
                "false_alarms_per_series_week": [1.1, 3.2, 0.8, 1.6],
            }
        ),
        charts=(
            Lines(
                "False alarms a series-week, day by day",
                "The band holds 95 per cent; the champion is dashed.",
                at.tolist(),
                {"candidate": rate.tolist(), "champion": (rate * 0.8).tolist()},
                (rate - 0.25).tolist(),
                (rate + 0.25).tolist(),
                time=True,
            ),
            Curve(
                "Precision and recall of events",
                "The ring is the threshold in use.",
                recall.tolist(),
                (1 - 0.75 * recall**4).tolist(),
                (0.68, 1 - 0.75 * 0.68**4),
            ),
            Bars(
                "Recall by kind of outage",
                "The mark is the champion's.",
                {"spike": 0.93, "dip": 0.82, "level shift": 0.78, "slow leak": 0.06, "error plateau": 0.0},
                {"error plateau": "0 of 3"},
                {"spike": 0.9, "dip": 0.84, "level shift": 0.8, "slow leak": 0.1, "error plateau": 1.0},
            ),
            Reliability(
                "Do probabilities mean what they say?",
                "On the diagonal they do; larger dots are more answers.",
                [0.1, 0.3, 0.5, 0.7, 0.95],
                [0.15, 0.26, 0.55, 0.74, 0.93],
                [20, 35, 60, 120, 400],
            ),
        ),
        notes=("Each point was scored before it was learnt.", "False alarms come in swarms: the true interval is a little wider."),
    )


class Page(HTMLParser):
    """What a browser would make of it: tags, attributes, and whether they are closed."""

    VOID = ("meta", "link", "br", "path", "rect", "circle", "polygon")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_a_page_is_well_formed_and_needs_nothing_but_itself():
    page = Page(html(sample()))
    assert page.open == []
    assert not {"script", "link", "img", "iframe", "a"} & set(page.tags)
    assert not [value for name, value in page.attributes if name in {"src", "href"} or name.startswith("on")]
    assert not re.search(r"https?:|url\(|@import", html(sample()))
    assert page.tags.count("svg") == 4


def test_a_page_begins_with_the_verdict_and_tells_what_failed_first():
    text = " ".join("".join(Page(html(sample())).words).split())
    assert text.index("Rejected: it failed 2 of 9 checks (false alarms a series-week, every kind of outage caught).") < text.index(
        "Findings"
    )
    assert text.index("error plateau (0 of 3 caught)") < text.index("recall of must-catch outages")
    assert text.index("Findings") < text.index("Figures") < text.index("Charts")


def test_what_users_named_is_escaped_everywhere():
    evil = '<script>alert("x")</script>'
    report = sample(evil)
    finding = Finding(evil, False, evil, evil, evil)
    chart = Bars(evil, evil, {evil: 1.0}, {evil: evil})
    lines = Lines(evil, evil, [0.0, 1.0], {evil: [1.0, 2.0], "b": [2.0, 1.0]})
    groups = pl.DataFrame({evil: [evil]})
    report = replace(report, findings=(finding,), facts={evil: evil}, charts=(chart, lines), groups=groups, notes=(evil,))
    assert "<script" not in html(report)
    assert "<script" not in markdown(report)
    assert Page(html(report)).open == []


def test_a_document_is_json_for_any_reader():
    report = sample()
    broken = replace(report, figures=(Figure("mase", math.nan), Figure("wql", 0.3, champion=math.inf)))
    plain = json.loads(json.dumps(document(broken), allow_nan=False))
    assert plain["figures"][0]["value"] is None
    assert plain["accepted"] is False
    assert [each["kind"] for each in plain["charts"]] == ["lines", "curve", "bars", "reliability"]
    assert plain["groups"][3]["event_recall"] is None


def test_a_comment_has_a_table_that_no_text_can_break():
    report = replace(sample(), findings=(Finding("mase", False, "1|2\n3", "at most 1", "a\n# b"),))
    lines = markdown(report).splitlines()
    row = next(line for line in lines if "1\\|2 3" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 4
    assert not any(line.startswith("# ") for line in lines)


def test_without_findings_nothing_is_accepted():
    bare = Report("a@1", {}, ())
    assert not bare.accepted
    assert bare.verdict == "Rejected: nothing was checked."
    passed = replace(bare, findings=tuple(each for each in sample().findings if each.passed))
    assert passed.verdict == "Accepted: it passed all 7 checks."
    for report in (bare, passed):
        assert Page(html(report)).open == []
        assert report.verdict in markdown(report)


def test_figures_say_better_and_worse_by_their_own_direction():
    assert Figure("mase", 0.9, champion=1.0).against == "10 % better"
    assert Figure("mase", 1.1, champion=1.0).against == "10 % worse"
    assert Figure("coverage_80", 0.88, champion=0.8).against == "10 % higher"
    assert Figure("false_alarms_per_series_week", 0.5, champion=0.0).against == "0.5 worse"
    assert Figure("mase", math.nan, champion=1.0).against == Figure("mase", 1.0).against == ""


def test_charts_survive_little_and_odd_data():
    charts = (
        Lines("t", "c", [], {"a": []}),
        Lines("t", "c", [1.0], {"a": [math.nan]}),
        Lines("t", "c", [0.0, 1.0, 2.0], {"a": [5.0, math.nan, 5.0]}, [4.0, 4.0, math.nan], [6.0, 6.0, math.nan]),
        Lines("t", "c", [0.0, 1.0], {"a": [0.0, 0.0]}, time=True),
        Bars("t", "c", {}),
        Bars("t", "c", {"a": math.nan, "b": -1.0}),
        Curve("t", "c", [], []),
        Reliability("t", "c", [], [], []),
    )
    for chart in charts:
        drawn = str(chart.svg())
        assert drawn.startswith("<svg")
        assert "nan" not in drawn.lower().replace("not measured", "")
