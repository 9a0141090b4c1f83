import stat
import threading

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from vedette.core.errors import BadRecord, NotFound, Rejected
from vedette.registry import Keys, Registry


def public(path, key):
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def test_the_first_start_makes_a_key_for_its_owner_alone_and_the_next_finds_it(tmp_path):
    keys = Keys.at(tmp_path / "keys")
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert stat.S_IMODE(keys.private.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]
    assert Keys.at(tmp_path / "keys").signing == keys.signing
    assert [(key.id, key.signs) for key in keys.list()] == [(keys.signing, True)]


def test_several_first_starts_at_once_agree_on_one_key(tmp_path):
    found = []
    threads = [threading.Thread(target=lambda: found.append(Keys.at(tmp_path / "keys").signing)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]


def test_rotation_keeps_the_old_key_trusted_until_it_is_not(tmp_path):
    keys = Keys.at(tmp_path / "keys")
    old = keys.signing
    new = keys.rotate()
    assert {key.id: key.signs for key in keys.list()} == {old: False, new: True}
    with pytest.raises(Rejected, match="rotate first"):
        keys.distrust(new)
    keys.distrust(old)
    assert [key.id for key in keys.list()] == [new]
    with pytest.raises(NotFound, match=f"trusted are {new}"):
        keys.distrust(old)


def test_another_homes_versions_load_where_its_key_is_trusted(tmp_path, registry, make, papers, kept):
    theirs = Registry(tmp_path, Keys.at(tmp_path / "host" / "keys"))
    own = Keys(tmp_path / "host" / "keys")
    name = own.trust(Keys(tmp_path / "keys").list()[0].path)
    assert name == Keys(tmp_path / "keys").signing
    assert theirs.load("web", 1)


@pytest.mark.parametrize(
    "make_key",
    [
        lambda: rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate,
        lambda: ec.generate_private_key(ec.SECP256K1()),
    ],
)
def test_keys_of_other_kinds_are_not_trusted(tmp_path, make_key):
    keys = Keys.at(tmp_path / "keys")
    with pytest.raises(BadRecord, match="P-256, P-384 or P-521"):
        keys.trust(public(tmp_path / "other.pem", make_key()))


@pytest.mark.parametrize("content", [b"", b"x", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_what_is_no_key_is_not_trusted(tmp_path, content):
    (tmp_path / "other.pem").write_bytes(content)
    with pytest.raises(BadRecord, match="not a public key"):
        Keys.at(tmp_path / "keys").trust(tmp_path / "other.pem")


def test_a_host_without_the_private_key_verifies_and_does_not_sign(tmp_path, registry, kept, make):
    (tmp_path / "keys" / "private.pem").unlink()
    assert Keys.at(tmp_path / "keys").list()[0].signs is False
    assert registry.load("web", 1)
    with pytest.raises(Rejected, match="no key to sign with"):
        registry.add(make(), {})
    assert registry.versions("web") == (1,)
