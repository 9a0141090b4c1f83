"""Named places where a test may kill or fail the process: the way to prove what survives.

A place is declared once at import (`AFTER_APPEND = failpoint("lake.after_append")`) and passed by calling it.
It does nothing unless armed by `VEDETTE_FAILPOINTS="lake.after_append=kill:3"`: at the third passage the process
kills itself without warning; `=fail:1` raises OSError instead. `NAMES` lists all of them, so that a test can demand each was hit.
"""

import os
import signal
from collections.abc import Callable
from typing import Final

NAMES: Final[set[str]] = set()


def failpoint(name: str) -> Callable[[], None]:
    """Declare the place `name`; call what is returned at that place.

    >>> here = failpoint("doc.example")
    >>> here()
    >>> "doc.example" in NAMES
    True
    """
    NAMES.add(name)
    action, _, count = _armed().get(name, "").partition(":")
    if not action:
        return _pass
    left = [int(count or 1)]

    def passage() -> None:
        left[0] -= 1
        if left[0] == 0:
            if action == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            message = f"failpoint {name}"
            raise OSError(message)

    return passage


def _pass() -> None:
    pass


def _armed() -> dict[str, str]:
    declared = os.environ.get("VEDETTE_FAILPOINTS", "")
    return dict(pair.split("=", 1) for pair in declared.split(",") if "=" in pair)
