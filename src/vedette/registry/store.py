"""Versions of models as signed directories: added by one rename, verified before anything in them is parsed."""

import fcntl
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from vedette.core import digest
from vedette.core.errors import BadRecord, NotFound, Rejected, Tampered, Transient, VedetteError
from vedette.core.failpoints import failpoint
from vedette.core.types import Artefact, Card, Finding
from vedette.registry import codec, files, ledger
from vedette.registry.keys import Keys
from vedette.registry.ledger import Ledger
from vedette.registry.names import checked, counted
from vedette.registry.settings import RegistrySettings

#: What a version holds besides its card, its arrays, `MLmodel` and its signature. Nothing else may lie there.
PAPERS: Final = ("recipe.yaml", "report.html", "report.json", "report.md")
SIGNATURE: Final = "model.sig"
_ALL: Final = frozenset((codec.CARD, codec.STATE, codec.MLMODEL, SIGNATURE, *PAPERS))

BEFORE_SIGN = failpoint("registry.before_sign")
BEFORE_RENAME = failpoint("registry.before_rename")
AFTER_RENAME = failpoint("registry.after_rename")


class Registry:
    """The versions under `home/models/NAME/VERSION`. Opens nothing before it is used; several processes may use one home.

    Args:
        home: where Vedette keeps everything.
        keys: which sign and verify.
        settings: how many versions stay.

    Whatever hands out content raises `Tampered` where it is not what a trusted key signed under that very name and number,
    `BadRecord` where it was signed and is no version even so, and `Transient` where the disk does not answer.
    """

    def __init__(self, home: Path, keys: Keys, settings: RegistrySettings | None = None) -> None:
        self._root = home / "models"
        self._keys = keys
        self._settings = settings or RegistrySettings()

    # Writing.

    def add(self, artefact: Artefact, papers: Mapping[str, str | bytes]) -> Card:
        """Keep a version under the next number of its name; the card as it is kept. Durable when it returns.

        It is written aside, signed and put in place by one rename: killed anywhere, there is all of it or nothing. The number and
        the digest on the card given are not looked at. The same content may be added twice.

        Args:
            artefact: a card and its arrays, of types that safetensors knows.
            papers: what else is kept, by name: some of `PAPERS`.

        Raises:
            BadRecord: a name, an array or a value on the card cannot be kept.
            Rejected: there is no key to sign with here, or it is too large.
            Tampered: the ledger of the name is not what was signed; see `accept`.
            Transient: it could not be written now.
        """
        name = checked(artefact.card.name)
        unknown = sorted(set(papers) - set(PAPERS))
        if unknown:
            raise BadRecord(f"a version holds {', '.join(PAPERS)}; not '{unknown[0]}'", field="files")
        arrays = codec.plain(artefact.arrays)
        _ = self._keys.private  # or nothing is begun
        with self._locked():
            settled = self._settled(name)
            version = 1 + settled.highest
            card = codec.normal(replace(artefact.card, version=version, digest=digest.of_arrays(arrays)))
            content = {key: text.encode() if isinstance(text, str) else text for key, text in papers.items()}
            content |= {
                codec.CARD: codec.of_card(card),
                codec.STATE: codec.of_arrays(arrays),
                codec.MLMODEL: codec.of_mlmodel(card),
            }
            self._put(card, content)
            ledger.write(self._root / name, self._keys, settled.adding((version,)))
        return card

    def prune(self, name: str, pointed: Collection[int]) -> tuple[int, ...]:
        """Let go of all versions but the newest `keep` and those in `pointed`; their numbers, which are not given again.

        Raises:
            Tampered: the ledger is not what was signed.
        """
        with self._locked():
            settled = self._settled(checked(name))
            gone = tuple(version for version in settled.kept[: -self._settings.keep] if version not in pointed)
            if gone:
                # First from the ledger: killed in between, the next sweep takes the directories that it no longer names.
                ledger.write(self._root / name, self._keys, settled.without(gone))
                self._sweep(name)
        return gone

    def accept(self, name: str) -> None:
        """Take what lies there for the truth and sign the ledger anew: after `verify` complained, and somebody looked.

        Raises:
            NotFound: there is no such model.
        """
        with self._locked():
            self._known(name)
            versions = self.versions(name)
            ledger.write(self._root / name, self._keys, Ledger(name, max(versions, default=0), versions))

    def sweep(self) -> int:
        """Remove what the dead left half-made or half-removed; how many things that were."""
        with self._locked():
            return sum(self._sweep(name) for name in self.names())

    # Reading.

    def names(self) -> tuple[str, ...]:
        """Every model, in order."""
        if not self._root.is_dir():
            return ()
        return tuple(sorted(path.name for path in self._root.iterdir() if _may_be_name(path.name) and path.is_dir()))

    def versions(self, name: str) -> tuple[int, ...]:
        """The numbers that lie there, ascending, verified or not; none for a model that is not there."""
        directory = self._root / checked(name)
        if directory.is_symlink():
            raise Tampered(f"{directory} is a link")
        found = directory.iterdir() if directory.is_dir() else ()
        return tuple(sorted(int(path.name) for path in found if path.name.isdecimal() and path.name == str(int(path.name))))

    def highest(self, name: str) -> int:
        """The highest number that was ever given, kept or not; 0 for a model that is not there.

        Raises:
            Tampered: the ledger is not what was signed.
        """
        told = ledger.read(self._root / checked(name), self._keys)
        return max((told.highest if told else 0, *self.versions(name)))

    def load(self, name: str, version: int) -> Artefact:
        """The version, verified: its arrays are the caller's own.

        Raises:
            NotFound: there is none; what there is instead, in words.
        """
        found = codec.artefact(self._verified(name, version))
        self._same(found.card, name, version)
        return found

    def card(self, name: str, version: int) -> Card:
        """The card of a version, verified.

        Raises:
            NotFound: there is none.
        """
        found = self._verified(name, version)
        card = codec.card(found.get(codec.CARD, b""))
        self._same(card, name, version)
        return card

    def cards(self, name: str | None = None) -> tuple[Card, ...]:
        """The cards of one model or of all, by name and number. What does not verify is left out: `verify` tells of it."""
        names = self.names() if name is None else (name,)
        found = []
        for each in names:
            for version in self._listed(each):
                with suppress(Tampered, BadRecord, NotFound):
                    found.append(self.card(each, version))
        return tuple(found)

    def file(self, name: str, version: int, file: str) -> bytes:
        """One file of a version, verified with all the others.

        Raises:
            NotFound: there is none of that name; what there is instead, in words.
        """
        found = self._verified(name, version)
        if file not in found:
            raise NotFound(f"{name}@{version} holds no '{file[:80]}'; it holds {', '.join(found)}")
        return found[file]

    def verify(self) -> list[Finding]:
        """Of every version whether it loads, and of every model whether its ledger agrees with what lies there."""
        found = []
        for name in self.names():
            found.append(_finding(name, "versions", self._disagreement(name)))
            found += [_finding(f"{name}@{version}", "signature", self._fault(name, version)) for version in self._listed(name)]
        return found

    def _put(self, card: Card, content: Mapping[str, bytes]) -> None:
        from vedette.registry import signing

        directory = self._root / card.name
        aside = directory / f"tmp-{card.version}"
        shutil.rmtree(aside, ignore_errors=True)
        files.write(aside, content)
        BEFORE_SIGN()
        signing.sign(card.label, content, aside, self._keys)
        files.force(aside)
        BEFORE_RENAME()
        aside.rename(directory / str(card.version))
        files.force_one(directory)
        AFTER_RENAME()

    def _settled(self, name: str) -> Ledger:
        """The ledger of `name`, with the one version that somebody added before they died; a fresh one for a new name."""
        directory = self._root / name
        lying = self.versions(name)
        told = ledger.read(directory, self._keys)
        if told is None:
            if lying:
                raise Tampered(f"{directory / ledger.LEDGER} is missing; look at what is there, then accept it")
            directory.mkdir(exist_ok=True)
            told = Ledger(name)
            ledger.write(directory, self._keys, told)
        if lying and lying[-1] == told.highest + 1:
            told = told.adding(lying[-1:])
            ledger.write(directory, self._keys, told)
        return told

    def _sweep(self, name: str) -> int:
        try:
            told = self._settled(name)
        except (Tampered, Rejected):
            # Where somebody tampered, or where nothing is signed, nothing is touched.
            return 0
        gone = [version for version in self.versions(name) if version <= told.highest and version not in told.kept]
        directory = self._root / name
        for version in gone:
            (directory / str(version)).rename(directory / f"tmp-{version}")
        left = list(directory.glob("tmp-*"))
        for path in left:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        return len(left)

    def _verified(self, name: str, version: int) -> Mapping[str, bytes]:
        from vedette.registry import signing

        place = (checked(name), str(counted(version)))
        label = "@".join(place)
        try:
            found = files.read(self._root, *place)
        except FileNotFoundError as error:
            raise NotFound(self._lack(name, version)) from error
        except OSError as error:
            raise Transient(f"{label} cannot be read now: {error}") from error
        signing.verify(label, found, self._root.joinpath(*place), self._keys)
        strange = sorted(found.keys() - _ALL)
        if strange:
            raise Tampered(f"{label}: {strange[0]}: no such file belongs to a version")
        return found

    def _same(self, card: Card, name: str, version: int) -> None:
        if (card.name, card.version) != (name, version):
            raise Tampered(f"{name}@{version}: {codec.CARD}: it is the card of {card.label}")

    def _known(self, name: str) -> None:
        if checked(name) not in self.names():
            raise NotFound(f"there is no model '{name}'; there are: {', '.join(self.names()) or 'none yet'}")

    def _lack(self, name: str, version: int) -> str:
        if name not in self.names():
            return f"there is no model '{name}'; there are: {', '.join(self.names()) or 'none yet'}"
        return f"there is no {name}@{version}; there are: {', '.join(map(str, self.versions(name))) or 'none yet'}"

    def _listed(self, name: str) -> tuple[int, ...]:
        try:
            return self.versions(name)
        except Tampered:
            return ()

    def _fault(self, name: str, version: int) -> str:
        try:
            self.load(name, version)
        except VedetteError as error:
            return str(error)
        return ""

    def _disagreement(self, name: str) -> str:
        try:
            lying = set(self.versions(name))
            told = ledger.read(self._root / name, self._keys)
        except Tampered as error:
            return str(error)
        if told is None:
            return f"{ledger.LEDGER} is missing" if lying else ""
        lost = sorted(set(told.kept) - lying)
        # One above the highest was added by somebody who died before they could write it down.
        strange = sorted(lying - {*told.kept, told.highest + 1})
        said = [f"taken away: {', '.join(map(str, lost))}"] if lost else []
        return "; ".join([*said, *([f"not in the ledger: {', '.join(map(str, strange))}"] if strange else [])])

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with (self._root / ".lock").open("wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise Transient(f"the registry cannot be written now: {error}; check the disk at {self._root}") from error


def _may_be_name(name: str) -> bool:
    try:
        checked(name)
    except BadRecord:
        return False
    return True


def _finding(subject: str, what: str, fault: str) -> Finding:
    return Finding(
        check=f"registry {subject}: {what}",
        passed=not fault,
        measured=fault or "as it was signed",
        required="as it was signed",
        why="what was changed behind our back is never loaded",
    )
