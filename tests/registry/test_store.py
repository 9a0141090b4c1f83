import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from model_signing import verifying

from vedette.core.errors import BadRecord, NotFound, Tampered, Transient
from vedette.core.types import Artefact, Card
from vedette.registry import Keys, Registry

ADD = """
import sys
from pathlib import Path
import numpy as np
from vedette.core.types import Artefact, Card
from vedette.registry import Keys, Registry

home = Path(sys.argv[1])
registry = Registry(home, Keys.at(home / "keys"))
card = Card("web", 0, "anomalies", "envelope", {}, "r", "days@3", "d", 7, "0.1", 1)
registry.add(Artefact(card, {"x": np.random.default_rng(7).normal(size=1000)}), {"recipe.yaml": "{}"})
"""


def run(script, home, armed=""):
    environment = {"VEDETTE_FAILPOINTS": armed, "PYTHONPATH": ":".join(sys.path)}
    return subprocess.run([sys.executable, "-c", script, home], env=environment, check=False).returncode


def seeded():
    card = Card("web", 0, "anomalies", "envelope", {}, "r", "days@3", "d", 7, "0.1", 1)
    return Artefact(card, {"x": np.random.default_rng(7).normal(size=1000)})


def test_a_version_comes_back_as_what_was_added(registry, make, papers):
    given = make()
    card = registry.add(given, papers)
    found = registry.load("web", 1)
    assert (card.label, found.card) == ("web@1", card)
    assert card.parameters == {"seasons": [24, 168], "width": 1.5, "robust": True}
    assert found.arrays.keys() == given.arrays.keys()
    for name, array in given.arrays.items():
        assert (found.arrays[name].dtype, found.arrays[name].shape) == (array.dtype, array.shape)
        assert found.arrays[name].tobytes() == array.tobytes()
    assert registry.card("web", 1) == card
    assert registry.file("web", 1, "report.md") == b"fine"


def test_turned_strided_and_big_endian_arrays_come_back_as_what_they_show(registry, make):
    grid = np.arange(12.0).reshape(3, 4)
    odd = {"column": grid[:, 1], "turned": grid.T, "big": grid.astype(">f4"), "empty": grid[:0], "one": np.array(1, ">i2")}
    registry.add(replace(make(), arrays=odd), {})
    found = registry.load("web", 1).arrays
    assert all(np.array_equal(found[name], array) for name, array in odd.items())


def test_numbers_go_up_by_one_for_each_name_and_the_same_content_may_come_twice(registry, make, papers):
    first, second = registry.add(make(), papers), registry.add(make(), papers)
    assert (first.version, second.version, first.digest == second.digest) == (1, 2, True)
    assert registry.add(make(name="logs"), papers).label == "logs@1"
    assert [card.label for card in registry.cards()] == ["logs@1", "web@1", "web@2"]
    assert registry.names() == ("logs", "web")
    assert registry.highest("web") == 2


def test_a_number_is_never_given_twice(registry, make, papers):
    for _ in range(5):
        registry.add(make(), papers)
    assert registry.prune("web", {1}) == (2,)
    assert registry.versions("web") == (1, 3, 4, 5)
    assert registry.prune("web", ()) == (1,)
    assert registry.add(make(), papers).version == 6
    assert all(each.passed for each in registry.verify())


def test_what_there_is_not_is_told_with_what_there_is(registry, make, papers):
    with pytest.raises(NotFound, match=r"no model 'web'; there are: none yet"):
        registry.load("web", 1)
    registry.add(make(), papers)
    with pytest.raises(NotFound, match=r"no web@7; there are: 1"):
        registry.load("web", 7)
    with pytest.raises(NotFound, match=r"no model 'logs'; there are: web"):
        registry.load("logs", 1)
    with pytest.raises(NotFound, match=r"holds no 'x'; it holds MLmodel, card.json, model.sig, recipe.yaml"):
        registry.file("web", 1, "x")


NOT_NAMES = [
    "",
    "..",
    "../keys",
    "a/b",
    "/etc",
    "%2e%2e",
    "a%2fb",
    "a\0b",
    "A",
    "1a",
    "a" * 64,
    "a.b",
    "a\n",
    "ä",
    "a b",
    "~a",
    "a\\b",
]


@pytest.mark.parametrize("name", NOT_NAMES)
def test_what_could_lead_elsewhere_is_no_name(registry, make, name, tmp_path):
    for ask in (lambda: registry.add(make(name=name), {}), lambda: registry.load(name, 1), lambda: registry.cards(name)):
        with pytest.raises(BadRecord, match="lower-case letter"):
            ask()
    assert {path.name for path in tmp_path.iterdir()} <= {"keys", "models"}


@pytest.mark.parametrize("version", [0, -1, "1", "../1", 1.0, True, None])
def test_what_does_not_count_is_no_version(registry, kept, version):
    with pytest.raises(BadRecord, match="count from 1"):
        registry.load("web", version)


@pytest.mark.parametrize("name", ["model.pkl", "../x", "card.json", "model.sig", "notes/x", "MLmodel"])
def test_only_papers_may_lie_beside_a_model(registry, make, name):
    with pytest.raises(BadRecord, match="a version holds"):
        registry.add(make(), {name: b""})


@pytest.mark.parametrize(
    "array",
    [
        np.array([{}], dtype=object),
        np.array(["text"]),
        np.zeros(2, dtype=[("a", "f8")]),
        np.array(["2026"], "M8[us]"),
        1j * np.ones(2),
    ],
)
def test_arrays_of_other_kinds_are_refused_in_words(registry, make, array):
    with pytest.raises(BadRecord, match="cannot be kept under 'odd'"):
        registry.add(Artefact(make().card, {"odd": array}), {})
    assert registry.versions("web") == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"metrics": {"delay": float("nan")}},
        {"parameters": {"width": float("inf")}},
        {"parameters": {1: 2}},
        {"parameters": {"a": object()}},
    ],
)
def test_a_card_that_would_not_come_back_is_refused(registry, make, changed):
    given = make()
    with pytest.raises(BadRecord, match="field 'card'"):
        registry.add(replace(given, card=replace(given.card, **changed)), {})


@pytest.mark.parametrize("place", ["registry.before_sign", "registry.before_rename", "registry.after_rename"])
def test_killed_anywhere_there_is_all_of_a_version_or_nothing(registry, tmp_path, place):
    there = 1 if place == "registry.after_rename" else 0
    assert run(ADD, tmp_path, f"{place}=kill") == -9
    assert len(registry.versions("web")) == there
    assert all(each.passed for each in registry.verify())
    assert registry.sweep() == 1 - there
    assert sorted(path.name for path in (tmp_path / "models" / "web").iterdir()) == ["1", "versions.json"][1 - there :]
    card = registry.add(seeded(), {})
    assert [each.version for each in registry.cards("web")] == [1, 2][: 1 + there]
    assert {each.digest for each in registry.cards("web")} == {card.digest}
    assert all(each.passed for each in registry.verify())


def test_several_may_add_at_once(registry, make, papers, tmp_path):
    def add():
        Registry(tmp_path, Keys(tmp_path / "keys")).add(make(), papers)

    threads = [threading.Thread(target=add) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert registry.versions("web") == (1, 2, 3, 4, 5, 6)
    assert all(each.passed for each in registry.verify())


def test_a_disk_that_does_not_take_it_is_told_and_what_was_there_stays(registry, make, papers, tmp_path):
    registry.add(make(), papers)
    blocked = tmp_path / "models" / "web" / "tmp-2"
    blocked.write_text("")
    with pytest.raises(Transient, match="check the disk"):
        registry.add(make(), papers)
    assert registry.load("web", 1)
    assert registry.sweep() == 1
    assert registry.add(make(), papers).version == 2


def test_a_version_that_was_taken_away_is_missed(registry, make, papers, tmp_path):
    for _ in range(2):
        registry.add(make(), papers)
    (tmp_path / "models" / "web" / "2").rename(tmp_path / "elsewhere")
    assert [each.measured for each in registry.verify() if not each.passed] == ["taken away: 2"]
    assert registry.highest("web") == 2
    assert registry.add(make(), papers).version == 3
    assert [each.measured for each in registry.verify() if not each.passed] == ["taken away: 2"]
    registry.accept("web")
    assert all(each.passed for each in registry.verify())


def test_a_version_that_was_let_go_does_not_come_back(registry, make, papers, tmp_path):
    registry.add(make(), papers)
    old = tmp_path / "models" / "web" / "1"
    kept = {path.name: path.read_bytes() for path in old.iterdir()}
    for _ in range(3):
        registry.add(make(), papers)
    registry.prune("web", ())
    old.mkdir()
    for name, content in kept.items():
        (old / name).write_bytes(content)
    assert [each.measured for each in registry.verify() if not each.passed] == ["not in the ledger: 1"]
    assert registry.sweep() == 1
    assert registry.versions("web") == (2, 3, 4)


@pytest.mark.parametrize("how", ["gone", "changed", "of another model"])
def test_a_ledger_that_is_not_ours_stops_the_counting_until_somebody_looked(registry, make, papers, tmp_path, how):
    registry.add(make(), papers)
    registry.add(make(name="logs"), papers)
    path = tmp_path / "models" / "web" / "versions.json"
    match how:
        case "gone":
            path.unlink()
        case "changed":
            path.write_bytes(path.read_bytes().replace(b'"highest":1', b'"highest":9'))
        case _:
            path.write_bytes((tmp_path / "models" / "logs" / "versions.json").read_bytes())
    assert [each.passed for each in registry.verify() if "web: versions" in each.check] == [False]
    with pytest.raises(Tampered):
        registry.add(make(), papers)
    assert registry.load("web", 1)
    registry.accept("web")
    assert registry.add(make(), papers).version == 2


def test_to_add_load_and_list_nothing_needs_mlflow(tmp_path):
    script = f"""
import sys, vedette.registry
heavy = "model_signing" in sys.modules
{ADD}
registry.load("web", 1), registry.cards(), registry.verify()
sys.exit(heavy or "mlflow" in sys.modules)
"""
    assert run(script, tmp_path) == 0


def test_the_tool_of_openssf_verifies_a_version_without_us(kept, tmp_path):
    config = verifying.Config().use_elliptic_key_verifier(public_key=Keys(tmp_path / "keys").list()[0].path)
    config.verify(kept, kept / "model.sig")
    (kept / "report.md").write_text("better")
    with pytest.raises(ValueError, match=r"Hash mismatch for 'report\.md'"):
        config.verify(kept, kept / "model.sig")
