"""What a recipe goes by, in words: every constant of the modules of its stages, so that none can be changed and forgotten."""

import re
from collections.abc import Iterable, Mapping
from types import ModuleType

import numpy as np


def rules(modules: Iterable[ModuleType]) -> str:
    """A line a constant, in a fixed order: names in capitals, whose values are texts, numbers, patterns, or built of these.

    >>> stage = ModuleType("stage")
    >>> stage.LIMIT, stage.WORDS, stage.frame = 5, frozenset({"to", "by"}), [1]
    >>> print(rules([stage]))
    stage.LIMIT=5
    stage.WORDS=('by','to')
    """
    lines = []
    for module in modules:
        for name, value in sorted(vars(module).items()):
            words = _words(value) if name.isupper() else None
            if words is not None:
                lines.append(f"{module.__name__}.{name}={words}")
    return "\n".join(lines)


def _words(value: object) -> str | None:
    """`value` in words that no version of a library changes; None where it is something else."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        value = tuple(value.items())
    if isinstance(value, tuple | frozenset):
        parts = list(map(_words, value))
        words = [each for each in parts if each is not None]
        return f"({','.join(sorted(words) if isinstance(value, frozenset) else words)})" if len(words) == len(parts) else None
    if isinstance(value, re.Pattern | type):
        return repr(value.pattern) if isinstance(value, re.Pattern) else value.__name__
    if isinstance(value, int):
        return repr(int(value))
    return repr(value) if isinstance(value, str | float | None) else None
