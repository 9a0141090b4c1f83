"""A checkpoint comes back bit for bit, or the one before it does."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vedette.core.errors import Transient
from vedette.core.types import Checkpoint
from vedette.serve.checkpoints import Checkpoints

DTYPES = st.sampled_from([np.bool_, np.uint8, np.int64, np.float32, np.float64])
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
STATES = st.dictionaries(st.text(min_size=1, max_size=9).filter("__metadata__".__ne__), hnp.arrays(DTYPES, SHAPES), max_size=4)


def taken_at(offset: int) -> Checkpoint:
    return Checkpoint(offset, offset * 10, {"part/level": np.arange(offset, offset + 5, dtype=np.float64)})


@settings(max_examples=60, deadline=None)
@given(STATES)
def test_any_state_comes_back_bit_for_bit(state):
    with TemporaryDirectory() as directory:
        Checkpoints(Path(directory)).save(Checkpoint(3, 4, state))
        found = Checkpoints(Path(directory)).latest()
    assert found is not None
    assert (found.offset, found.at, set(found.state)) == (3, 4, set(state))
    for name, array in state.items():
        back = found.state[name]
        assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_views_with_strides_come_back_as_what_they_show(tmp_path):
    grid = np.arange(12, dtype=np.int64).reshape(3, 4)
    Checkpoints(tmp_path).save(Checkpoint(1, 1, {"column": grid[:, 1], "turned": grid.T}))
    found = Checkpoints(tmp_path).latest()
    assert found is not None
    assert found.state["column"].tolist() == [1, 5, 9]
    assert found.state["turned"].tolist() == grid.T.tolist()


def test_without_any_there_is_none(tmp_path):
    assert Checkpoints(tmp_path / "new").latest() is None


def test_the_newest_serves_and_only_the_last_two_stay(tmp_path):
    memory = Checkpoints(tmp_path)
    for offset in (1, 2, 3, 12):
        memory.save(taken_at(offset))
    assert memory.latest().offset == 12
    assert len(list(tmp_path.iterdir())) == 2


def test_what_is_loaded_may_be_written_to_and_the_file_stays_as_it_was(tmp_path):
    memory = Checkpoints(tmp_path)
    memory.save(taken_at(1))
    memory.latest().state["part/level"][:] = -1.0
    assert memory.latest().state["part/level"][0] == 1.0


@pytest.mark.parametrize("name", ["state.safetensors", "meta.json"])
@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "remove"])
def test_a_torn_checkpoint_goes_to_quarantine_and_the_one_before_serves(tmp_path, name, harm):
    memory = Checkpoints(tmp_path)
    memory.save(taken_at(1))
    memory.save(taken_at(2))
    file = max(tmp_path.iterdir()) / name
    raw = file.read_bytes()
    if harm == "remove":
        file.unlink()
    else:
        file.write_bytes({"flip": raw[:-1] + bytes([raw[-1] ^ 1]), "cut": raw[: len(raw) // 2], "empty": b""}[harm])
    assert memory.latest().offset == 1
    assert [path.name for path in (tmp_path / "quarantine").iterdir()] == ["000000000002-2"]
    memory.save(taken_at(3))
    assert memory.latest().offset == 3


def test_leftovers_are_swept_at_the_start(tmp_path):
    (tmp_path / "tmp-000000000009-9").mkdir()
    (tmp_path / "tmp-000000000009-9" / "state.safetensors").write_bytes(b"half")
    assert Checkpoints(tmp_path).latest() is None
    assert not list(tmp_path.iterdir())


def test_a_disk_that_cannot_be_written_is_a_transient_and_the_last_one_still_serves(tmp_path):
    memory = Checkpoints(tmp_path)
    memory.save(taken_at(1))
    (tmp_path / "tmp-000000000002-2").write_text("in the way")
    with pytest.raises(Transient, match="offset 2"):
        memory.save(taken_at(2))
    assert memory.latest().offset == 1


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_checkpoints import Checkpoints, taken_at
memory = Checkpoints(Path(sys.argv[1]))
for offset in (1, 2, 3):
    memory.save(taken_at(offset))
"""


@pytest.mark.parametrize(("place", "offset"), [("checkpoint.before_rename", 1), ("checkpoint.after_rename", 2)])
def test_killed_around_the_rename_the_newest_whole_one_serves(tmp_path, place, offset):
    environment = {**os.environ, "VEDETTE_FAILPOINTS": f"{place}=kill:2"}
    child = [sys.executable, "-c", CHILD, str(tmp_path), str(Path(__file__).parent)]
    assert subprocess.run(child, env=environment, check=False).returncode == -9
    memory = Checkpoints(tmp_path)
    assert memory.latest().offset == offset
    assert not list(tmp_path.glob("tmp-*"))
