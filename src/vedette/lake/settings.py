"""What a user may say about the lake: how long things are kept, and when small files are put together."""

from typing import Annotated

from pydantic import Field

from vedette.core.settings import Settings

Days = Annotated[int, Field(gt=0)]


class Retention(Settings):
    """Days a row is kept, by table, counted from its `at`. `series`, `templates` and `feedback` are kept for ever."""

    metrics: Days = 30
    logs: Days = 14
    verdicts: Days = 30
    forecasts: Days = 30
    events: Days = 365
    dead_letters: Days = 30

    def days(self, table: str) -> int | None:
        """Days kept, or None for ever.

        >>> Retention(metrics=90).days("metrics"), Retention().days("series")
        (90, None)
        """
        kept: int | None = self.model_dump().get(table)
        return kept


class LakeSettings(Settings):
    """How the lake keeps house.

    Attributes:
        retention_days: days kept, by table.
        compact_files: small files of one day beyond which they are put together.
        compact_bytes: the size aimed at; a file of at least half of it is not small.
        compact_days: days put together in one round of maintenance, of each table.
        checkpoint_commits: commits to a table after which its Delta log gets a checkpoint.
        maintain_seconds: how long between two rounds of maintenance; the first is due a minute after the start, or sooner.
        vacuum_hours: how long files that no version needs any more, and old log entries, stay for those still reading them.
        past_days: how old a row may be when its beat is. Wider than what receivers accept.
        future_seconds: how far ahead of its beat a row may be.
        sync: whether a flush returns only after its files would survive a power cut.
    """

    retention_days: Retention = Retention()
    compact_files: Annotated[int, Field(ge=2)] = 64
    compact_bytes: Annotated[int, Field(ge=1 << 20)] = 128 << 20
    compact_days: Annotated[int, Field(gt=0)] = 4
    checkpoint_commits: Annotated[int, Field(gt=0)] = 100
    maintain_seconds: Annotated[float, Field(gt=0)] = 300.0
    vacuum_hours: Annotated[int, Field(ge=1)] = 24
    past_days: Days = 450
    future_seconds: Annotated[float, Field(ge=0)] = 600.0
    sync: bool = True

    def window(self, at: int) -> tuple[int, int]:
        """The earliest and latest time that is kept of what is written at `at`, all in UTC microseconds.

        >>> LakeSettings(past_days=1, future_seconds=5).window(86_400_000_000)
        (0, 86405000000)
        """
        return at - self.past_days * 86_400_000_000, at + int(self.future_seconds * 1e6)
