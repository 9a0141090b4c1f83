"""What a model, an alias and a version may be called: names that are one harmless step of a path."""

import re
from typing import Final

from vedette.core.errors import BadRecord

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")


def checked(name: str, field: str = "name") -> str:
    """`name`, where it may be one.

    Raises:
        BadRecord: it may not; among others whatever would lead to another directory.

    >>> checked("web-latency")
    'web-latency'
    >>> checked("../keys")
    Traceback (most recent call last):
    ...
    vedette.core.errors.BadRecord: field 'name': expected a lower-case letter, then up to 62 of a-z, 0-9, _ and -; got '../keys'
    """
    if not _NAME.fullmatch(name):
        raise BadRecord(f"expected a lower-case letter, then up to 62 of a-z, 0-9, _ and -; got {name[:80]!r}", field=field)
    return name


def counted(version: int) -> int:
    """`version`, where it counts from 1.

    Raises:
        BadRecord: it does not.
    """
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise BadRecord(f"versions count from 1, got {version!r}", field="version")
    return version
