"""Which versions a model has and how far it ever counted, signed: so that a version taken away is missed.

`HOME/models/NAME/versions.json`. It changes under the registry's lock only, by a rename. Whoever can write the disk can put an
older ledger back together with the versions of then; what an alias in SQL points to is missed even so.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from vedette.core.errors import Tampered
from vedette.registry.files import force_one
from vedette.registry.keys import Keys

LEDGER: Final = "versions.json"


class Ledger(msgspec.Struct, frozen=True):
    """What was signed: the name of the model, the highest number ever given, and the numbers that are kept."""

    name: str
    highest: int = 0
    kept: tuple[int, ...] = ()

    def adding(self, versions: Iterable[int]) -> "Ledger":
        """With `versions` besides."""
        kept = tuple(sorted({*self.kept, *versions}))
        return Ledger(self.name, max((self.highest, *kept)), kept)

    def without(self, versions: Iterable[int]) -> "Ledger":
        """With `versions` let go; their numbers stay given."""
        return Ledger(self.name, self.highest, tuple(sorted(set(self.kept) - set(versions))))


class _Signed(msgspec.Struct, frozen=True):
    ledger: Ledger
    key: str
    signature: bytes


def read(directory: Path, keys: Keys) -> Ledger | None:
    """The ledger of the model in `directory`; None where there is no such file.

    Raises:
        Tampered: it is not what a trusted key signed for this model.
    """
    path = directory / LEDGER
    try:
        signed = msgspec.json.decode(path.read_bytes(), type=_Signed)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Tampered(f"{path} is not a ledger: {error}") from error
    if signed.ledger.name != directory.name or not keys.signed(signed.key, msgspec.json.encode(signed.ledger), signed.signature):
        raise Tampered(f"{path} is not what a trusted key signed for '{directory.name}'")
    return signed.ledger


def write(directory: Path, keys: Keys, ledger: Ledger) -> None:
    """Put `ledger` in place, signed; durable when it returns."""
    key, signature = keys.sign(msgspec.json.encode(ledger))
    aside = directory / f"tmp-{LEDGER}"
    aside.write_bytes(msgspec.json.encode(_Signed(ledger, key, signature)) + b"\n")
    force_one(aside)
    aside.replace(directory / LEDGER)
    force_one(directory)
