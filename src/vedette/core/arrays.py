"""State in parts: arrays under `PART/NAME`, in a checkpoint as in an artefact."""

from collections.abc import Mapping

import numpy as np

from vedette.core.types import State


def part(arrays: State, name: str) -> dict[str, np.ndarray]:
    """The arrays of one part, without its name; a part may be a path.

    >>> list(part({"model/ids": np.zeros(1), "golden/ids": np.zeros(1)}, "model"))
    ['ids']
    """
    return {key.removeprefix(f"{name}/"): array for key, array in arrays.items() if key.startswith(f"{name}/")}


def whole(name: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of one part, under its name."""
    return {f"{name}/{key}": np.ascontiguousarray(array) for key, array in arrays.items()}
