"""M02 and M03: payloads that run where something unpickles, and mutations, all of them under a valid signature of ours."""

import ast
import gzip
import io
import json
import pickle
import random
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import vedette
from vedette.core.errors import BadRecord, Rejected, Tampered
from vedette.registry import codec

BANNED = {"pickle", "cPickle", "_pickle", "joblib", "cloudpickle", "dill", "shelve", "marshal", "skops", "torch"}


class Canary:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (Path(self.path),))


def zipped(**entries):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name.replace("__", "/"), content)
    return held.getvalue()


def payloads(canary):
    bare = pickle.dumps(Canary(canary))
    array = io.BytesIO()
    np.save(array, np.array([Canary(canary)], dtype=object), allow_pickle=True)
    code = f"import pathlib; pathlib.Path({str(canary)!r}).touch()"
    return {
        "bare": bare,
        "protocol 0": pickle.dumps(Canary(canary), protocol=0),
        "gzip": gzip.compress(bare),
        "zip": zipped(model=bare),
        "torch": zipped(archive__data__pkl=bare, archive__version=b"3"),
        "joblib": b"\x80\x04\x95" + bare,
        "npy": array.getvalue(),
        "npz": zipped(x=array.getvalue()),
        "skops": zipped(schema_json=json.dumps({"__class__": "touch", "__module__": "pathlib", "__loader__": "FunctionNode"})),
        "keras": zipped(config_json=json.dumps({"class_name": "Lambda", "config": {"function": code}})),
        "code": code.encode(),
        "yaml": f"!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [{canary}]]".encode(),
    }


KINDS = sorted(payloads(""))
LOADERS = {
    "loader_module": {"python_function": {"loader_module": "evil"}},
    "cloudpickle": {"python_function": {"loader_module": "mlflow.sklearn", "model_path": "model.pkl"}},
    "code": {"python_function": {"loader_module": "vedette.registry.pyfunc", "code": "code"}},
    "data": {"python_function": {"loader_module": "vedette.registry.pyfunc", "data": "../../evil"}},
    "another flavour": {**codec.FLAVORS, "sklearn": {"pickled_model": "model.pkl"}},
    "none": {},
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_corpus_is_alive_or_harmless_by_itself(tmp_path, kind):
    canary = tmp_path / "canary"
    if kind in {"bare", "protocol 0"}:
        pickle.loads(payloads(canary)[kind])  # noqa: S301 -- to show that it would
        assert canary.exists()
    assert payloads(canary)[kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["model.pkl", "model.skops", "model.txt", "model.onnx", "model.json", "state.npz", "conda.yaml"])
def test_a_payload_beside_the_model_is_refused(registry, kept, sign_again, tmp_path, kind, name):
    (kept / name).write_bytes(payloads(tmp_path / "canary")[kind])
    with pytest.raises(Tampered, match="here, and never signed"):
        registry.load("web", 1)
    sign_again(kept)
    with pytest.raises(Tampered, match="no such file belongs to a version"):
        registry.load("web", 1)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["state.safetensors", "card.json", "MLmodel"])
def test_a_payload_in_the_place_of_the_model_is_refused(registry, kept, sign_again, tmp_path, kind, name):
    (kept / name).write_bytes(payloads(tmp_path / "canary")[kind])
    with pytest.raises(Tampered, match="not what was signed"):
        registry.load("web", 1)
    sign_again(kept)
    with pytest.raises((Tampered, BadRecord), match=name):
        registry.load("web", 1)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_payload_in_a_paper_is_bytes(registry, make, tmp_path, kind):
    content = payloads(tmp_path / "canary")[kind]
    registry.add(make(), {"recipe.yaml": content})
    assert registry.load("web", 1)
    assert registry.file("web", 1, "recipe.yaml") == content
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("how", LOADERS)
def test_what_would_make_mlflow_load_something_else_is_refused(registry, kept, sign_again, how):
    (kept / "MLmodel").write_text(json.dumps({"flavors": LOADERS[how]}))
    with pytest.raises(Tampered, match="MLmodel: not what was signed"):
        registry.load("web", 1)
    sign_again(kept)
    with pytest.raises(Tampered, match="something else than our loader"):
        registry.load("web", 1)


def test_nothing_of_ours_imports_what_unpickles_or_lets_mlflow_load():
    found = []
    for path in Path(vedette.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=names):
                    found += [(path, each.name) for each in names if each.name.split(".")[0] in BANNED]
                case ast.ImportFrom(module=str(module), names=names):
                    found += [(path, module)] if module.split(".")[0] in BANNED else []
                    found += [(path, each.name) for each in names if module.startswith("mlflow") and each.name == "load_model"]
                case ast.Call(func=ast.Attribute(attr="load_model" | "load_context")):
                    found.append((path, ast.unparse(node)))
                case ast.keyword(arg="allow_pickle", value=ast.Constant(value=True)):
                    found.append((path, "allow_pickle"))
    assert found == []


def mutated(content, rng):
    match rng.randrange(6):
        case 0:
            changed = bytearray(content)
            for _ in range(rng.randrange(1, 9)):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            return bytes(changed)
        case 1:
            return content[: rng.randrange(len(content))]
        case 2:
            at = rng.randrange(len(content))
            return content[:at] + rng.randbytes(rng.randrange(1, 40)) + content[at:]
        case 3:
            return rng.choice([2**64 - 1, 2**63, 2**31, 100_000_000, 8, 0]).to_bytes(8, "little") + content[8:]
        case 4:
            # Digits are where the shapes, the offsets and the numbers of a card are.
            spots = [at for at, byte in enumerate(content[:1500]) if chr(byte).isdigit()]
            at = rng.choice(spots)
            return content[:at] + rng.choice([b"-1", b"9" * 20, b"1e400", b"null", b'"x"', b"[" * 3000, b"0"]) + content[at + 1 :]
        case _:
            words = [
                b"F64",
                b"I64",
                b"BOOL",
                b"float",
                b"shape",
                b"dtype",
                b"data_offsets",
                b"name",
                b"version",
                b"metrics",
                b"true",
            ]
            swapped = rng.choice([b"BF16", b"F8_E4M3", b"U1", b"F4", b"__metadata__", b"\\ud800", b"\xff\xfe", b"C64", b""])
            return content.replace(rng.choice(words), swapped, rng.randrange(1, 3))


def test_five_hundred_mutations_under_our_own_signature_load_or_are_refused(registry, kept, sign_again):
    rng = random.Random(3)
    whole = {name: (kept / name).read_bytes() for name in ("state.safetensors", "card.json")}
    loaded = 0
    for _ in range(500):
        name = rng.choice(sorted(whole))
        (kept / name).write_bytes(mutated(whole[name], rng))
        sign_again(kept)
        with suppress(Tampered, BadRecord, Rejected):
            assert all(np.isfinite(array.shape).all() for array in registry.load("web", 1).arrays.values())
            loaded += 1
        (kept / name).write_bytes(whole[name])
    assert loaded < 250
    sign_again(kept)
    assert registry.load("web", 1)


def test_mutated_arrays_whose_card_was_made_to_fit(registry, kept):
    """The parser alone, a thousand times: without the digest on the card to stop what it makes of them."""
    rng = random.Random(4)
    content = (kept / "state.safetensors").read_bytes()
    for _ in range(1000):
        with suppress(BadRecord):
            assert all(isinstance(array, np.ndarray) for array in codec.arrays(mutated(content, rng)).values())
