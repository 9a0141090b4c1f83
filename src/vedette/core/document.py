"""YAML whose faults are told by file, line and key path, all of them at once."""

from collections.abc import Mapping
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from vedette.core.errors import ConfigError

M = TypeVar("M", bound=BaseModel)
Key = tuple[str | int, ...]
#: The kind of fault that a field which holds a secret raises (`PydanticCustomError`): what was given is not repeated.
IN_THE_OPEN = "secret_in_the_open"
#: A key that is not known may be a secret's, with a slip in it.
UNTOLD = frozenset((IN_THE_OPEN, "extra_forbidden"))
SECRETIVE = ("token", "secret", "password", "bearer", "key", "credential")


def read(text: str, model: type[M], *, name: str = "vedette.yaml", overlay: Mapping[str, Mapping[str, object]] | None = None) -> M:
    r"""`text` as a `model`; the sections of `overlay` go over those of the text, as options go over a file.

    Raises:
        ConfigError: with one line for each fault: an unknown key, a wrong type, a missing name, a key given twice.

    >>> from vedette.core.settings import Settings
    >>> class Listen(Settings):
    ...     port: int
    >>> read("port: 4680", Listen).port
    4680
    >>> try:
    ...     read("port: x\nhots: 1", Listen)
    ... except ConfigError as error:
    ...     print(error)
    vedette.yaml:1: port: Input should be a valid integer, unable to parse string as an integer (got 'x')
    vedette.yaml:2: hots: there is no such key
    """
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError([f"{name}:{line}: {error.problem}"]) from error
    except yaml.YAMLError as error:
        raise ConfigError([f"{name}: {error}"]) from error
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ConfigError([f"{name}:1: expected keys and values, got {type(content).__name__}"])
    for section, values in (overlay or {}).items():
        content[section] = {**(content.get(section) or {}), **values}
    lines = _lines(root)
    faults = [f"{name}:{line}: {_dotted(key)}: the key is given twice" for key, line in _twice(root)]
    try:
        value = model.model_validate(content)
    except ValidationError as error:
        faults += [_fault(name, lines, each) for each in error.errors(include_url=False)]
    if faults:
        raise ConfigError(faults)
    return value


def _fault(name: str, lines: Mapping[Key, int], error: Any) -> str:  # noqa: ANN401 -- pydantic's ErrorDetails
    location: Key = tuple(error["loc"])
    line = next((lines[location[:end]] for end in range(len(location), -1, -1) if location[:end] in lines), 1)
    given = error.get("input")
    secretive = error["type"] in UNTOLD or any(word in str(part).lower() for part in location for word in SECRETIVE)
    telling = not secretive and isinstance(given, str | int | float | bool) and "@" not in str(given)
    shown = f" (got {given!r})" if telling else ""
    return f"{name}:{line}: {_dotted(location)}: {_reason(error)}{shown}"


def _reason(error: Any) -> str:  # noqa: ANN401 -- pydantic's ErrorDetails
    match error["type"]:
        case "extra_forbidden":
            return "there is no such key"
        case "union_tag_invalid":
            return f"'{error['ctx']['tag']}' is none of {error['ctx']['expected_tags']}"
        case "union_tag_not_found":
            return "a key `kind` is needed, which says what it is"
        case "missing":
            return "it is needed, and missing"
        case _:
            return str(error["msg"]).removeprefix("Value error, ")


def _dotted(key: Key) -> str:
    return ".".join(str(part) for part in key) or "the document"


def _lines(node: yaml.Node | None, path: Key = ()) -> dict[Key, int]:
    if node is None:
        return {}
    found = {path: node.start_mark.line + 1}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            found |= _lines(value, (*path, key.value))
            found[(*path, key.value)] = key.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            found |= _lines(value, (*path, index))
    return found


def _twice(node: yaml.Node | None, path: Key = ()) -> list[tuple[Key, int]]:
    found: list[tuple[Key, int]] = []
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                found.append(((*path, key.value), key.start_mark.line + 1))
            seen.add(key.value)
            found += _twice(value, (*path, key.value))
    if isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            found += _twice(value, (*path, index))
    return found
