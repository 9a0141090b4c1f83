"""M01: whatever is done to a version behind our back, it is refused, in words, before any parser sees a byte of it."""

import os
import random
import shutil

import pytest

from vedette.core.errors import Tampered, VedetteError
from vedette.registry import Keys, codec

FILES = ["MLmodel", "card.json", "model.sig", "recipe.yaml", "report.html", "report.json", "report.md", "state.safetensors"]


@pytest.fixture
def parsed(monkeypatch):
    """What a parser was called with."""
    calls = []

    def counting(real):
        def parser(content):
            calls.append(content)
            return real(content)

        return parser

    for name in ("card", "arrays", "artefact"):
        monkeypatch.setattr(codec, name, counting(getattr(codec, name)))
    return calls


def refused(registry, parsed, words, name="web", version=1):
    for ask in (registry.load, registry.card, lambda *which: registry.file(*which, "report.md")):
        with pytest.raises(Tampered, match=words):
            ask(name, version)
    assert parsed == []


def test_the_stub_does_see_what_is_whole(registry, kept, parsed):
    registry.load("web", 1)
    assert len(parsed) == 3


@pytest.mark.parametrize("file", FILES)
def test_a_flipped_bit(registry, kept, parsed, file):
    content = (kept / file).read_bytes()
    for bit in random.Random(file).sample(range(len(content) * 8), min(40, len(content) * 8)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        (kept / file).write_bytes(flipped)
        refused(registry, parsed, file)
    (kept / file).write_bytes(content)
    assert registry.load("web", 1)


def test_a_flipped_bit_that_base64_does_not_use(registry, kept, parsed, sign_again):
    content = b""
    while b'="' not in content:  # signatures differ in length
        sign_again(kept)
        content = (kept / "model.sig").read_bytes()
    for end in (at for at in range(len(content)) if content[at : at + 2] == b'="'):
        at = end - 1 if content[end - 1 : end] != b"=" else end - 2
        (kept / "model.sig").write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        refused(registry, parsed, "model.sig")


@pytest.mark.parametrize("file", FILES)
def test_a_file_cut_short_emptied_or_gone(registry, kept, parsed, file):
    content = (kept / file).read_bytes()
    for left in (content[:-1], content[: len(content) // 2], b""):
        (kept / file).write_bytes(left)
        refused(registry, parsed, file)
    (kept / file).unlink()
    refused(registry, parsed, f"{file}.* missing" if file == "model.sig" else f"{file}: signed, and missing")


@pytest.mark.parametrize("file", ["extra.json", ".gitignore", ".gitattributes", "model.sig.bak", "registered_model_meta"])
def test_a_file_added(registry, kept, parsed, file):
    (kept / file).write_bytes(b"{}")
    refused(registry, parsed, f"{file}: here, and never signed")


@pytest.mark.parametrize("folder", [".git", "sub", ".github"])
def test_a_directory_added(registry, kept, parsed, folder):
    (kept / folder).mkdir()
    refused(registry, parsed, f"{folder} is not a plain file")


def test_a_file_renamed(registry, kept, parsed):
    (kept / "report.md").rename(kept / "report.txt")
    refused(registry, parsed, r"report\.(md|txt)")


@pytest.mark.parametrize("file", FILES)
def test_a_link_to_the_very_same_content(registry, kept, parsed, tmp_path, file):
    shutil.move(kept / file, tmp_path / "same")
    (kept / file).symlink_to(tmp_path / "same")
    refused(registry, parsed, file)


def test_a_pipe_does_not_hold_us_up(registry, kept, parsed):
    (kept / "report.md").unlink()
    os.mkfifo(kept / "report.md")
    refused(registry, parsed, r"report\.md is not a plain file")


@pytest.mark.parametrize("step", ["1", "web"])
def test_a_directory_that_is_a_link(registry, kept, parsed, tmp_path, step):
    place = kept if step == "1" else kept.parent
    shutil.move(place, tmp_path / "same")
    place.symlink_to(tmp_path / "same")
    (tmp_path / "same" / "tmp-9").mkdir()
    refused(registry, parsed, f"{step} is not a directory of its own")
    assert not all(each.passed for each in registry.verify())
    assert registry.cards() == ()
    assert (registry.sweep(), (tmp_path / "same" / "tmp-9").exists()) == (0, True)


def test_what_would_fill_the_memory(registry, kept, parsed):
    with (kept / "state.safetensors").open("r+b") as file:
        file.truncate(1 << 40)
    refused(registry, parsed, r"state\.safetensors: the version is larger than")


def test_signed_by_somebody_else(registry, kept, parsed, sign_again, tmp_path):
    sign_again(kept, keys=Keys.at(tmp_path / "others"))
    refused(registry, parsed, "which is not trusted")


def test_a_signature_that_names_our_key_and_is_not_by_it(registry, kept, parsed, sign_again, tmp_path):
    ours = Keys(tmp_path / "keys")
    hint = (kept / "model.sig").read_bytes().split(b'"hint":"')[1][:64]
    sign_again(kept, keys=Keys.at(tmp_path / "others"))
    theirs = (kept / "model.sig").read_bytes()
    (kept / "model.sig").write_bytes(theirs.replace(theirs.split(b'"hint":"')[1][:64], hint))
    assert hint.decode().startswith(ours.signing)
    refused(registry, parsed, "model.sig")


@pytest.mark.parametrize(
    "signature", [b"", b"{}", b"null", b"[" * 100_000, b"\xff", b'{"verificationMaterial":{"publicKey":{"hint":"../../x"}}}']
)
def test_what_is_no_signature(registry, kept, parsed, signature):
    (kept / "model.sig").write_bytes(signature)
    refused(registry, parsed, "model.sig")


def test_an_older_version_in_the_place_of_a_newer(registry, make, papers, parsed, tmp_path):
    for seed in (1, 2, 3):
        registry.add(make(seed), papers)
    place = tmp_path / "models" / "web"
    shutil.rmtree(place / "3")
    shutil.copytree(place / "1", place / "3")
    refused(registry, parsed, "web@3: the directory holds what was signed as web@1", version=3)


def test_a_version_under_another_name(registry, make, papers, parsed, tmp_path):
    registry.add(make(), papers)
    registry.add(make(name="logs"), papers)
    place = tmp_path / "models"
    shutil.rmtree(place / "logs" / "1")
    shutil.copytree(place / "web" / "1", place / "logs" / "1")
    refused(registry, parsed, "logs@1: the directory holds what was signed as web@1", name="logs")


def test_a_card_of_another_version_under_our_own_signature(registry, kept, sign_again):
    (kept / "card.json").write_bytes((kept / "card.json").read_bytes().replace(b'"version": 1', b'"version": 2'))
    sign_again(kept)
    with pytest.raises(Tampered, match=r"web@1: card.json: it is the card of web@2"):
        registry.load("web", 1)


def test_the_others_are_listed_and_served_and_verify_tells_of_the_one(registry, make, papers, kept):
    registry.add(make(2), papers)
    (kept / "report.md").write_text("better")
    assert [card.label for card in registry.cards()] == ["web@2"]
    assert registry.load("web", 2)
    failed = [each for each in registry.verify() if not each.passed]
    assert [(each.check, each.measured) for each in failed] == [
        ("registry web@1: signature", "web@1: report.md: not what was signed")
    ]


def test_a_key_that_is_no_longer_trusted_takes_what_it_signed_with_it(registry, kept, make, papers, parsed, tmp_path):
    keys = Keys(tmp_path / "keys")
    old = keys.signing
    keys.rotate()
    assert registry.load("web", 1)
    registry.add(make(2), papers)
    keys.distrust(old)
    parsed.clear()
    refused(registry, parsed, f"by the key '{old}', which is not trusted")
    assert registry.load("web", 2)


def test_what_a_change_between_verifying_and_parsing_would_do(registry, kept, monkeypatch):
    """What was verified is what is parsed: both are the same bytes in memory, so a change of the disk in between does nothing."""
    real = codec.artefact

    def meanwhile(files):
        (kept / "card.json").write_text("{}")
        return real(files)

    monkeypatch.setattr(codec, "artefact", meanwhile)
    assert registry.load("web", 1).card.label == "web@1"
    with pytest.raises(VedetteError):
        registry.load("web", 1)
