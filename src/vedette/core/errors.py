"""Every error Vedette raises on purpose, told apart by what the caller does next.

::

    VedetteError
    ├── ConfigError     refuse to start; every fault is listed
    ├── Transient       try the same thing again after `retry_after` seconds
    ├── BadRecord       set the record aside; the rest goes on
    ├── NotFound        answer that there is no such thing
    ├── Rejected        keep what is in place; the reason says why
    └── Tampered        never load it; raise the alarm
"""


class VedetteError(Exception):
    """The root: catch it to catch everything Vedette raises on purpose."""


class ConfigError(VedetteError):
    """What the user declared cannot be run. `faults` lists each one: where, and what to do.

    >>> print(ConfigError(["vedette.yaml:3: sources.web.kind: unknown kind 'htpp'"]))
    vedette.yaml:3: sources.web.kind: unknown kind 'htpp'
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class Transient(VedetteError):  # noqa: N818 -- named for what the caller does, not for what went wrong
    """It cannot be done now; the same call may succeed `retry_after` seconds later."""

    def __init__(self, reason: str, retry_after: float = 1.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class BadRecord(VedetteError):  # noqa: N818
    """A record, or a whole body, that can never be taken. `field` and `position` say where it is wrong.

    >>> print(BadRecord("expected a number, got 'x'", field="value", position=3))
    record 3: field 'value': expected a number, got 'x'
    """

    def __init__(self, reason: str, *, field: str = "", position: int | None = None, status: int = 400) -> None:
        where = "" if position is None else f"record {position}: "
        what = f"field '{field}': " if field else ""
        super().__init__(f"{where}{what}{reason}")
        self.reason = reason
        self.field = field
        self.position = position
        self.status = status


class NotFound(VedetteError):  # noqa: N818
    """There is no such incident, series, source or file."""


class Rejected(VedetteError):  # noqa: N818
    """A change was refused; what was in place stays in place."""


class Tampered(VedetteError):  # noqa: N818
    """Bytes are not what they were when they were written. They are never loaded."""
