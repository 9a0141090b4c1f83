"""Cards and arrays as bytes and back. What is parsed here was verified before; even so, nothing in it can run."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from vedette.core import digest
from vedette.core.errors import BadRecord, Tampered
from vedette.core.types import Artefact, Card, State

CARD: Final = "card.json"
STATE: Final = "state.safetensors"
MLMODEL: Final = "MLmodel"
#: The only way that a version may be loaded by MLflow: our own loader, no code beside it, no other data.
FLAVORS: Final = {"python_function": {"loader_module": "vedette.registry.pyfunc"}}
_TYPES: Final = frozenset("?bhilqBHILQefdF")


class _MLmodel(msgspec.Struct, frozen=True):
    flavors: dict[str, dict[str, Any]]


def normal(card: Card) -> Card:
    """`card` as it will be when it is read again: tuples inside its parameters become lists, numbers of NumPy plain ones.

    Raises:
        BadRecord: it would not come back as what it is.
    """
    metrics = {name: float(value) for name, value in card.metrics.items()}
    try:
        told = _listed(msgspec.to_builtins(replace(card, metrics=metrics)))
        same = msgspec.convert(told, Card)
        if msgspec.json.decode(of_card(same)) != told:
            raise BadRecord("a value on it would not come back as what it is, such as one that is not finite", field="card")
    except (TypeError, msgspec.MsgspecError, RecursionError) as error:
        raise BadRecord(f"it is not made of plain values: {error}", field="card") from error
    return same


def of_card(card: Card) -> bytes:
    """The bytes of `card.json`; the same card gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(card, order="deterministic"), indent=2) + b"\n"


def card(content: bytes) -> Card:
    """The card in `card.json`.

    Raises:
        BadRecord: there is none in it.
    """
    try:
        return msgspec.json.decode(content, type=Card)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord(f"{CARD} is not the card of a model: {error}", field=CARD) from error


def plain(arrays: State) -> dict[str, np.ndarray]:
    """Arrays as they are kept: dense, little-endian, of types that every reader knows.

    Raises:
        BadRecord: one is of another type, or has a name that the format keeps for itself.
    """
    for name, array in arrays.items():
        if name == "__metadata__" or array.dtype.char not in _TYPES:
            raise BadRecord(f"an array of type {array.dtype} cannot be kept under '{name}'", field=name)
    return {
        name: np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(np.shape(array))
        for name, array in arrays.items()
    }


def of_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of `state.safetensors`."""
    return save(dict(arrays))


def arrays(content: bytes) -> dict[str, np.ndarray]:
    """The arrays in `state.safetensors`.

    Raises:
        BadRecord: there are none in it.
    """
    try:
        return load(content)
    except (SafetensorError, ValueError, TypeError, LookupError, OverflowError, MemoryError, RecursionError) as error:
        raise BadRecord(f"{STATE} does not hold arrays: {error}", field=STATE) from error


def of_mlmodel(card: Card) -> bytes:
    """The bytes of `MLmodel`: YAML, as every JSON is."""
    return msgspec.json.format(msgspec.json.encode({"flavors": FLAVORS, "metadata": {"vedette": card.label}}), indent=2) + b"\n"


def artefact(files: Mapping[str, bytes]) -> Artefact:
    """The version that `files` are.

    Raises:
        BadRecord: a file is missing, or is not what it should be.
        Tampered: the arrays are not those of the card, or MLflow would load something else.
    """
    missing = {CARD, STATE, MLMODEL} - files.keys()
    if missing:
        raise BadRecord(f"a version without {', '.join(sorted(missing))} is none", field=min(missing))
    told = card(files[CARD])
    try:
        flavors = msgspec.json.decode(files[MLMODEL], type=_MLmodel).flavors
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord(f"{MLMODEL} is not ours: {error}", field=MLMODEL) from error
    if flavors != FLAVORS:
        raise Tampered(f"{told.label}: {MLMODEL}: it would make MLflow load something else than our loader")
    found = arrays(files[STATE])
    if digest.of_arrays(found) != told.digest:
        raise Tampered(f"{told.label}: {STATE}: the digest of the arrays is not the one on the card")
    return Artefact(told, found)


def _listed(value: Any) -> Any:  # noqa: ANN401 -- any plain value
    if isinstance(value, dict):
        return {key: _listed(each) for key, each in value.items()}
    return [_listed(each) for each in value] if isinstance(value, list | tuple) else value
