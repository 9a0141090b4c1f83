import shutil
import sys
import types

import pytest

from vedette.core.errors import NotFound, Tampered
from vedette.registry import pyfunc


@pytest.fixture
def predictors(monkeypatch):
    """A module that predicts, as one of ours would be named."""
    module = types.ModuleType("made_up_predictors")
    module.anomalies = lambda artefact: lambda frame: [value * artefact.arrays["seen"].sum() for value in frame]
    monkeypatch.setitem(sys.modules, "made_up_predictors", module)
    monkeypatch.setitem(pyfunc.PREDICTORS, "anomalies", "made_up_predictors:anomalies")


@pytest.fixture
def copy(kept, tmp_path, monkeypatch):
    """A copy of `web@1` where MLflow put it, with the note that it lays beside."""
    monkeypatch.setenv("VEDETTE_HOME", str(tmp_path))
    place = tmp_path / "downloaded" / "model"
    shutil.copytree(kept, place)
    (place / "registered_model_meta").write_text("model_name: web\n")
    return place


def test_a_version_predicts_where_mlflow_loads_it(copy, predictors):
    loaded = pyfunc._load_pyfunc(str(copy))
    assert loaded.card.label == "web@1"
    assert loaded.predict([1, 2], params={"any": 1}) == [36, 72]


def test_a_copy_that_was_changed_does_not(copy, predictors):
    (copy / "recipe.yaml").write_text("metrics: {odd: true}")
    with pytest.raises(Tampered, match=r"recipe\.yaml: not what was signed"):
        pyfunc._load_pyfunc(str(copy))


def test_keys_beside_the_copy_count_for_nothing(copy, predictors, tmp_path, monkeypatch):
    shutil.copytree(tmp_path / "keys", copy.parent / "keys")
    monkeypatch.delenv("VEDETTE_HOME")
    with pytest.raises(Tampered, match="set VEDETTE_HOME"):
        pyfunc._load_pyfunc(str(copy))
    monkeypatch.setenv("VEDETTE_HOME", str(tmp_path / "empty"))
    with pytest.raises(Tampered, match="which is not trusted"):
        pyfunc._load_pyfunc(str(copy))


def test_a_family_that_nothing_predicts_for_is_told(copy, monkeypatch):
    monkeypatch.delitem(pyfunc.PREDICTORS, "anomalies", raising=False)
    with pytest.raises(NotFound, match="nothing predicts for the family 'anomalies'"):
        pyfunc._load_pyfunc(str(copy))
