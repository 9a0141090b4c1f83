"""Place and memory on disk, saved as one: a directory a checkpoint, put in place by a rename."""

import os
import shutil
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from vedette.core.errors import Transient
from vedette.core.failpoints import failpoint
from vedette.core.types import Checkpoint

STATE: Final = "state.safetensors"
META: Final = "meta.json"
_PIECE: Final = 1 << 20

BEFORE_RENAME = failpoint("checkpoint.before_rename")
AFTER_RENAME = failpoint("checkpoint.after_rename")


class _Meta(msgspec.Struct, frozen=True):
    offset: int
    at: int
    digest: str


class Checkpoints:
    """The last few checkpoints under a directory, newest last by name: `<sequence>-<offset>/`.

    One is written aside, forced to the disk and put in place by one rename, so at any moment the newest whole one is
    what was saved last. One whose bytes are not what they were is moved to `quarantine/` and the one before it serves.

    Args:
        directory: where they are kept; made where it is missing.
        keep: how many stay.
    """

    def __init__(self, directory: Path, keep: int = 2) -> None:
        self._directory = directory
        self._keep = max(keep, 1)
        directory.mkdir(parents=True, exist_ok=True)
        for left in directory.glob("tmp-*"):
            shutil.rmtree(left)

    def save(self, checkpoint: Checkpoint) -> None:
        """Durable when it returns; older ones beyond `keep` are then removed.

        Raises:
            Transient: it could not be written now; what was there before still serves.
        """
        try:
            self._save(checkpoint)
        except OSError as error:
            raise Transient(f"checkpoint at offset {checkpoint.offset}: {error}; check the disk at {self._directory}") from error

    def latest(self) -> Checkpoint | None:
        """The newest that is whole, or None. Its arrays are the caller's own."""
        for place in reversed(self._places()):
            found = _load(place)
            if found is not None:
                return found
            self._set_aside(place)
        return None

    def _save(self, checkpoint: Checkpoint) -> None:
        places = self._places()
        sequence = 1 + (int(places[-1].name.split("-")[0]) if places else 0)
        name = f"{sequence:012}-{checkpoint.offset}"
        temporary = self._directory / f"tmp-{name}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        # Arrays of rank 0 and views with strides are copied here, the rest is written from where it lies.
        arrays = {name: np.ascontiguousarray(array).reshape(np.shape(array)) for name, array in checkpoint.state.items()}
        save_file(arrays, temporary / STATE)
        meta = _Meta(checkpoint.offset, checkpoint.at, _digest(temporary / STATE))
        (temporary / META).write_bytes(msgspec.json.encode(meta))
        for path in (temporary / STATE, temporary / META, temporary):
            _force(path)
        BEFORE_RENAME()
        temporary.rename(self._directory / name)
        _force(self._directory)
        AFTER_RENAME()
        for old in self._places()[: -self._keep]:
            shutil.rmtree(old)

    def _places(self) -> list[Path]:
        return sorted(path for path in self._directory.iterdir() if path.name.split("-")[0].isdigit())

    def _set_aside(self, place: Path) -> None:
        quarantine = self._directory / "quarantine"
        quarantine.mkdir(exist_ok=True)
        target = quarantine / place.name
        shutil.rmtree(target, ignore_errors=True)
        place.rename(target)


def _load(place: Path) -> Checkpoint | None:
    try:
        meta = msgspec.json.decode((place / META).read_bytes(), type=_Meta)
        if _digest(place / STATE) != meta.digest:
            return None
        return Checkpoint(meta.offset, meta.at, load_file(place / STATE))
    except (FileNotFoundError, msgspec.DecodeError, SafetensorError):
        return None


def _digest(path: Path) -> str:
    digest = blake2b(digest_size=32)
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _force(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
