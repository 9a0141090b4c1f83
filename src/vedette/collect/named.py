"""A value that is a secret only by the name it stands under: `{"password": "hunter2"}` as an attribute or a label."""

from collections.abc import Callable
from typing import Final

_PROBE: Final = "=s3=cr3t"


def instead(key: str, redact: Callable[[str], str]) -> str:
    """What stands in place of every value of `key`; empty where its values are judged by what they are.

    Asked of the redaction itself: does it take out what a text gives to that name?

    >>> instead("db.password", lambda text: text.replace("password=s3=cr3t", "password=[secret]")), instead("user", str)
    ('[secret]', '')
    """
    clean = redact(key + _PROBE)
    return "" if clean.endswith(_PROBE) else clean.rpartition("=")[2]
