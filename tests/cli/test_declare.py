"""The file that `init` writes: whatever is commented out is right when it is not."""

import re

import pytest
import yaml

from vedette import config
from vedette.cli.declare import COMMENTED

#: A setting that is commented out; prose begins with a capital or a quote.
SETTING = re.compile(r"^( *)# ( *(?:[a-z_]+:|- ).*)$")
LINES = COMMENTED.splitlines()
PLACES = [place for place, line in enumerate(LINES) if SETTING.match(line)]


def whole(place):
    """A commented setting with everything that is deeper in it."""
    depth = len(LINES[place].replace("# ", "", 1)) - len(LINES[place].replace("# ", "", 1).lstrip())
    end = place + 1
    while end in PLACES and len(line := LINES[end].replace("# ", "", 1)) - len(line.lstrip()) > depth:
        end += 1
    return range(place, end)


def loaded(path, places):
    text = "\n".join(SETTING.sub(r"\1\2", line) if place in places else line for place, line in enumerate(LINES))
    path.write_text(text)
    return config.load(path), yaml.safe_load(text)


@pytest.fixture(autouse=True)
def _secrets(monkeypatch):
    monkeypatch.setenv("VEDETTE_TOKEN", "t" * 32)
    monkeypatch.setenv("VEDETTE_WEBHOOK_SECRET", "s" * 32)


@pytest.mark.parametrize("place", [place for place in PLACES if not LINES[place].lstrip().startswith("#   ")])
def test_each_commented_setting_is_right_by_itself(tmp_path, place):
    loaded(tmp_path / "vedette.yaml", set(whole(place)))


def test_all_of_them_together_are_right_and_show_every_part_of_a_model(tmp_path):
    found, plain = loaded(tmp_path / "vedette.yaml", set(PLACES))
    assert {each.family for each in found.models.values()} == {"anomalies", "forecasts", "classes"}
    assert {"gates", "rollout", "retrain", "monitor", "search", "match"} <= set(plain["models"]["metrics"])
    assert {"hearing", "registry", "models", "receivers", "outbound", "redaction", "lake", "log"} <= set(plain)


def test_as_it_is_written_it_declares_what_is_declared_without_a_file(tmp_path):
    found, _ = loaded(tmp_path / "vedette.yaml", set())
    assert found.models == config.load(None).models
    assert set(found.sources) == set(config.load(None).sources)
