import json
import socket
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from vedette.act import Incident, IncidentStore
from vedette.core.frames import AT, DEAD_LETTERS, from_rows
from vedette.lake import Lake

NOW = datetime.now(UTC)
WHY = {
    "members": [
        {"since": 0, "text": "CPU of web-1 far above expected"},
        {"since": 1, "text": "load\x1b[2J of web-1 above expected"},
    ],
    "member_count": 5,
    "changes": [{"at": 0, "title": "shop 2.14.0 deployed"}],
    "logs": [{"at": 0, "body": "payment timed out"}],
}


@pytest.fixture
def home(tmp_path):
    """A home with one open incident and one dead letter."""
    folder = tmp_path / "home"
    folder.mkdir()
    lake = Lake(folder / "lake")
    letter = (NOW, "orders", 3, "record 3: field 'value': expected a number, got 'x'", "d1", b'{"value": "x"}\x1b[2J')
    lake.append_now("dead_letters", from_rows([letter], DEAD_LETTERS).with_columns(source=pl.lit("orders")))
    micros = int(NOW.timestamp() * 1e6)
    with IncidentStore(f"sqlite:///{folder / 'vedette.db'}") as store:
        store.upsert(
            [Incident("abc", "open", "critical", "CPU of web-1 far above expected", micros, micros, None, {"host": "web-1"}, WHY)]
        )
    return folder


def test_every_verb_has_help_with_an_example(run):
    code, out, _ = run("--help")
    verbs = [
        line.split()[0]
        for line in out.split("Commands:")[1].splitlines()
        if line.strip() and line.startswith("  ") and line[2] != " "
    ]
    assert code == 0
    assert {"up", "init", "check", "import", "status", "incidents", "verdict", "outage", "deadletters", "verify", "score"} <= set(
        verbs
    )
    for verb in verbs:
        code, out, _ = run(verb, "--help")
        assert code == 0
        assert "Example: vedette" in out


def test_what_init_writes_passes_the_check_and_is_never_overwritten(run):
    assert run("init")[0] == 0
    assert run("check")[0] == 0
    code, _, err = run("init")
    assert code == 1
    assert "left as it was" in err


def test_check_tells_every_fault_with_its_line_and_exits_with_2(run, tmp_path):
    (tmp_path / "vedette.yaml").write_text("sources:\n  web: {kind: htpp}\nlogs: 1\nweb:\n  listen: 0.0.0.0:80\n")
    code, out, err = run("check", "--json")
    assert code == 2
    assert {int(fault.split(":")[1]) for fault in json.loads(out)["faults"]} == {2, 3, 4}
    assert "web.tls and web.token" in err


def test_listening_beyond_loopback_by_option_is_refused_too(run):
    code, _, err = run("up", "--listen", "0.0.0.0:4680")
    assert code == 2
    assert "web.listen 0.0.0.0:4680 is reachable from other machines" in err


@pytest.mark.parametrize("verb", [["status"], ["incidents"], ["verify"], ["deadletters"], ["verdict", "abc", "real"]])
def test_a_home_where_nothing_ran_is_told(run, verb):
    code, _, err = run(*verb, "--home", "nowhere")
    assert code == 1
    assert "nowhere" in err


def test_an_incident_is_listed_explained_and_answered(run, home):
    listed = json.loads(run("incidents", "--home", home, "--json")[1])
    assert [each["id"] for each in listed] == ["abc"]
    assert "far above expected" in run("incidents", "abc", "--home", home)[1]
    assert run("verdict", "abc", "false", "--note", "backup", "--home", home)[0] == 0
    explained = json.loads(run("incidents", "abc", "--home", home, "--json")[1])
    assert [(each["verdict"], each["note"]) for each in explained["answers"]] == [("false", "backup")]
    assert Lake(home / "lake").scan("feedback").collect()["verdict"].to_list() == ["false"]


def test_an_explanation_reads_in_order_and_says_what_to_do_next(run, home):
    _, out, err = run("incidents", "abc", "--home", home)
    told = ["host=web-1", "CPU of web-1", "load\\x1b[2J of", "and 3 more", "shop 2.14.0 deployed", "payment timed out"]
    assert [each for each in told if each not in out] == []
    assert out.index("load") < out.index("deployed") < out.index("timed out")
    assert "vedette verdict abc" in err
    run("verdict", "abc", "known", "--home", home)
    assert "known" in run("incidents", "abc", "--home", home)[1]


def test_a_verdict_that_is_none_is_refused_and_one_on_nothing_not_found(run, home):
    assert run("verdict", "abc", "maybe", "--home", home)[0] == 2
    assert "no incident 'xyz'" in run("verdict", "xyz", "real", "--home", home)[2]


def test_outages_are_kept_listed_and_dropped(run, home):
    added = json.loads(run("outage", "add", "2026-11-20T10:00Z", "2026-11-20T12:00Z", "--match", "host=web-*", "--home", home)[1])
    planned = json.loads(run("outage", "add", "2026-11-21T10:00Z", "2026-11-21T12:00Z", "--planned", "--home", home)[1])
    listed = json.loads(run("outage", "list", "--home", home)[1])
    assert [(each["id"], each["kind"]) for each in listed] == [(added["id"], "outage"), (planned["id"], "maintenance")]
    assert run("outage", "drop", str(planned["id"]), "--home", home)[0] == 0
    assert run("outage", "drop", added["id"], "--home", home)[0] == 0
    assert json.loads(run("outage", "list", "--home", home)[1]) == []
    assert run("outage", "add", "soon", "later", "--home", home)[0] == 2
    assert run("outage", "drop", "--home", home)[0] == 2


def test_dead_letters_are_shown_and_cannot_steer_the_terminal(run, home):
    assert "\x1b[2J" not in run("deadletters", "--home", home)[1]
    assert json.loads(run("deadletters", "--home", home, "--json")[1])[0]["digest"] == "d1"


def test_verify_passes_and_names_a_missing_file(run, home):
    assert run("verify", "--home", home)[0] == 0
    next((home / "lake" / "dead_letters").rglob("*.parquet")).unlink()
    code, _, err = run("verify", "--home", home)
    assert code == 1
    assert "parquet" in err


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_score_keeps_every_row_in_order(run, tmp_path, ending):
    times = [NOW + timedelta(minutes=step) for step in range(200)]
    frame = pl.DataFrame({"series": ["a"] * 200, "timestamp": times, "value": [float(step % 7) for step in range(199)] + [900.0]})
    path, out = tmp_path / f"in.{ending}", tmp_path / f"out.{ending}"
    {"csv": frame.write_csv, "parquet": frame.write_parquet, "jsonl": frame.write_ndjson}[ending](path)
    code, _, err = run("score", path, "--out", out)
    assert code == 0, err
    found = {"csv": pl.read_csv, "parquet": pl.read_parquet, "jsonl": pl.read_ndjson}[ending](out)
    assert found.columns == ["series", "timestamp", "value", "yhat", "yhat_lower", "yhat_upper", "anomaly_score"]
    assert found["value"].to_list() == frame["value"].to_list()
    assert found["anomaly_score"][-1] > 1


def test_templates_of_plain_lines(run, tmp_path):
    (tmp_path / "app.log").write_text("took 12 ms\ntook 7 ms\n")
    assert run("templates", tmp_path / "app.log", "--out", tmp_path / "t.csv")[0] == 0
    assert pl.read_csv(tmp_path / "t.csv")["template"].to_list() == ["took <*> ms"] * 2


def test_a_missing_column_is_named(run, tmp_path):
    (tmp_path / "in.csv").write_text("a,b\n1,2\n")
    code, _, err = run("score", tmp_path / "in.csv", "--out", tmp_path / "out.csv")
    assert code == 1
    assert "field 'series'" in err


def test_import_twice_stores_once(run, tmp_path):
    (tmp_path / "m.csv").write_text("series,timestamp,value\ncpu,2014-07-01T00:00:00Z,1\ncpu,2014-07-01T00:01:00Z,2\n")
    first = json.loads(run("import", tmp_path / "m.csv", "--home", tmp_path / "home", "--json")[1])
    second = json.loads(run("import", tmp_path / "m.csv", "--home", tmp_path / "home", "--json")[1])
    assert (first[0]["stored"], second[0]["stored"], second[0]["duplicate"]) == (2, 0, 2)
    rows = Lake(tmp_path / "home" / "lake").scan("metrics").collect()
    assert sorted(rows["value"]) == [1.0, 2.0]
    assert rows.schema["at"] == AT


def test_times_that_are_none_are_told_and_so_is_an_ending_before_the_work(run, tmp_path):
    (tmp_path / "in.csv").write_text("series,timestamp,value\na,soon,1\n")
    assert "field 'timestamp'" in run("score", tmp_path / "in.csv", "--out", tmp_path / "out.csv")[2]
    code, _, err = run("score", tmp_path / "missing.csv", "--out", tmp_path / "out.xlsx")
    assert (code, ".xlsx" in err) == (1, True)


def test_verbs_of_later_days_are_no_stubs(run):
    help_text = run("--help")[1]
    for verb in ("run",):
        assert run(verb)[0] == 2
        assert f"  {verb} " not in help_text


@pytest.fixture
def taken():
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        made.listen()
        yield f"127.0.0.1:{made.getsockname()[1]}"


def test_a_port_that_is_taken_and_a_home_that_is_a_file_are_told(run, tmp_path, taken):
    code, _, err = run("up", "--home", tmp_path / "home", "--listen", taken)
    assert (code, "choose another with --listen" in err) == (2, True)
    (tmp_path / "file").touch()
    code, _, err = run("up", "--home", tmp_path / "file", "--listen", "127.0.0.1:0")
    assert (code, "name another folder" in err) == (2, True)


def test_replay_needs_a_running_process_and_says_so(run, home):
    code, _, err = run("deadletters", "--replay", "--home", home)
    assert (code, "vedette up --home" in err) == (1, True)
