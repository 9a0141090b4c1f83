"""The life of a model by verbs alone, and what each of them refuses."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest

from vedette import config
from vedette.act import Incident, IncidentStore
from vedette.app import home as at_home
from vedette.app.comparison import compared
from vedette.app.history import Importer
from vedette.app.rehearsal import rehearse
from vedette.app.shelves import Shelves
from vedette.app.training import Asked, Training
from vedette.cli.progress import showing
from vedette.core.errors import Rejected
from vedette.lake import Lake
from vedette.security import Redaction, RedactionSettings
from vedette.testing.simulation import DAY, HOUR, START, Happening, Simulation

# MLflow, to which every move is told, warns of itself.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.xdist_group("mlflow")]


DAYS = 10
#: Hours of the company that have something in them: an outage in the holdout of the last two days.
OUTAGE = (START + 9 * DAY + 9 * HOUR, START + 9 * DAY + 11 * HOUR)
DECLARED = """\
models:
  web:
    family: anomalies
    match: {labels: {service: web}}
    window_days: 10
    search: {trials: 4, processes: 1}
    gates: [{metric: false_alarms_per_series_week, max_absolute: 5}]
"""


#: What no version can reach.
STRICT = DECLARED.replace("max_absolute: 5", "max_absolute: 0.001")


@pytest.fixture(scope="module")
def lake_of_company(tmp_path_factory):
    """A lake with ten days of the company at five minutes, brought once for all tests."""
    home = tmp_path_factory.mktemp("company") / "home"
    script = [Happening(*OUTAGE, "web", "outage")]
    told = Simulation(script=script, step_seconds=300).deliveries(START, START + DAYS * DAY)
    frames = {table: frame for table, frame in told.frames.items() if table != "logs"}
    list(Importer(Lake(home / "lake"), Redaction(RedactionSettings()), lambda: START).bring([replace(told, frames=frames)]))
    return home


@pytest.fixture(scope="module")
def shared(lake_of_company, tmp_path_factory):
    """The company's home with one version of `web`, the champion, and a second one that a gate refused."""
    home = tmp_path_factory.mktemp("trained") / "home"
    shutil.copytree(lake_of_company, home)
    path = home.parent / "vedette.yaml"
    for declared in (DECLARED, STRICT):
        path.write_text(declared)
        Training(home, config.load(path), lambda: START + DAYS * DAY).train("web", Asked(actor="ada"))
    return home


@pytest.fixture
def company(lake_of_company, tmp_path):
    """A home of one's own with the company's lake in it, and what is declared, in the folder in which verbs run."""
    return _own(lake_of_company, tmp_path)


@pytest.fixture
def trained(shared, tmp_path):
    """The same with web@1, the champion, and web@2, which was refused."""
    return _own(shared, tmp_path)


def _own(home, folder):
    shutil.copytree(home, folder / "home")
    (folder / "vedette.yaml").write_text(DECLARED)
    return folder / "home"


def iso(micros):
    return datetime.fromtimestamp(micros / 1e6, UTC).isoformat()


def test_from_import_to_champion_and_back_by_verbs_alone(run, tmp_path):
    company = Simulation(script=[Happening(*OUTAGE, "web", "outage")], step_seconds=300)
    named = [(each["series"], each["name"], *map(dict(each["labels"]).get, ("host", "service"))) for each in rows_of(company)]
    names = pl.DataFrame(named, schema=["id", "series", "host", "service"], orient="row")
    rows = company.metrics(START, START + 10 * DAY).rename({"series": "id", "at": "timestamp"}).join(names, on="id").drop("id")
    rows.write_parquet(tmp_path / "m.parquet")
    (tmp_path / "vedette.yaml").write_text(DECLARED)
    home = ("--home", tmp_path / "home")

    assert run("import", "m.parquet", *home)[0] == 0
    assert run("outage", "add", iso(OUTAGE[0]), iso(OUTAGE[1]), "--match", "service=web", *home)[0] == 0

    code, out, err = run("train", "web", "--dry-run", *home)
    assert (code, out) == (0, "")
    assert "web@1: 40,320 rows of 14 series" in err

    code, out, err = run("train", "web", "--because", "the first", *home)
    assert code == 0, err
    assert "must_catch_recall" in out
    assert "web@1 is champion: it passed its" in err
    assert "models/web/1/report.html" in err

    assert "unchanged" in json.loads(run("train", "web", "--json", *home)[1])["decision"]["stage"]
    again = json.loads(run("train", "web", "--again", "--json", *home)[1])
    assert (again["card"]["version"], again["card"]["parent"], again["decision"]["stage"]) == (2, 1, "shadow")

    code, _, err = run("validate", "web@2", "--out", "paper", *home)
    assert code == 0, err
    assert sorted(each.name for each in (tmp_path / "paper").iterdir()) == ["report.html", "report.json", "report.md"]
    kept = (tmp_path / "home" / "models" / "web" / "1" / "report.md").read_text()
    assert "web&#64;1" in kept.splitlines()[0]

    code, _, err = run("promote", "web@challenger", "--reason", "looked at it", *home)
    assert (code, "MLflow was not told" in err, (tmp_path / "home" / "mlflow.db").exists()) == (0, False, True)
    view = json.loads(run("models", "web", "--json", *home)[1])
    assert (view["champion"], view["candidate"], view["decisions"][0]["reason"]) == (2, None, "looked at it")
    assert [each["label"] for each in view["versions"]] == ["web@2", "web@1"]

    code, _, err = run("rollback", "web", "--reason", "only a try", *home)
    assert (code, "web@2 was sent back; web@1 is the champion: only a try" in err) == (0, True)

    told = json.loads(run("reproduce", "web@2", "--json", *home)[1])
    assert told["same"]
    assert told["kept"] == view["versions"][0]["digest"]

    assert "queue length of service web" in run("replay", "web", *home)[1]
    assert json.loads(run("datasets", "web", "--json", *home)[1])[0]["name"] == "web"
    code, out, _ = run("verify", "--json", *home)
    assert code == 0
    assert {"registry web@1: signature", "registry web: versions", "registry web: standing"} <= {
        each["check"] for each in json.loads(out)
    }


def test_a_gate_refuses_with_1_and_says_why(run, company, tmp_path):
    (tmp_path / "vedette.yaml").write_text(STRICT)
    code, out, err = run("train", "web", "--actor", "policy", "--home", company)
    assert code == 1
    assert "FAILED   false_alarms_per_series_week" in out
    assert "web@1 is refused, what is shipped stays" in err
    assert run("validate", "web@1", "--json", "--home", company)[0] == 1


def test_a_version_that_was_refused_is_promoted_only_by_who_insists(run, trained):
    code, _, err = run("promote", "web@2", "--home", trained)
    assert (code, "vedette promote web@2 --anyway" in err) == (1, True)
    code, out, _ = run("promote", "web@2", "--anyway", "--json", "--home", trained)
    assert code == 0
    assert json.loads(out)["evidence"] == {"from": 1, "failed": ["false_alarms_per_series_week"]}
    assert run("rollback", "web", "--home", trained)[0] == 0


def test_models_are_listed_with_where_they_stand(run, trained):
    out = run("models", "--home", trained)[1]
    assert "web     anomalies   1 " in out
    out = run("models", "web", "--home", trained)[1]
    assert [each for each in ("champion", "failed: false_alarms", "all 15 passed", "ada", "HOLD refused") if each not in out] == []
    out = run("datasets", "--home", trained)[1]
    assert "simulation 100%" in out


def test_two_versions_are_compared_point_by_point(run, trained):
    code, out, _ = run("compare", "web@1", "web@2", "--json", "--home", trained)
    found = json.loads(out)
    assert (code, found["points"]["points"], found["points"]["one_alarms"]) == (0, 40_320, 0.0)
    assert {"sigmas", "hold"} <= {name for name, _, _ in found["parameters"]}
    code, out, err = run("compare", "web@champion", "web@latest", "--home", trained)
    assert code == 0
    assert "failed: " in out
    assert "They say the same everywhere" in err


def test_a_replay_says_what_would_have_been_raised_and_what_missed(run, trained):
    quiet = START + 6 * DAY
    for start, end in (OUTAGE, (quiet, quiet + HOUR)):
        assert run("outage", "add", iso(start), iso(end), "--match", "service=web", "--note", iso(start), "--home", trained)[0] == 0
    raised = Incident("old", "closed", "warning", "slow", OUTAGE[0], OUTAGE[1], OUTAGE[1], explanation={"members": [member()]})
    with IncidentStore(f"sqlite:///{trained / 'vedette.db'}") as store:
        store.upsert([raised])
    code, out, _ = run("replay", "web@1", "--start", iso(START + 5 * DAY), "--json", "--home", trained)
    found = json.loads(out)
    assert code == 0
    assert [each["title"].partition(" on ")[0] for each in found["would"]] == ["queue length of service web"]
    assert [each["name"] for each in found["missed"]] == [iso(quiet)]
    assert found["met"] == {found["would"][0]["id"]: "old"}
    assert sum(week["would"] for week in found["weeks"]) == len(found["would"])
    code, out, err = run("replay", "--end", iso(START + 8 * DAY), "--home", trained)
    assert code == 0
    assert "would have been missed" in out
    assert "scored by the detector as shipped" in err


def rows_of(company):
    return company.definitions().iter_rows(named=True)


def member():
    queue = (each for each in rows_of(Simulation()) if each["name"] == "queue_length" and dict(each["labels"])["service"] == "web")
    return {"series": next(queue)["series"], "labels": {}, "text": "slow", "since": OUTAGE[0]}


def test_keys_are_listed_rotated_trusted_and_distrusted(run, trained, tmp_path):
    first = json.loads(run("keys", "--json", "--home", trained)[1])
    assert [each["signs"] for each in first] == [True]
    assert run("keys", "rotate", "--home", trained)[0] == 0
    assert len(json.loads(run("keys", "list", "--json", "--home", trained)[1])) == 2
    assert run("keys", "distrust", first[0]["id"], "--home", trained)[0] == 0
    assert run("verify", "--home", trained)[0] == 1
    (tmp_path / "other.pem").write_text("no key")
    assert run("keys", "trust", "other.pem", "--home", trained)[0] == 1
    assert run("keys", "trust", "--home", trained)[0] == 2


def test_a_version_that_was_changed_or_taken_away_fails_the_check(run, trained):
    state = trained / "models" / "web" / "1" / "report.md"
    state.write_text(state.read_text() + " ")
    code, _, err = run("verify", "--home", trained)
    assert (code, "registry web@1: signature" in err) == (1, True)
    assert at_home.verify(trained)
    code, _, err = run("reproduce", "web@1", "--home", trained)
    assert (code, "report.md" in err) == (1, True)


def test_status_shows_where_each_declared_model_stands(run, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    standing = {
        "model": "web",
        "champion": 3,
        "previous": 2,
        "candidate": 4,
        "stage": "canary",
        "share": 0.1,
        "since": START,
        "revision": 9,
    }
    fresh = standing | {"model": "new", "champion": 0, "candidate": 0, "stage": "", "since": 0}
    told = {
        "pid": 1,
        "at": "now",
        "address": "x",
        "series": 0,
        "lag": 0,
        "sources": {},
        "models": [],
        "lifecycle": [standing, fresh],
    }
    at_home.write_status(home, told)
    out = run("status", "--home", home)[1]
    assert "version 4, canary for 10% of the series" in out
    assert "none yet: what is shipped speaks" in out


WRONG = [
    (["train", "nothing"], 1, "no model 'nothing' is declared; there are: web"),
    (["validate", "web@7"], 1, "no web@7; there are: 1, 2"),
    (["validate", "web@soon"], 2, "expected a number or one of"),
    (["validate", "nothing"], 1, "nothing has no version yet"),
    (["reproduce", "web@0"], 1, "versions count from 1"),
    (["models", "nothing"], 1, "there is no model 'nothing'; there are: web"),
    (["datasets", "nothing"], 1, "there is no model 'nothing'"),
    (["compare", "web@1", "web@9"], 1, "no web@9"),
    (["promote", "web"], 2, "say which version"),
    (["promote", "web@1"], 1, "web@1 is the champion already"),
    (["rollback", "web@1"], 2, "expected the name of a model"),
    (["rollback", "nothing"], 1, "there is no model 'nothing'"),
    (["replay", "--start", "soon"], 2, "expected a time such as"),
    (["replay", "--start", "2030-01-01"], 1, "no points of the selected series in that time"),
    (["replay", "--end", "2001-01-01"], 1, "no points of the selected series in that time"),
    (["keys", "distrust", "abc"], 1, "no key 'abc' is trusted"),
    (["keys", "burn"], 2, "burn"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "told"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_what_is_wrong_is_one_clear_line(run, shared, tmp_path, arguments, code, told):
    (tmp_path / "vedette.yaml").write_text(DECLARED)
    found, _, err = run(*arguments, "--home", shared)
    assert (found, told in " ".join(err.replace("│", " ").split())) == (code, True), err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "verb", ["train web", "validate web", "replay", "models", "compare a b", "promote a@1", "rollback a", "keys"]
)
def test_a_home_that_is_not_there_is_told_and_not_made(run, tmp_path, verb):
    (tmp_path / "vedette.yaml").write_text(DECLARED)
    code, _, err = run(*verb.split(), "--home", "nowhere")
    assert (code, "nowhere" in err) == (1, True)
    assert not (tmp_path / "nowhere").exists()


def test_only_anomalies_are_replayed_and_only_what_is_alike_compared(trained):
    declared = config.Config()
    card = Shelves(trained, declared).registry.card("web", 1)
    other = replace(card, family="forecasts")
    with pytest.raises(Rejected, match="is of the family forecasts"):
        rehearse(trained, declared, other, (None, None))
    with pytest.raises(Rejected, match="is not declared any more"):
        rehearse(trained, declared, card, (None, None))
    with pytest.raises(Rejected, match="nothing compares"):
        compared(trained, declared, card, other)
    assert compared(trained, declared, card, card).points is None


def test_an_interruption_is_told_with_what_to_do():
    with pytest.raises(Rejected, match=r"web: interrupted\. The same command goes on where it was\."), showing("web"):
        raise KeyboardInterrupt
