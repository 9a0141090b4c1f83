"""Where datasets are kept: rows under their digest, manifests by name and version. What is there is never changed."""

import os
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import asdict, replace
from pathlib import Path

import msgspec
import polars as pl

from vedette.core import digest
from vedette.core.errors import NotFound, Tampered
from vedette.train.dataset import SPANS, Dataset, Manifest, identify


class Shelf:
    """Datasets under one directory: `NAME/VERSION.json`, and their rows in `rows/DIGEST.parquet`, once however often they are used.

    >>> import tempfile
    >>> Shelf(Path(tempfile.mkdtemp())).versions("web")
    []
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, dataset: Dataset) -> Dataset:
        """Keep a dataset; it comes back with its digests and its version: an old one where it is that to the byte."""
        rows_digest = digest.of_frame(dataset.rows)
        manifest = replace(dataset.manifest, rows_digest=rows_digest)
        # As it will be read: JSON knows no tuples, and a share of 1 is 1.0.
        manifest = msgspec.convert(asdict(manifest), Manifest)
        manifest = replace(manifest, digest=_digest(manifest, dataset.spans))
        for version in reversed(self.versions(manifest.name)):
            known = self.manifest(manifest.name, version)
            if known.digest == manifest.digest:
                return replace(dataset, manifest=known)
        manifest = replace(manifest, version=max(self.versions(manifest.name), default=0) + 1)
        self._write(self._rows(rows_digest), lambda path: dataset.rows.write_parquet(path, compression="zstd"))
        self._write(self._spans(manifest.digest), dataset.spans.write_parquet)
        self._write(
            self._directory / manifest.name / f"{manifest.version}.json",
            lambda path: path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest))),
        )
        return replace(dataset, manifest=manifest)

    def get(self, name: str, version: int) -> Dataset:
        """The dataset as it was kept.

        Raises:
            NotFound: there is none.
            Tampered: its rows, or what is never learnt of them, are not what they were.
        """
        manifest = self.manifest(name, version)
        path = self._rows(manifest.rows_digest)
        if not path.exists():
            raise NotFound(f"dataset {manifest.label}: its rows at {path} are gone")
        rows = pl.read_parquet(path)
        if digest.of_frame(rows) != manifest.rows_digest:
            raise Tampered(f"dataset {manifest.label}: the rows in {path} are not those that were frozen")
        path = self._spans(manifest.digest)
        spans = pl.read_parquet(path) if path.exists() else pl.DataFrame(schema=SPANS)
        if _digest(manifest, spans) != manifest.digest:
            raise Tampered(f"dataset {manifest.label}: it, or what is never learnt of it in {path}, is not what was frozen")
        return Dataset(manifest, rows, spans)

    def manifest(self, name: str, version: int) -> Manifest:
        """What a dataset is.

        Raises:
            NotFound: there is none.
        """
        path = self._directory / name / f"{version}.json"
        if not path.exists():
            raise NotFound(f"there is no dataset {name}@{version}")
        return msgspec.json.decode(path.read_bytes(), type=Manifest)

    def versions(self, name: str) -> list[int]:
        """The versions of a name, the oldest first."""
        return sorted(int(path.stem) for path in (self._directory / name).glob("*.json") if path.stem.isdigit())

    def manifests(self) -> list[Manifest]:
        """All there are, the newest first."""
        names = sorted(path.name for path in self._directory.glob("*") if path.is_dir() and path.name != "rows")
        found = [self.manifest(name, version) for name in names for version in self.versions(name)]
        return sorted(found, key=lambda each: -each.made_at)

    def _rows(self, rows_digest: str) -> Path:
        return self._directory / "rows" / f"{rows_digest}.parquet"

    def _spans(self, dataset_digest: str) -> Path:
        return self._directory / "rows" / f"{dataset_digest}.spans.parquet"

    def _write(self, path: Path, write: Callable[[Path], object]) -> None:
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        write(fresh)
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        fresh.replace(path)


def _digest(manifest: Manifest, spans: pl.DataFrame) -> str:
    return identify(asdict(manifest) | {"spans": digest.of_frame(spans)})


class Answers(MutableMapping[str, float]):
    """What a search has been told, kept as lines of JSON as it comes: a search that was killed goes on where it was.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "answers"
    >>> answers = Answers(path)
    >>> answers["a"] = 0.5
    >>> dict(Answers(path))
    {'a': 0.5}
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, float] = {}
        for line in path.read_bytes().splitlines() if path.exists() else ():
            try:
                key, value = msgspec.json.decode(line, type=tuple[str, float])
            except msgspec.DecodeError:
                continue  # a line that was being written when it was killed
            self._known[key] = value

    def __getitem__(self, key: str) -> float:
        return self._known[key]

    def __setitem__(self, key: str, value: float) -> None:
        self._known[key] = value
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            # The line break comes first, so that half a line from before stays alone.
            file.write(b"\n" + msgspec.json.encode((key, value)))

    def __delitem__(self, key: str) -> None:
        del self._known[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def forget(self) -> None:
        """The search is over."""
        self._known.clear()
        self._path.unlink(missing_ok=True)
