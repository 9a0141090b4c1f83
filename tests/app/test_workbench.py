"""The workbench as functions and as verbs: forecast, classify, drift. Columns in and out as the contract has them."""

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import vedette
from vedette.cli import main
from vedette.core.errors import BadRecord, Rejected

DATA = Path(os.environ.get("VEDETTE_DATA", Path(__file__).parents[3] / "shared" / "data"))
START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = [START + timedelta(hours=hour) for hour in range(24 * 10)]
WAVE = [10 + 5 * np.sin(hour / 24 * 2 * np.pi) + (hour * 7 % 5) / 10 for hour in range(24 * 10)]


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Runs a verb in an empty folder; exit code and stderr."""
    monkeypatch.chdir(tmp_path)

    def verb(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(each) for each in arguments])
        return ended.value.code or 0, capsys.readouterr().err

    return verb


def waves(names, times=HOURS):
    parts = [pl.DataFrame({"timestamp": times, "value": WAVE}).with_columns(series=pl.lit(name)) for name in names]
    return pl.concat(parts).select("series", "timestamp", "value")


@pytest.mark.parametrize("names", [["b", "a"], [7, -3], [True, False], [date(2026, 1, 2), date(2026, 1, 1)]])
def test_a_forecast_goes_on_from_each_series_which_comes_back_as_it_was(names):
    told = vedette.forecast(
        waves(names).sample(fraction=1.0, shuffle=True, seed=1).sort("series", descending=names[0] > names[1]), 24
    )
    assert told.columns == [
        "series",
        "timestamp",
        "yhat",
        *(f"yhat_{end}_{level}" for level in (80, 95) for end in ("lower", "upper")),
    ]
    assert told["series"].unique(maintain_order=True).to_list() == names
    assert told["timestamp"].to_list() == [HOURS[-1] + timedelta(hours=ahead) for ahead in range(1, 25)] * 2
    assert np.abs(told["yhat"].to_numpy() - np.tile(WAVE[:24], 2)).max() < 1
    assert (told["yhat_lower_95"] <= told["yhat_lower_80"]).all()
    assert (told["yhat_upper_95"] >= told["yhat_upper_80"]).all()


@pytest.mark.parametrize(
    ("times", "ahead"),
    [
        ([at.replace(tzinfo=None) for at in HOURS], datetime(2026, 1, 11)),  # noqa: DTZ001 -- as many tables have it
        ([date(2025, 1, 1) + timedelta(days=day) for day in range(240)], date(2025, 8, 29)),
    ],
)
def test_times_come_back_as_they_were(times, ahead):
    told = vedette.forecast(waves(["a"], times), 2, [50])
    assert told["timestamp"].dtype == waves(["a"], times)["timestamp"].dtype
    assert told["timestamp"][0] == ahead
    assert told.columns[3:] == ["yhat_lower_50", "yhat_upper_50"]


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_a_series_too_short_to_judge_has_a_forecast_without_bounds(rows):
    short = waves(["new"]).head(rows).with_columns(timestamp=pl.col("timestamp") + timedelta(days=100))
    told = vedette.forecast(pl.concat([short, waves(["old"])]), 3, (80,)).filter(pl.col("series") == "new")
    ahead = [HOURS[rows - 1] + timedelta(days=100, hours=hour) for hour in (1, 2, 3)]
    assert told["timestamp"].to_list() == ahead
    assert told["yhat"].null_count() == 0
    assert told.select("yhat_lower_80", "yhat_upper_80").null_count().row(0) == (3, 3)


def test_a_series_that_holds_no_number_is_forecast_as_nothing():
    none = waves(["none"]).with_columns(value=pl.lit(None, pl.Float64))
    told = vedette.forecast(pl.concat([none, waves(["a"])]), 2)
    assert told["yhat"].to_list()[:2] == [None, None]


def holed():
    at = waves(["a"])["timestamp"].to_list()
    at[3] = None
    return waves(["a"]).with_columns(timestamp=pl.Series(at, dtype=pl.Datetime("us", "UTC")))


def test_what_cannot_be_forecast_is_told():
    with pytest.raises(BadRecord, match="field 'value': expected a column of this name"):
        vedette.forecast(waves(["a"]).drop("value"), 2)
    with pytest.raises(BadRecord, match=r"field 'levels'.*got 0.8"):
        vedette.forecast(waves(["a"]), 2, (0.8,))
    with pytest.raises(BadRecord, match="field 'horizon'"):
        vedette.forecast(waves(["a"]), 0)
    with pytest.raises(BadRecord, match="no series has two rows"):
        vedette.forecast(waves(["a"]).head(1), 2)
    with pytest.raises(BadRecord, match="field 'value': expected numbers"):
        vedette.forecast(waves(["a"]).with_columns(value=pl.lit("x")), 2)
    with pytest.raises(BadRecord, match="record 3: field 'timestamp'"):
        vedette.forecast(holed(), 2)


def tickets(count, seed):
    random = np.random.default_rng(seed)
    words = {
        1: ["disk", "full", "volume", "quota"],
        2: ["password", "login", "locked", "account"],
        3: ["printer", "paper", "toner"],
    }
    team = random.integers(1, 4, count)
    title = [" ".join(random.choice([*words[each], "please", "help"], 5)) for each in team]
    return pl.DataFrame({"title": title, "hour": random.integers(0, 24, count), "team": team})


def test_labels_come_back_in_their_own_type_beside_the_rows():
    new = tickets(200, 2)
    told = vedette.classify(tickets(600, 1), new.drop("team"), "title", "team")
    assert told.columns == ["title", "hour", "label", "probability"]
    assert told.drop("label", "probability").equals(new.drop("team"))
    assert told["label"].dtype == pl.Int64
    assert (told["label"] == new["team"]).mean() > 0.9
    assert told["probability"].is_between(0, 1).all()


def test_what_errors_cost_decides():
    train, new = tickets(600, 1), pl.DataFrame({"title": ["please", "disk full"], "hour": [3, 4]})
    costs = pl.DataFrame({"true": ["3", "1", "2"], "1": [9.0, 0.0, 9.0], "2": [1.0, 1.0, 0.0]})
    told = vedette.classify(train, new, "title", "team", costs)
    assert told["label"].to_list() == [2, 1]
    assert told["probability"][0] < 0.9
    with pytest.raises(BadRecord, match="'9' is no label; a row is missing for '2'"):
        vedette.classify(train, new, "title", "team", costs.with_columns(true=pl.Series(["3", "1", "9"])))


def test_what_cannot_be_learnt_is_told():
    with pytest.raises(BadRecord, match="field 'topic': expected a column"):
        vedette.classify(tickets(50, 1), tickets(5, 2), "title", "topic")
    with pytest.raises(BadRecord, match="field 'hour'"):
        vedette.classify(tickets(50, 1), tickets(5, 2).drop("hour"), "title", "team")
    with pytest.raises(BadRecord, match="the same column"):
        vedette.classify(tickets(50, 1), tickets(5, 2), "team", "team")
    with pytest.raises(Rejected, match="two classes"):
        vedette.classify(tickets(50, 1).with_columns(team=1), tickets(5, 2), "title", "team")


def test_the_verbs_do_the_same_with_files(run):
    waves(["a"]).rename({"series": "kpi", "timestamp": "time"}).write_csv("metrics.csv")
    code, err = run("forecast", "metrics.csv", "--horizon", "3", "--levels", "50,90", "--out", "ahead.csv")
    assert (code, "3 steps of 1 series" in err) == (0, True)
    ahead = pl.read_csv("ahead.csv")
    assert ahead.columns == ["series", "timestamp", "yhat", *(f"yhat_{e}_{n}" for n in (50, 90) for e in ("lower", "upper"))]
    tickets(300, 1).write_parquet("known.parquet")
    tickets(20, 2).drop("team").write_ndjson("new.jsonl")
    code, err = run("classify", "known.parquet", "new.jsonl", "--text", "title", "--label", "team", "--out", "routed.jsonl")
    assert (code, "20 rows labelled with" in err) == (0, True)
    assert pl.read_ndjson("routed.jsonl").columns == ["title", "hour", "label", "probability"]
    tickets(300, 3).with_columns(pl.col("hour") + 12).write_parquet("<now>.parquet")
    code, err = run("drift", "known.parquet", "<now>.parquet", "--out", "drift.csv", "--html", "drift.html")
    assert (code, "rows drifted: hour" in err) == (0, True)
    found = pl.read_csv("drift.csv")
    assert found.filter("drifted")["column"].to_list() == ["hour"]
    assert {"column", "statistic", "p_value", "effect", "drifted", "why"} <= set(found.columns)
    assert "&lt;now&gt;" in Path("drift.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["forecast", "x.csv", "--horizon", "0", "--out", "y.csv"], 2, "--horizon"),
        (["forecast", "x.csv", "--horizon", "2", "--levels", "80,x", "--out", "y.csv"], 2, "such as 80,95"),
        (["forecast", "x.csv", "--horizon", "2", "--levels", "0.8", "--out", "y.csv"], 2, "between 1 and 99"),
        (["forecast", "x.csv", "--horizon", "2", "--out", "y.csv"], 1, "x.csv: no such file"),
        (["forecast", "x.csv", "--horizon", "2", "--out", "y.txt"], 1, "a table is written to"),
        (["classify", "x.csv", "z.csv", "--text", "a", "--label", "b", "--out", "y.csv"], 1, "no such file"),
        (["drift", "x.csv", "z.csv", "--out", "y.csv", "--html", "none/y.html"], 1, "there is no folder"),
    ],
)
def test_what_is_wrong_is_said_before_the_work(run, arguments, code, words):
    found, err = run(*arguments)
    assert (found, words in err) == (code, True)


@pytest.mark.skipif(not (DATA / "it_tickets_47k.parquet").exists(), reason=f"no data in {DATA}; name its folder with VEDETTE_DATA")
def test_real_tickets_find_their_topic():
    rows = pl.read_parquet(DATA / "it_tickets_47k.parquet").sample(6000, seed=3, shuffle=True)
    told = vedette.classify(rows[:4000], rows[4000:].drop("Topic_group"), "Document", "Topic_group")
    assert (told["label"] == rows[4000:]["Topic_group"]).mean() > 0.75
