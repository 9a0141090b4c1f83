"""A registry on a home of its own, something to keep in it, and ways to spoil what is kept."""

import numpy as np
import pytest

from vedette.core.types import Artefact, Card, Finding
from vedette.registry import Keys, Registry, RegistrySettings, signing
from vedette.registry.store import SIGNATURE


@pytest.fixture
def papers():
    return {"recipe.yaml": "metrics: {}\n", "report.html": "<p>fine</p>", "report.json": "{}", "report.md": "fine"}


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path, Keys.at(tmp_path / "keys"), RegistrySettings(keep=3))


@pytest.fixture
def make():
    """An artefact by its seed and name."""

    def made(seed=1, name="web"):
        rng = np.random.default_rng(seed)
        card = Card(
            name=name,
            version=0,
            family="anomalies",
            kind="envelope",
            parameters={"seasons": (24, 168), "width": 1.5, "robust": True},
            recipe="r",
            dataset="days@3",
            dataset_digest="d",
            seed=seed,
            code="0.1",
            trained_at=1_700_000_000_000_000,
            findings=(Finding("coverage", passed=True, measured="0.91", required="0.9", why="bands must hold"),),
            metrics={"alarms_per_week": 0.4, "delay_seconds": np.float64(12.5)},
        )
        arrays = {"level": rng.normal(size=(4, 3)), "seen": np.arange(9), "on": np.array([True, False]), "n": np.array(7)}
        return Artefact(card, arrays)

    return made


@pytest.fixture
def kept(registry, make, papers, tmp_path):
    """The directory of `web@1`."""
    registry.add(make(), papers)
    return tmp_path / "models" / "web" / "1"


@pytest.fixture
def sign_again(tmp_path):
    """Puts a valid signature of ours over whatever lies in a directory, as only someone with our key could."""

    def sign(directory, label="web@1", keys=None):
        files = {path.name: path.read_bytes() for path in directory.iterdir() if path.name != SIGNATURE}
        signing.sign(label, files, directory, keys or Keys(tmp_path / "keys"))

    return sign
