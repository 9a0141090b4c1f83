"""One digest for arrays and plain values, the same on every machine and in every run."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np
import polars as pl


def of_values(value: Any) -> str:  # noqa: ANN401 -- any plain value
    """The digest of plain values; the order of keys does not matter.

    >>> of_values({"a": 1, "b": 2}) == of_values({"b": 2, "a": 1})
    True
    """
    return blake2b(msgspec.json.encode(value, order="deterministic"), digest_size=16).hexdigest()


def of_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """The digest of named arrays: names, types, shapes and bytes.

    >>> of_arrays({"x": np.arange(3)}) == of_arrays({"x": np.arange(3.0)})
    False
    """
    digest = blake2b(digest_size=16)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def of_frame(frame: pl.DataFrame) -> str:
    """The digest of a frame: its columns by name and type, and its rows in their order.

    >>> of_frame(pl.DataFrame({"x": [1, 2]})) == of_frame(pl.DataFrame({"x": [2, 1]}))
    False
    """
    digest = blake2b(digest_size=16)
    for name, column in zip(frame.columns, frame.get_columns(), strict=True):
        digest.update(f"{name}|{column.dtype}|{len(column)}|".encode())
        physical = column.to_physical()
        if physical.dtype.is_numeric():
            digest.update(physical.is_null().to_numpy().tobytes())
            filled = physical.fill_null(0).to_numpy()
            digest.update(np.ascontiguousarray(filled).view(np.uint8).data)
        else:
            digest.update(msgspec.json.encode(physical.to_list()))
    return digest.hexdigest()
