"""The signature of a version: an OpenSSF Model Signing bundle over every file in its directory and nothing else.

Any tool that knows the format verifies it (`model_signing verify key`). This module costs 47 MiB of memory to import, so
only what signs or verifies does.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
from model_signing import hashing, manifest, signing, verifying
from model_signing._hashing.hashing import Digest

from vedette.core.errors import Tampered
from vedette.registry.keys import Keys

SIGNATURE: Final = "model.sig"
_SERIALIZATION: Final = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": [SIGNATURE]}
_ID: Final = 16


class _PublicKey(msgspec.Struct, frozen=True):
    hint: str


class _Material(msgspec.Struct, frozen=True, rename="camel"):
    public_key: _PublicKey


class _Sig(msgspec.Struct, frozen=True):
    sig: str


class _Envelope(msgspec.Struct, frozen=True):
    payload: str
    signatures: tuple[_Sig]


class _Bundle(msgspec.Struct, frozen=True, rename="camel"):
    verification_material: _Material
    dsse_envelope: _Envelope


class _Manifest(manifest.Manifest):
    """What was read. Compared with what was signed it says what differs, and the name counts: it is the version's label."""

    def __eq__(self, signed: object) -> bool:
        if not isinstance(signed, manifest.Manifest):
            return NotImplemented
        for what, names in _differences(_digests(self), _digests(signed)).items():
            if names:
                raise Tampered(f"{self.model_name or 'the version'}: {', '.join(sorted(names))}: {what}")
        if self.model_name not in {"", signed.model_name}:
            raise Tampered(f"{self.model_name}: the directory holds what was signed as {signed.model_name}")
        return True

    __hash__ = None  # type: ignore[assignment]


class _Held(hashing.Config):
    """Hashes files that are held in memory, so that what is verified is what is parsed, whatever the disk holds by then."""

    def __init__(self, label: str, files: Mapping[str, bytes]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._label = label
        self._files = files

    def hash(self, model_path: object, *, files_to_hash: object = None) -> _Manifest:
        """The manifest of what is held; the path is not looked at."""
        del model_path, files_to_hash
        kind = manifest.SerializationType.from_args(_SERIALIZATION)
        items = [kind.new_item(name, Digest("sha256", sha256(content).digest())) for name, content in self._files.items()]
        return _Manifest(self._label, items, kind)


def sign(label: str, files: Mapping[str, bytes], directory: Path, keys: Keys) -> None:
    """Write `directory/model.sig` over `files`, as the version `label`.

    Raises:
        Rejected: there is no key to sign with.
    """
    config = signing.Config()  # type: ignore[no-untyped-call]
    config.use_elliptic_key_signer(private_key=keys.private).set_hashing_config(_Held(label, files)).sign(
        directory, directory / SIGNATURE
    )


def verify(label: str, files: Mapping[str, bytes], directory: Path, keys: Keys) -> None:
    """Return only where a trusted key signed exactly `files` as `label`; an empty label stands for any.

    Args:
        label: `NAME@VERSION`.
        files: all that lay in `directory`, its signature included.
        directory: whence they came.
        keys: which are trusted.

    Raises:
        Tampered: it is not so; which file, or which key, in words.
    """
    shown = label or str(directory)
    rest = {name: content for name, content in files.items() if name != SIGNATURE}
    if SIGNATURE not in files:
        raise Tampered(f"{shown}: {SIGNATURE} is missing")
    key = _key(shown, files[SIGNATURE], keys)
    config = verifying.Config()  # type: ignore[no-untyped-call]
    config.set_hashing_config(_Held(label, rest))
    try:
        config.use_elliptic_key_verifier(public_key=key).verify(directory, directory / SIGNATURE)
    except Tampered:
        raise
    except Exception as error:
        # Whatever a mutilated bundle makes the library raise, the answer is the same.
        raise Tampered(f"{shown}: {SIGNATURE}: {str(error).splitlines()[0] if str(error) else type(error).__name__}") from error


def _key(shown: str, signature: bytes, keys: Keys) -> Path:
    """The trusted key that the bundle names. Bits that Base64 leaves unused count too, so that no flipped one passes."""
    try:
        bundle = msgspec.json.decode(signature, type=_Bundle)
        texts = (bundle.dsse_envelope.payload, bundle.dsse_envelope.signatures[0].sig)
        if any(b64encode(b64decode(text, validate=True)).decode() != text for text in texts):
            raise Tampered(f"{shown}: {SIGNATURE} is not as it was written")
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Tampered(f"{shown}: {SIGNATURE} is not a signature: {error}") from error
    hint = bundle.verification_material.public_key.hint[:_ID]
    path = keys.trusted.get(hint)
    if path is None:
        raise Tampered(f"{shown}: {SIGNATURE} is by the key {hint!r}, which is not trusted")
    return path


def _digests(found: Any) -> dict[str, bytes]:  # noqa: ANN401 -- the library has no types
    return {each.identifier: each.digest.digest_value for each in found.resource_descriptors()}


def _differences(held: Mapping[str, bytes], signed: Mapping[str, bytes]) -> dict[str, set[str]]:
    return {
        "not what was signed": {name for name in held.keys() & signed.keys() if held[name] != signed[name]},
        "signed, and missing": set(signed.keys() - held.keys()),
        "here, and never signed": set(held.keys() - signed.keys()),
    }
