"""How much a sender may send, and which times are believed. The same bounds for every receiver."""

from typing import Annotated

from pydantic import Field

from vedette.core.settings import Settings

DAY = 86_400_000_000


class Limits(Settings):
    """Bounds on what comes in. Bytes, counts and seconds as the names say.

    Attributes:
        body_bytes: a body as sent. `/push` takes up to `push_bytes`, in pieces.
        decoded_bytes: the same body decompressed.
        line_bytes: a log line; a longer one is cut here, marked, and its length kept.
        labels: labels of a series.
        label_bytes: a label's name or value.
        depth: nesting of a JSON document.
        series_per_source: beyond it new series of a source go into its overflow series `__other__`.
        past_seconds: how old a record may be (retention); `future_seconds` how far ahead of our clock.
    """

    body_bytes: Annotated[int, Field(gt=0)] = 16 << 20
    push_bytes: Annotated[int, Field(gt=0)] = 256 << 20
    decoded_bytes: Annotated[int, Field(gt=0)] = 64 << 20
    line_bytes: Annotated[int, Field(gt=0)] = 256 << 10
    labels: Annotated[int, Field(gt=0)] = 64
    label_bytes: Annotated[int, Field(gt=0)] = 4096
    depth: Annotated[int, Field(gt=0)] = 32
    series_per_source: Annotated[int, Field(gt=0)] = 200_000
    past_seconds: Annotated[float, Field(gt=0)] = 400 * 86_400.0
    future_seconds: Annotated[float, Field(ge=0)] = 600.0

    def window(self, now: int) -> tuple[int, int]:
        """The earliest and latest time believed at `now`, all in UTC microseconds.

        >>> Limits(past_seconds=10, future_seconds=5).window(100_000_000)
        (90000000, 105000000)
        """
        return now - int(self.past_seconds * 1e6), now + int(self.future_seconds * 1e6)
