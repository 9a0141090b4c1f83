"""Events out of columns: what happened, once and under a name of its own."""

from hashlib import blake2b
from typing import Final, Literal

import polars as pl

from vedette.collect.lines import maps
from vedette.core.frames import AT, EVENTS, LABELS, Schema

Event = Literal["alert", "ticket", "change"]

_OPTIONAL: Final[Schema] = {"key": pl.String, "status": pl.String, "starts_at": AT, "ends_at": AT}


def event_rows(kind: Event, columns: pl.DataFrame, labels: pl.DataFrame, notes: pl.DataFrame) -> pl.DataFrame:
    """EVENTS rows.

    Args:
        kind: of all of them.
        columns: `at` and `title`, and as far as there are `key`, `status`, `starts_at` and `ends_at`.
        labels: a column a label; what is empty is left out.
        notes: the same of annotations.

    >>> from datetime import UTC, datetime
    >>> columns = pl.DataFrame({"at": [datetime(2026, 1, 1, tzinfo=UTC)], "title": ["disk full"]}, schema={"at": AT, "title": str})
    >>> event_rows("ticket", columns, pl.DataFrame({"team": ["storage"]}), pl.DataFrame()).select("key", "labels").row(0)
    ('5ae9ec764a6e1847593d896093c8f595', {'team': 'storage'})
    """
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in _OPTIONAL.items() if name not in columns.columns]
    rows = columns.with_columns(pl.col("title").cast(pl.String).fill_null(""), *missing).with_columns(
        pl.col("status").cast(pl.String).fill_null(""), pl.col("key").cast(pl.String)
    )
    told, noted = _words(labels), _words(notes)
    if rows["key"].null_count():
        digests = _digests(kind, rows.drop("key"), told)
        rows = rows.with_columns(pl.coalesce("key", digests))
    named = {"labels": _maps(told, rows.height), "annotations": _maps(noted, rows.height)}
    return rows.with_columns(pl.lit(kind).alias("kind"), **named).select(list(EVENTS))


def _digests(kind: Event, rows: pl.DataFrame, labels: pl.DataFrame) -> pl.Series:
    """Of each row what it says, the same on every machine and in every version."""
    said = pl.DataFrame([*rows.select(pl.col(AT).to_physical(), pl.col(pl.String)), *labels.rename(lambda name: f"label.{name}")])
    texts = said.select(pl.struct(pl.all().cast(pl.String)).struct.json_encode()).to_series()
    return pl.Series(
        "digest", [blake2b(f"{kind}{text}".encode(), digest_size=16).hexdigest() for text in texts.to_list()], pl.String
    )


def _words(columns: pl.DataFrame) -> pl.DataFrame:
    return columns.select(pl.all().cast(pl.String).replace("", None))


def _maps(columns: pl.DataFrame, height: int) -> pl.Series:
    return maps(columns) if columns.width else pl.Series("map", [{}], dtype=LABELS).new_from_index(0, height)
