"""Secrets are declared by reference and read once; a dump shows the reference, never what it refers to."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from vedette.core.errors import ConfigError


def secret(reference: str, *, environ: Mapping[str, str] = os.environ, read_text: Callable[[Path], str] = Path.read_text) -> str:
    """What `env:NAME` or `file:PATH` refers to; the only way to declare a secret.

    Raises:
        ConfigError: for anything else, and where the variable or file is missing. The message never holds the secret.

    >>> secret("env:TOKEN", environ={"TOKEN": "t"})
    't'
    """
    if reference.startswith("env:"):
        name = reference.removeprefix("env:")
        if name in environ:
            return environ[name]
        raise ConfigError([f"{reference}: the environment has no variable {name}; set it before the start"])
    if reference.startswith("file:"):
        try:
            return read_text(Path(reference.removeprefix("file:"))).strip()
        except OSError as error:
            raise ConfigError([f"{reference}: cannot be read ({error.strerror}); check the path and its mode"]) from error
    raise ConfigError(["a secret is declared by reference, env:NAME or file:PATH, never in the open"])
