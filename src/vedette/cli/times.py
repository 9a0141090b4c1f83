"""Times as people write and read them. Without a zone they are UTC, everywhere."""

from datetime import UTC, datetime

import typer


def instant(text: str) -> int:
    """UTC microseconds of a time in ISO 8601.

    >>> instant("2026-11-20T10:00Z")
    1795168800000000
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"expected a time such as 2026-11-20T10:00Z, got '{text}'") from error
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e6)


def when(micros: int) -> str:
    """A time in UTC microseconds as text.

    >>> when(1_795_168_800_000_000)
    '2026-11-20 10:00:00 UTC'
    """
    return f"{datetime.fromtimestamp(micros / 1e6, UTC):%F %T} UTC"
