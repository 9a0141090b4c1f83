"""Days that are kept whatever the retention, because someone brought their rows in on purpose."""

import os
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import msgspec

PINS = "pins.json"


def pinned(root: Path, table: str) -> set[date]:
    """The days of `table` that are kept."""
    return set(_read(root).get(table, ()))


def pin(root: Path, table: str, days: Iterable[date]) -> None:
    """Keep `days` of `table` too; durable when it returns.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> pin(root, "metrics", [date(2014, 7, 1)])
    >>> pinned(root, "metrics"), pinned(root, "logs")
    ({datetime.date(2014, 7, 1)}, set())
    """
    pins = _read(root)
    missing = set(days) - set(pins.get(table, ()))
    if not missing:
        return
    pins[table] = sorted({*pins.get(table, ()), *missing})
    fresh = root / f"{PINS}.{os.getpid()}"
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(pins))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(root / PINS)


def _read(root: Path) -> dict[str, list[date]]:
    path = root / PINS
    return msgspec.json.decode(path.read_bytes(), type=dict[str, list[date]]) if path.exists() else {}
