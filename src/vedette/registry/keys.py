"""The key that signs, and those that are trusted."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import Final, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from vedette.core.errors import BadRecord, NotFound, Rejected

PRIVATE: Final = "private.pem"
TRUSTED: Final = "trusted"
_CURVES: Final = frozenset(("secp256r1", "secp384r1", "secp521r1"))
_ID: Final = 16


@dataclass(frozen=True, slots=True)
class Key:
    """A public key that is trusted.

    Attributes:
        id: the first 16 hexadecimal digits of the SHA-256 of its PEM; a signature names the whole of that as its hint.
        path: where its PEM is.
        signs: whether what is added from now on is signed by it.
    """

    id: str
    path: Path
    signs: bool


class Keys:
    """A folder with `private.pem`, which signs, and `trusted/ID.pem`, which verify. Opens nothing before it is used.

    A folder that holds trusted keys and no private one verifies and does not sign: a host that only serves needs no more.

    >>> import tempfile
    >>> keys = Keys.at(Path(tempfile.mkdtemp()) / "keys")
    >>> old = keys.signing
    >>> new = keys.rotate()
    >>> [key.id for key in keys.list() if key.signs] == [new], sorted(keys.trusted) == sorted([old, new])
    (True, True)
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def at(cls, folder: Path) -> Self:
        """The keys in `folder`, with a fresh ECDSA P-256 key where there are none yet: mode 0600 in a folder of mode 0700."""
        if not (folder / TRUSTED).exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            aside = Path(mkdtemp(prefix=f"{folder.name}.tmp-", dir=folder.parent))
            (aside / TRUSTED).mkdir()
            cls(aside).rotate()
            try:
                aside.rename(folder)
            except OSError:
                # Somebody else was first, and theirs is the one that counts.
                shutil.rmtree(aside)
                if not (folder / TRUSTED).exists():
                    raise
        return cls(folder)

    @property
    def private(self) -> Path:
        """The path of the private key.

        Raises:
            Rejected: there is none here.
        """
        path = self._folder / PRIVATE
        if not path.exists():
            raise Rejected(f"there is no key to sign with at {path}; versions are added where it is")
        return path

    @property
    def signing(self) -> str:
        """The id of the key that signs."""
        return _id(_pem(self._private().public_key()))

    @property
    def trusted(self) -> Mapping[str, Path]:
        """The public keys by id."""
        return {path.stem: path for path in sorted((self._folder / TRUSTED).glob("*.pem"))}

    def list(self) -> tuple[Key, ...]:
        """Every trusted key, by id."""
        signing = self.signing if (self._folder / PRIVATE).exists() else ""
        return tuple(Key(name, path, name == signing) for name, path in self.trusted.items())

    def rotate(self) -> str:
        """A fresh key signs from now on; the one before it stays trusted. Its id."""
        fresh = ec.generate_private_key(ec.SECP256R1())
        # Trusted first: killed in between, a key is trusted that nobody has, and the old one goes on signing.
        name = self._keep(_pem(fresh.public_key()))
        _write(self._folder / PRIVATE, fresh.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return name

    def trust(self, path: Path) -> str:
        """Trust the public key in the PEM file at `path`, such as another home's; its id.

        Raises:
            BadRecord: it is no public key on one of the curves P-256, P-384 and P-521.
        """
        return self._keep(_pem(_public(path)))

    def distrust(self, name: str) -> None:
        """Trust a key no longer: what it signed is not loaded again.

        Raises:
            NotFound: it was not trusted.
            Rejected: it is the key that signs.
        """
        known = self.trusted
        if name not in known:
            raise NotFound(f"no key '{name}' is trusted; trusted are {', '.join(known) or 'none'}")
        if any(key.signs for key in self.list() if key.id == name):
            raise Rejected(f"'{name}' is the key that signs; rotate first")
        known[name].unlink()

    def sign(self, content: bytes) -> tuple[str, bytes]:
        """The id of the key that signs, and its signature of `content`: for the registry's own notes."""
        private = self._private()
        return _id(_pem(private.public_key())), private.sign(content, ec.ECDSA(SHA256()))

    def signed(self, name: str, content: bytes, signature: bytes) -> bool:
        """Whether the trusted key `name` made `signature` of `content`."""
        path = self.trusted.get(name)
        if path is None:
            return False
        try:
            _public(path).verify(signature, content, ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True

    def _private(self) -> ec.EllipticCurvePrivateKey:
        key = load_pem_private_key(self.private.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise BadRecord(f"{self._folder / PRIVATE} is not an elliptic key", field="key")
        return key

    def _keep(self, pem: bytes) -> str:
        _write(self._folder / TRUSTED / f"{_id(pem)}.pem", pem)
        return _id(pem)


def _public(path: Path) -> ec.EllipticCurvePublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise BadRecord(f"{path} is not a public key in PEM: {error}", field="key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _CURVES:
        raise BadRecord(f"{path} is not an elliptic key on P-256, P-384 or P-521", field="key")
    return key


def _pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _id(pem: bytes) -> str:
    return sha256(pem).hexdigest()[:_ID]


def _write(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one step, for its owner's eyes only."""
    aside = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    aside.unlink(missing_ok=True)
    with open(aside, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
