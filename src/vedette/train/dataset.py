"""What a model learns from: frozen rows, what was left out of them and why, and a digest over both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from vedette.core import digest

#: Times that are never learnt from: `series` null means all of them. UTC microseconds.
SPANS: Final = {"series": pl.Int64, "start": pl.Int64, "end": pl.Int64, "why": pl.String}


@dataclass(frozen=True, slots=True)
class Manifest:
    """A dataset in words and figures; its rows are kept beside it, under their digest.

    Attributes:
        name, version: of which model, counted from 1.
        selection: what was asked for.
        start, end: the window, UTC microseconds.
        tables: the version of each table of the lake that was read.
        recipe: digest of the stages that made the rows.
        left_out: `start, end, why` and how many series, of what is not learnt.
        rows, series: how many there are; `removed` how many rows lie in what was left out.
        sources: each source's share of the rows; `thinned` the rows that the cap on a source took.
        rows_digest, digest: of the rows, and of them and everything above but the version and `tables`.
    """

    name: str
    version: int
    family: str
    selection: Mapping[str, Any]
    start: int
    end: int
    tables: Mapping[str, int]
    recipe: str
    left_out: tuple[Mapping[str, Any], ...]
    rows: int
    series: int
    removed: int
    thinned: int
    sources: Mapping[str, float]
    rows_digest: str
    digest: str = ""
    made_at: int = 0

    @property
    def label(self) -> str:
        """`NAME@VERSION`."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Dataset:
    """A manifest, its rows, and the spans that are not learnt (columns SPANS)."""

    manifest: Manifest
    rows: pl.DataFrame
    spans: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SPANS))

    def clean(self) -> pl.DataFrame:
        """The rows without what is never learnt."""
        return without(self.rows, self.spans)


def identify(manifest: Mapping[str, Any]) -> str:
    """The digest of a dataset: of what it is, not of its version, or when and behind which commits it was made."""
    return digest.of_values(
        {key: value for key, value in manifest.items() if key not in {"version", "made_at", "digest", "tables"}}
    )


def inside(rows: pl.DataFrame, spans: pl.DataFrame) -> pl.Series:
    """Whether each row (`series`, `at`) lies in a span of its series or of all.

    >>> from vedette.core.frames import AT
    >>> rows = pl.DataFrame({"series": [1, 2], "at": [5, 5]}, schema={"series": pl.Int64, "at": AT})
    >>> inside(rows, pl.DataFrame({"series": [2], "start": [0], "end": [9], "why": ["outage"]}, schema=SPANS)).to_list()
    [False, True]
    """
    asked = rows.select("series", at=pl.col("at").to_physical()).with_row_index("row").sort("at")
    # How far anything reaches that has begun by then: one look a row, however many spans there are.
    begun = spans.sort("start").select("series", "start", reach=pl.col("end").cum_max().over("series"))
    begun = begun.unique(["series", "start"], keep="last", maintain_order=True)
    common, own = (begun.filter(pl.col("series").is_null()).drop("series"), begun.filter(pl.col("series").is_not_null()))
    found = asked.join_asof(own, left_on="at", right_on="start", by="series", check_sortedness=False)
    found = found.join_asof(common, left_on="at", right_on="start", suffix="_of_all")
    hit = (pl.max_horizontal("reach", "reach_of_all") > pl.col("at")).fill_null(value=False)
    return found.sort("row").select(hit).to_series()


def without(rows: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """The rows that lie in no span."""
    return rows if spans.is_empty() or rows.is_empty() else rows.filter(~inside(rows, spans))


def merged(spans: pl.DataFrame) -> list[tuple[int, int]]:
    """The union of spans, whatever their series, in order.

    >>> frame = pl.DataFrame({"series": [None] * 3, "start": [5, 0, 20], "end": [9, 6, 30], "why": [""] * 3}, schema=SPANS)
    >>> merged(frame)
    [(0, 9), (20, 30)]
    """
    found: list[tuple[int, int]] = []
    for start, end in spans.select("start", "end").sort("start", "end").iter_rows():
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def capped(rows: pl.DataFrame, cap: float) -> pl.DataFrame:
    """`rows` (with `source` and `series`) in which no source has more than `cap` of them, where there are enough sources.

    Whole series are left out, in the order of their identities, which are hashes; of the one that is cut the latest rows stay.
    With fewer sources than 1 / cap nothing is done, since they could not all stay below it.
    """
    counts = rows.group_by("source").len().sort("source")
    if counts.height * cap < 1.0:
        return rows
    allowed = _allowance(counts["len"].to_list(), cap)
    over = [source for source, count in counts.iter_rows() if count > allowed]
    if not over:
        return rows
    kept = [rows.filter(~pl.col("source").is_in(list(over), nulls_equal=True))]
    for source in over:
        mine = rows.filter(pl.col("source").eq_missing(source))
        kept.append(mine.sort("series", "at", descending=[False, True], maintain_order=True).head(allowed))
    return pl.concat(kept).sort("series", "at", maintain_order=True)


def _allowance(counts: list[int], cap: float) -> int:
    """The largest number of rows of one source such that it is no more than `cap` of all that stay."""
    low, high = 0, max(counts)
    while low < high:
        middle = (low + high + 1) // 2
        if middle <= cap * sum(min(count, middle) for count in counts):
            low = middle
        else:
            high = middle - 1
    return max(low, min(counts))
