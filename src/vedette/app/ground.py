"""What models learn from: points of the lake as the live stream would have seen them, and the times that are never learnt from."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
from deltalake import DeltaTable

from vedette.act import Incident, Window
from vedette.core.catalogue import Catalogue, SeriesInfo
from vedette.core.errors import Rejected
from vedette.core.frames import EVENTS, METRICS, POINTS, SERIES, conform, empty
from vedette.core.selection import Selection
from vedette.core.types import Beat
from vedette.lake import reading
from vedette.lake.lake import day_of
from vedette.prepare import PrepareSettings, StandardRecipe
from vedette.train import SPANS, merged

DAY: Final = 86_400_000_000
MINUTE: Final = 60_000_000
#: What begins shortly before anybody noticed, and is felt for a while after it is over.
BEFORE: Final = 5 * MINUTE
AFTER: Final = 15 * MINUTE
#: The end of an incident that is still open: it is not over.
OPEN: Final = 4_102_444_800_000_000
#: An alert that fires for more of the time than this says nothing about outages.
NOISE: Final = 0.2
#: Labels that name a thing; an alert is about the series that share one and differ in none.
THINGS: Final = ("service", "instance", "host", "job", "pod", "namespace", "entity", "vm")


@dataclass(frozen=True, slots=True)
class Points:
    """Points and who they are of.

    Attributes:
        frame: POINTS and `source`, sorted by (series, at).
        catalogue: the definitions of their series.
        recipe: digest of the stages.
        tables: versions of the tables that were read.
    """

    frame: pl.DataFrame
    catalogue: Catalogue
    recipe: str
    tables: Mapping[str, int]

    def infos(self) -> dict[int, SeriesInfo]:
        """What is known of each series."""
        return self.catalogue.get(self.frame["series"].unique(maintain_order=True).to_list())


def load(
    lake: Path,
    prepare: PrepareSettings,
    selection: Selection,
    days: float,
    *,
    since: int | None = None,
    until: int | None = None,
    tell: Callable[[str], None] = lambda _text: None,
) -> Points:
    """The points of the selected series in the last `days` before `until` (UTC microseconds; their latest one by default).

    With `since` (UTC microseconds) in [since, until), however many days that are.

    Raises:
        Rejected: nothing is selected, or nothing is there.
    """
    series = reading(lake, "series").unique("series", keep="first", maintain_order=True).collect()
    wanted = _selected(series, selection)
    if wanted.is_empty():
        raise Rejected(f"no series matches {selection.model_dump()}; look at their names with: vedette status")
    ids = wanted["series"]
    rows = reading(lake, "metrics").filter(pl.col("series").is_in(ids.implode()))
    last = rows.select(pl.col("at").max()).collect().item()
    if last is None:
        raise Rejected("the lake holds no points of the selected series yet")
    latest = int(pl.Series([last]).dt.timestamp("us")[0]) + 1
    end = min(until, latest) if until is not None else latest
    start = int(end - days * DAY) if since is None else since
    at = pl.col("at").dt.timestamp("us")
    days_between = pl.col("day").is_between(day_of(start), day_of(end))
    metrics = rows.filter(days_between & (at >= start) & (at < end)).select(*METRICS, "source").sort("at").collect()
    if metrics.is_empty():
        raise Rejected("the lake holds no points of the selected series in that time")
    tell(f"{metrics.height:,} rows of {wanted.height:,} series are prepared")
    catalogue = Catalogue()
    recipe = StandardRecipe(prepare, catalogue)
    points, sources = _prepared(recipe, wanted, metrics)
    kept = [
        each for each, info in catalogue.get(points["series"].unique().to_list()).items() if selection.takes(info.name, info.labels)
    ]
    frame = points.filter(pl.col("series").is_in(kept)).join(sources, on="series", how="left", maintain_order="left")
    tables = {name: DeltaTable(lake / name).version() for name in ("metrics", "series")}
    return Points(frame.sort("series", "at"), catalogue, recipe.digest, tables)


def _selected(series: pl.DataFrame, selection: Selection) -> pl.DataFrame:
    """The series of `selection`, and the buckets that what it selects may be made of; log counts only where they are named."""
    takes = [
        selection.takes(name, labels := dict(pairs or {}))
        or (name.endswith("_bucket") and selection.takes(name.removesuffix("_bucket"), labels))
        for name, pairs in series.select("name", "labels").iter_rows()
    ]
    return series.filter(pl.Series(takes, dtype=pl.Boolean) & (pl.col("kind") != "stream"))


def _prepared(recipe: StandardRecipe, series: pl.DataFrame, metrics: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Points through the recipe, a day at a time as if they came now, and the source of each series."""
    found, born = [], [series.select("series", "source")]
    definitions: Mapping[str, pl.DataFrame] = {"series": series.select(*SERIES, "source")}
    for number, (_, part) in enumerate(metrics.group_by(pl.col("at").dt.date(), maintain_order=True)):
        at = int(part["at"].dt.timestamp("us").max())  # type: ignore[arg-type]
        prepared = recipe(Beat(at, number + 1, {**definitions, "metrics": part}))
        definitions = {}
        found.append(prepared["points"])
        if not prepared["series"].is_empty():
            born.append(prepared["series"].select("series", "source"))
    points = pl.concat(found) if found else empty(POINTS)
    return conform(points.sort("series", "at"), POINTS), pl.concat(born).unique("series", keep="first")


def spans(
    infos: Mapping[int, SeriesInfo], windows: Iterable[Window], incidents: Iterable[Incident], alerts: pl.DataFrame, whole: int
) -> pl.DataFrame:
    """What is never learnt of the series in `infos`: columns SPANS.

    Args:
        infos: the series that are learnt.
        windows: declared ones; those of `outage` count.
        incidents: but for those that operators called false or known.
        alerts: EVENTS of kind `alert`; one that fires for a fifth of the time or more is noise, and left alone.
        whole: how much time is learnt from, microseconds.
    """
    rows: list[tuple[int | None, int, int, str]] = []
    by_labels: dict[tuple[tuple[str, str], ...], list[Window]] = {}
    for window in windows:
        if window.kind == "outage":
            by_labels.setdefault(tuple(sorted(window.labels.items())), []).append(window)
    for same in by_labels.values():
        touched = (
            [series for series, info in infos.items() if same[0].covers(same[0].start, named(info))] if same[0].labels else [None]
        )
        rows += [(series, window.start, window.end, "declared") for window in same for series in touched]
    for incident in incidents:
        if incident.verdict in {"false", "known"}:
            continue
        end = incident.ended_at + AFTER if incident.ended_at else OPEN
        for series in {int(each["series"]) for each in incident.explanation.get("members", ()) if each.get("series")}:
            if series in infos:
                rows.append((series, incident.started_at - BEFORE, end, "incident"))
    rows += _fired(infos, alerts, whole)
    return pl.DataFrame(rows, schema=SPANS, orient="row").sort("start", "end", "series", "why", nulls_last=True)


def named(info: SeriesInfo) -> dict[str, str]:
    """The labels of a series with its name among them, as Prometheus has them."""
    return {"__name__": info.name, **info.labels}


def _fired(infos: Mapping[int, SeriesInfo], alerts: pl.DataFrame, whole: int) -> list[tuple[int | None, int, int, str]]:
    fired: dict[str, tuple[set[int], list[tuple[int, int]]]] = {}
    about: dict[tuple[str, ...], set[int]] = {}
    columns = alerts.select("key", "status", pl.col("starts_at", "ends_at", "at").dt.timestamp("us"), "labels")
    for key, status, starts, ends, at, labels in columns.iter_rows():
        told = dict(labels or {})
        thing = tuple(told.get(name, "") for name in THINGS)
        if thing not in about:
            about[thing] = {series for series, info in infos.items() if _same(thing, info.labels)}
        series, stretches = fired.setdefault(key or "", (set(), []))
        series |= about[thing]
        over = ends if ends and status != "firing" else at
        stretches.append((starts or at, max(over, starts or at) + MINUTE))
    found: list[tuple[int | None, int, int, str]] = []
    for touched, stretches in fired.values():
        # One that is sent again and again while it fires is the same stretch, longer each time.
        together = merged(pl.DataFrame(stretches, schema=["start", "end"], orient="row"))
        if sum(end - start for start, end in together) < NOISE * whole:
            found += [(each, start, end, "alert") for start, end in together for each in sorted(touched)]
    return found


def _same(thing: Sequence[str], labels: Mapping[str, str]) -> bool:
    """Whether labels share one of the names of a thing, and differ in none that both have."""
    both = [(named, labels[name]) for name, named in zip(THINGS, thing, strict=True) if named and labels.get(name)]
    return bool(both) and all(one == other for one, other in both)


def alerts_of(lake: Path, start: int, end: int) -> pl.DataFrame:
    """EVENTS of kind `alert` that the lake holds of [start, end), UTC microseconds."""
    return events_of(lake, "alert", start, end)


def events_of(lake: Path, kind: str, start: int, end: int) -> pl.DataFrame:
    """EVENTS of a kind in [start, end), UTC microseconds, and their `source`, by time."""
    at = pl.col("at").dt.timestamp("us")
    rows = reading(lake, "events").filter((pl.col("kind") == kind) & (at >= start) & (at < end))
    return rows.select(*EVENTS, "source").sort("at", maintain_order=True).collect()


def kept_apart(infos: Mapping[int, SeriesInfo], incidents: Sequence[Incident], windows: Sequence[Window]) -> list[dict[str, Any]]:
    """The outages that people confirmed: declared ones, and incidents answered with `real`; each with its series and a name."""
    found = []
    for incident in incidents:
        if incident.verdict == "real":
            series = sorted(
                {int(each["series"]) for each in incident.explanation.get("members", ()) if int(each.get("series") or 0) in infos}
            )
            found.append(
                {
                    "name": incident.title,
                    "start": incident.started_at,
                    "end": incident.ended_at or incident.updated_at,
                    "series": series,
                }
            )
    for window in windows:
        if window.kind == "outage":
            series = [each for each, info in infos.items() if window.covers(window.start, named(info))]
            found.append({"name": window.note or f"outage {window.id}", "start": window.start, "end": window.end, "series": series})
    return [each for each in found if each["series"]]
