"""What a user may declare about the log."""

from typing import Annotated

from pydantic import Field

from vedette.core.settings import Settings


class LogSettings(Settings):
    """Bounds of the log.

    Attributes:
        max_bytes: what it may hold on disk, its write-ahead file included.
        max_age_seconds: how old its oldest entry may be before it takes no more: whoever reads it has stood still that long.
        group_seconds: how long the first delivery of a group waits for company.
        full_at: the share of `max_bytes`, and of the file system, beyond which deliveries are refused.
        queue_bytes: what may wait in memory for the writer.
        keys: idempotency keys remembered; `key_seconds` for how long.
    """

    max_bytes: Annotated[int, Field(ge=1 << 20)] = 2 << 30
    max_age_seconds: Annotated[float, Field(gt=0)] = 7 * 86_400.0
    group_seconds: Annotated[float, Field(ge=0, le=0.02)] = 0.005
    full_at: Annotated[float, Field(gt=0, le=1)] = 0.9
    queue_bytes: Annotated[int, Field(gt=0)] = 128 << 20
    keys: Annotated[int, Field(gt=0)] = 1_000_000
    key_seconds: Annotated[float, Field(gt=0)] = 7 * 86_400.0
