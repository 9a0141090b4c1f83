"""A dataset stays what it was, or is refused."""

import subprocess
import sys
from dataclasses import replace

import polars as pl
import pytest

from vedette.core.errors import NotFound, Tampered
from vedette.core.frames import AT
from vedette.train import SPANS, Dataset, Manifest, Shelf

ROWS = pl.DataFrame(
    {"series": [1, 1, 2], "at": [1, 2, 1], "value": [0.5, None, 2.0]}, schema={"series": pl.Int64, "at": AT, "value": pl.Float64}
)
OUTAGE = pl.DataFrame({"series": [None], "start": [2], "end": [3], "why": ["declared"]}, schema=SPANS)


def dataset(rows=ROWS, spans=OUTAGE, **changed):
    manifest = Manifest(
        "web", 0, "anomalies", {"name": ".*", "labels": {}}, 1, 3, {"metrics": 4}, "recipe", (), 3, 2, 1, 0, {"a": 1}, ""
    )
    return Dataset(replace(manifest, **changed), rows, spans)


def test_what_was_kept_comes_back(tmp_path):
    kept = Shelf(tmp_path).put(dataset())
    assert kept.manifest.label == "web@1"
    found = Shelf(tmp_path).get("web", 1)
    assert found.manifest == kept.manifest
    assert found.rows.equals(ROWS)
    assert found.spans.equals(OUTAGE)
    assert found.clean().height == 2


def test_the_same_content_is_the_same_version_and_its_rows_are_kept_once(tmp_path):
    shelf = Shelf(tmp_path)
    first = shelf.put(dataset(made_at=1))
    again = shelf.put(dataset(made_at=2, tables={"metrics": 5}))
    marked = shelf.put(dataset(spans=OUTAGE.clear()))
    assert again.manifest == first.manifest
    assert marked.manifest.version == 2
    assert marked.manifest.rows_digest == first.manifest.rows_digest
    assert shelf.put(dataset()).manifest.version == 1
    assert shelf.versions("web") == [1, 2]
    assert len([path for path in (tmp_path / "rows").iterdir() if "spans" not in path.name]) == 1


def test_the_newest_come_first(tmp_path):
    shelf = Shelf(tmp_path)
    shelf.put(dataset(name="old", made_at=1))
    shelf.put(dataset(made_at=3))
    shelf.put(dataset(rows=ROWS[:2], made_at=2))
    assert [each.label for each in shelf.manifests()] == ["web@1", "web@2", "old@1"]


def test_what_is_not_there_is_said_to_be(tmp_path):
    with pytest.raises(NotFound, match="there is no dataset web@1"):
        Shelf(tmp_path).get("web", 1)
    Shelf(tmp_path).put(dataset())
    (path,) = (path for path in (tmp_path / "rows").iterdir() if "spans" not in path.name)
    path.unlink()
    with pytest.raises(NotFound, match=r"dataset web@1: its rows at .* are gone"):
        Shelf(tmp_path).get("web", 1)


def files(shelf, kept):
    return {
        "rows": (shelf._rows(kept.manifest.rows_digest), ROWS.with_columns(value=pl.col("value") * 2)),
        "spans": (shelf._spans(kept.manifest.digest), OUTAGE.clear()),
    }


@pytest.mark.parametrize("what", ["rows", "spans"])
def test_rows_and_spans_that_were_changed_are_refused(tmp_path, what):
    shelf = Shelf(tmp_path)
    path, other = files(shelf, shelf.put(dataset()))[what]
    other.write_parquet(path)
    with pytest.raises(Tampered, match=path.name):
        shelf.get("web", 1)


def test_an_outage_that_was_lost_is_not_learnt(tmp_path):
    shelf = Shelf(tmp_path)
    path, _ = files(shelf, shelf.put(dataset()))["spans"]
    path.unlink()
    with pytest.raises(Tampered):
        shelf.get("web", 1)


def test_a_manifest_that_was_changed_is_refused(tmp_path):
    shelf = Shelf(tmp_path)
    shelf.put(dataset())
    path = tmp_path / "web" / "1.json"
    path.write_text(path.read_text().replace('"end": 3', '"end": 4'))
    with pytest.raises(Tampered, match="web@1"):
        shelf.get("web", 1)


DIES = """
import os, sys
from pathlib import Path
import polars as pl
from vedette.train import Dataset, Manifest, Shelf

left = int(sys.argv[2])
replace = Path.replace
def counted(path, target):
    global left
    left -= 1
    if left < 0:
        os._exit(9)
    return replace(path, target)
Path.replace = counted
rows = pl.DataFrame({"series": [1], "value": [0.5]})
Shelf(Path(sys.argv[1])).put(Dataset(Manifest("web", 0, "anomalies", {}, 1, 3, {}, "", (), 1, 1, 0, 0, {}, ""), rows))
"""


@pytest.mark.parametrize("whole", [0, 1, 2])
def test_killed_while_writing_leaves_nothing_half(tmp_path, whole):
    command = [sys.executable, "-c", DIES, str(tmp_path)]
    assert subprocess.run([*command, str(whole)], check=False).returncode == 9
    assert Shelf(tmp_path).versions("web") == []
    assert Shelf(tmp_path).manifests() == []
    subprocess.run([*command, "99"], check=True)
    assert Shelf(tmp_path).get("web", 1).rows.height == 1
