"""The standard recipe: ordered pure stages from a beat to points, with one digest that travels with each model."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Annotated, Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from vedette.core.arrays import part
from vedette.core.catalogue import Catalogue
from vedette.core.frames import AT, DEAD_LETTERS, EVENTS, LOGS, METRICS, POINTS, SERIES, TEMPLATES, Schema, empty
from vedette.core.identity import series_id
from vedette.core.settings import Settings
from vedette.core.types import Beat, Finding, State
from vedette.prepare import counters, histograms, identity, kinds, log_counts, masking, parameters, templates, tokens
from vedette.prepare.counters import COLUMNS, INVALID, SMALLEST, Fate, order_of, walk
from vedette.prepare.histograms import HISTOGRAMS, QUANTILES, answer
from vedette.prepare.identity import TARGETS, Rule, cells, merge, workload_labels
from vedette.prepare.kinds import Kind, Units, kind_of
from vedette.prepare.log_counts import LogCounts, LogCountSettings
from vedette.prepare.rules import rules
from vedette.prepare.slots import Floats, Ints, Slots
from vedette.prepare.templates import Mined, TemplateMiner, TemplateSettings

#: Raised by hand when code, not constants, changes what comes out of the same beats; a test with a known answer reminds of it.
VERSION: Final = 2
STAGES: Final = ("series", "values", "rates", "workloads", "quantiles", "templates", "log_counts")
_SCHEMAS: Final = {"metrics": METRICS, "logs": LOGS, "events": EVENTS, "dead_letters": DEAD_LETTERS}
_CARRY: Final[Mapping[str, NDArray[Any]]] = {
    "histogram": np.empty(0, np.int64),
    "at": np.empty(0, np.int64),
    "bound": np.empty(0),
    "rate": np.empty(0),
}
_RULES: Final = rules((counters, histograms, identity, kinds, log_counts, masking, parameters, templates, tokens))
_NEW_SERIES: Final[Schema] = {**SERIES, "source": pl.String, "first_seen": AT}
_NONE: Final = {name: empty({**schema, "source": pl.String}) for name, schema in _SCHEMAS.items()}
_NO_POINTS: Final = empty(POINTS)
_NO_SERIES: Final = empty(_NEW_SERIES)
_NOTHING_MINED: Final = Mined(pl.Series(dtype=pl.Int64), empty(TEMPLATES), empty(TEMPLATES), pl.DataFrame())
_NO_FATES: Final = np.empty(0, np.int8)
_NO_LOGS: Final = _NONE["logs"].with_columns(template=pl.lit(None, pl.Int64))


class PrepareSettings(Settings):
    """How records become points.

    Attributes:
        gap_intervals: the longest distance between two samples, in usual intervals of their series, over which a rate is taken.
        grid_seconds: the grid on which the pods of a workload become one series.
        patience_seconds: how long after its end a grid cell, or a histogram with missing buckets, is waited for.
        largest: the greatest magnitude believed of a value.
        templates: how log templates are mined.
        log_counts: how log lines are counted.
    """

    grid_seconds: Annotated[float, Field(ge=0.001)] = 60.0
    patience_seconds: Annotated[float, Field(ge=0)] = 10.0
    gap_intervals: Annotated[float, Field(gt=1)] = 5.0
    largest: Annotated[float, Field(gt=0, le=1e150)] = 1e100
    templates: TemplateSettings = TemplateSettings()
    log_counts: LogCountSettings = LogCountSettings()


@dataclass(frozen=True)
class Prepared(Mapping[str, pl.DataFrame]):
    """The frames of a beat by name, and the counts of what was kept out of them.

    Attributes:
        frames: points, metrics, series, logs, templates and those of them that are born, events, dead_letters.
        late: samples no later than the last of their series, and log lines of closed slots, by source: stored, not scored.
        invalid: samples by reason (nan, infinite, subnormal, absurd) that no model may see: stored, not scored.
        gaps: how often a series was silent for longer than `gap_intervals`; nothing was filled.
        limited: log lines by source that were counted under `__other__`, since too many series were derived.
        findings: series set aside because their unit changed.
    """

    frames: Mapping[str, pl.DataFrame]
    late: Mapping[str, int] = field(default_factory=dict)
    invalid: Mapping[str, int] = field(default_factory=dict)
    gaps: int = 0
    limited: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    def __getitem__(self, name: str) -> pl.DataFrame:
        return self.frames[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.frames)

    def __len__(self) -> int:
        return len(self.frames)


class StandardRecipe:
    """The recipe used live and in replay. Implements `core.ports.Recipe`.

    Args:
        settings: what may be tuned; part of the digest.
        catalogue: every series known so far; definitions that are new are added to it.
    """

    stages = STAGES

    def __init__(self, settings: PrepareSettings, catalogue: Catalogue) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._series = Slots(COLUMNS)
        self._targets = Slots(TARGETS)
        self._histograms = Slots(HISTOGRAMS)
        self._carried = _CARRY
        self._miner = TemplateMiner(settings.templates)
        self._counts = LogCounts(catalogue.get, settings.log_counts)
        self._swept: int | None = None
        self._grid = int(settings.grid_seconds * 1e6)
        self._patience = int(settings.patience_seconds * 1e6)
        self._derived: list[tuple[int, str, dict[str, str], str]] = []
        self._units = Units()
        words = f"{VERSION} {' '.join(STAGES)} {settings.model_dump_json()} {_RULES}"
        self.digest = blake2b(words.encode(), digest_size=16).hexdigest()

    def __call__(self, beat: Beat) -> Prepared:
        """The frames of `beat`, each with its columns whether or not it has rows.

        `points` are POINTS sorted by (series, at); `metrics`, `events` and `dead_letters` the rows of the beat as they
        came; `logs` the same with their `template`; `series` (SERIES, `source`, `first_seen`) the definitions new to the catalogue.
        """
        frames = {name: beat.frames.get(name, none) for name, none in _NONE.items()}
        series, findings = self._define(beat)
        points, fates, gaps = self._points(frames["metrics"], beat.at)
        late, invalid = _kept_out(frames["metrics"], fates)
        logs, mined = self._mine(frames["logs"])
        counted = self._counts.observe(logs, beat.at)
        if not counted.points.is_empty():
            points = pl.concat([points, counted.points.select(list(POINTS))]).sort("series", "at")
        frames |= {
            "points": points,
            "series": _joined(series, self._derivatives(beat.at), self._announce(_ours(counted.series), beat.at)),
            "logs": logs,
            "templates": mined.templates,
            "born": mined.born,
        }
        return Prepared(frames, _sum(late, counted.late), invalid, gaps, _sum({}, counted.limited), findings)

    def _mine(self, logs: pl.DataFrame) -> tuple[pl.DataFrame, Mined]:
        if logs.is_empty():
            return _NO_LOGS, _NOTHING_MINED
        mined = self._miner.learn(logs["body"], logs["at"], logs["series"])
        return logs.with_columns(template=mined.ids), mined

    def state(self) -> State:
        """Everything remembered, as arrays."""
        tables = {"series": self._series, "targets": self._targets, "histograms": self._histograms}
        arrays = {f"{part}/{name}": column for part, slots in tables.items() for name, column in slots.state().items()}
        others = {"carried": self._carried, "miner": self._miner.state(), "counts": self._counts.state()}
        return arrays | {f"{part}/{name}": column for part, each in others.items() for name, column in each.items()}

    def load(self, state: State) -> None:
        """Become what `state` was taken from; units are those of the catalogue."""
        for table, slots in (("series", self._series), ("targets", self._targets), ("histograms", self._histograms)):
            slots.load({name: state[f"{table}/{name}"] for name in slots.state()})
        self._carried = {name: state[f"carried/{name}"] for name in _CARRY}
        self._miner.load(part(state, "miner"))
        self._counts.load(part(state, "counts"))
        self._swept = None
        self._units = Units()
        for name, unit in self._catalogue.frame().select("name", "unit").filter(pl.col("unit") != "").iter_rows():
            self._units.check(name, unit)

    def _define(self, beat: Beat) -> tuple[pl.DataFrame, tuple[Finding, ...]]:
        defined = beat.frames.get("series")
        if defined is None or defined.is_empty():
            return _NO_SERIES, ()
        found = [self._register(*row) for row in defined.select(list(SERIES)).unique(maintain_order=True).iter_rows()]
        return self._announce(defined, beat.at), tuple(each for each in found if each)

    def _announce(self, definitions: pl.DataFrame, at: int) -> pl.DataFrame:
        if definitions.is_empty():
            return _NO_SERIES
        first_seen = pl.lit(at).cast(AT)
        return self._catalogue.add(definitions).with_columns(first_seen=first_seen).select(list(_NEW_SERIES))

    def _register(self, series: int, name: str, labels: Mapping[str, str] | None, declared: str, unit: str) -> Finding | None:
        labels = labels or {}
        finding = self._units.check(name, unit)
        kind = Kind.SKIP if finding else kind_of(name, declared, has_le="le" in labels)
        target = -1
        workload = workload_labels(labels)
        if kind is Kind.BUCKET:
            target = self._bucket(name, labels, workload)
            kind = kind if target >= 0 else Kind.SKIP
        elif kind is not Kind.SKIP and workload != labels:
            target = self._workload(name, workload, unit, Rule.MEAN if kind is Kind.GAUGE else Rule.SUM)
        slot = self._series.slot(series)
        self._series.column["kind"][slot] = kind
        self._series.column["target"][slot] = target
        return finding

    def _workload(self, name: str, labels: dict[str, str], unit: str, rule: Rule) -> int:
        identity, known = series_id(name, labels), len(self._targets)
        target = self._targets.slot(identity)
        if target == known:
            self._targets.column["rule"][target] = rule
            self._derived.append((identity, name, labels, unit))
        return target

    def _bucket(self, name: str, labels: Mapping[str, str], workload: dict[str, str]) -> int:
        """The target of a bucket, -1 where its bound is no number; its histogram and quantiles come with the first of them."""
        bound = _bound(labels["le"])
        if np.isnan(bound):
            return -1
        known = len(self._targets)
        target = self._targets.slot(series_id(name, workload))
        if target == known:
            base, rest = name.removesuffix("_bucket"), {key: value for key, value in workload.items() if key != "le"}
            histogram = self._histogram(base, rest)
            self._histograms.column["buckets"][histogram] += 1
            column = self._targets.column
            column["rule"][target] = Rule.PASS if workload == labels else Rule.MEAN
            column["histogram"][target], column["bound"][target] = histogram, bound
        return target

    def _histogram(self, base: str, labels: dict[str, str]) -> int:
        known = len(self._histograms)
        histogram = self._histograms.slot(series_id(base, labels))
        if histogram == known:
            for number, q in enumerate(QUANTILES):
                named = {**labels, "quantile": str(q)}
                identity = self._histograms.column[f"q{number}"][histogram] = series_id(base, named)
                self._derived.append((int(identity), base, named, ""))
        return histogram

    def _derivatives(self, at: int) -> pl.DataFrame:
        """The definitions of workload and quantile series that came up since the last beat."""
        if not self._derived:
            return _NO_SERIES
        ids, names, labels, units = map(list, zip(*self._derived, strict=True))
        self._derived = []
        columns = {"series": ids, "name": names, "labels": labels, "kind": ["gauge"] * len(ids), "unit": units}
        return self._announce(_ours(pl.DataFrame(columns, schema=SERIES)), at)

    def _recall(self, ids: Ints) -> None:
        """Register series whose definition did not come along: from the catalogue, or as gauges where nobody knows them."""
        known = self._catalogue.get(ids.tolist())
        for series in ids.tolist():
            info = known.get(series)
            if info:
                self._register(series, info.name, info.labels, info.kind, info.unit)
            else:
                self._register(series, "", {}, "unknown", "")

    def _points(self, metrics: pl.DataFrame, now: int) -> tuple[pl.DataFrame, NDArray[np.int8], int]:
        due = (now - self._patience) // self._grid
        if metrics.is_empty() and (not len(self._targets) or (due == self._swept and not len(self._carried["at"]))):
            return _NO_POINTS, _NO_FATES, 0
        series, value = metrics["series"].to_numpy(), metrics["value"].to_numpy()
        at = metrics["at"].to_physical().to_numpy()
        slots = self._series.find(series)
        if len(slots) and slots.min() < 0:
            self._recall(np.unique(series[slots < 0]))
            slots = self._series.find(series)
        points, fates = np.full(len(at), np.nan), np.empty(len(at), np.int8)
        column = self._series.column
        order = order_of(slots, at, len(self._series))
        gaps = walk(
            order, slots, at, value, column["kind"], column["last_at"], column["last_value"], column["interval"], column["target"],
            self._targets.column["cell"], self._grid, self._settings.gap_intervals, self._settings.largest, points, fates,
        )  # fmt: skip
        rows = order[fates[order] <= Fate.WAITING]
        target = column["target"][slots[rows]].astype(np.int64)
        plain = rows[(target < 0) & (fates[rows] == Fate.POINT)]
        parts = [(series[plain], at[plain], points[plain])]
        if len(self._targets):
            mine = target >= 0
            parts += self._merge(rows[mine], target[mine], slots, at, points, due)
            parts.append(self._quantiles(parts.pop(), now))
        ids, times, values = (np.concatenate(each) for each in zip(*parts, strict=True))
        values[np.abs(values) < SMALLEST] = 0.0
        by = np.lexsort((times, ids))
        columns = [pl.Series("series", ids[by]), pl.Series("at", times[by]).cast(AT), pl.Series("value", values[by])]
        return pl.DataFrame(columns), fates, int(gaps)

    def _merge(self, rows: Ints, target: Ints, slots: Ints, at: Ints, points: Floats, due: int) -> list[tuple[Ints, Ints, Floats]]:
        """Points of workloads, and the rates of buckets, from the rows that have a target.

        Cells of other targets can only become due when `due` moves: all of them are looked at once a cell of the grid.
        """
        by = np.lexsort((at[rows], target))
        rows, target, column = rows[by], target[by], self._targets.column
        others = 0 if due == self._swept else len(self._targets)
        self._swept = due
        room = 3 * len(rows) + 2 * others
        out, when, level = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
        written = merge(
            target, at[rows], slots[rows], points[rows], self._series.column["seen"], column["rule"], column["cell"],
            *cells(column), self._grid, due, others, out, when, level,
        )  # fmt: skip
        out, when, level = out[:written], when[:written], level[:written]
        whole = column["histogram"][out] < 0
        merged = (self._targets.keys[out[whole]], when[whole], level[whole])
        return [merged, (out[~whole], when[~whole], level[~whole])]

    def _quantiles(self, buckets: tuple[Ints, Ints, Floats], now: int) -> tuple[Ints, Ints, Floats]:
        """Points of quantiles from the rates of buckets: target, at, rate."""
        target, at, rate = buckets
        if not len(target) and not len(self._carried["at"]):
            return buckets
        fresh: dict[str, NDArray[Any]] = {"histogram": self._targets.column["histogram"][target].astype(np.int64), "at": at}
        fresh |= {"bound": self._targets.column["bound"][target], "rate": rate}
        rows = {name: np.concatenate((self._carried[name], column)) for name, column in fresh.items()}
        by = np.lexsort((rows["bound"], rows["at"], rows["histogram"]))
        rows = {name: column[by] for name, column in rows.items()}
        room = len(by) * len(QUANTILES)
        out, when, value = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
        kept, column = np.zeros(len(by), np.bool_), self._histograms.column
        written = answer(
            rows["histogram"], rows["at"], rows["bound"], rows["rate"], column["buckets"], column["done"],
            now - self._patience, np.array(QUANTILES), kept, out, when, value,
        )  # fmt: skip
        self._carried = {name: each[kept] for name, each in rows.items()}
        which, number = np.divmod(out[:written], len(QUANTILES))
        names = np.stack([column[f"q{each}"] for each in range(len(QUANTILES))])
        return names[number, which], when[:written], value[:written]


def _ours(definitions: pl.DataFrame) -> pl.DataFrame:
    if definitions.is_empty():
        return _NO_SERIES
    return definitions.with_columns(source=pl.lit("prepare"))


def _sum(counts: Mapping[str, int], more: pl.DataFrame) -> dict[str, int]:
    added = dict(more.iter_rows())
    return {source: counts.get(source, 0) + added.get(source, 0) for source in sorted({*counts, *added})}


def _bound(le: str) -> float:
    try:
        return float(le)
    except ValueError:
        return np.nan


def _joined(*definitions: pl.DataFrame) -> pl.DataFrame:
    some = [each for each in definitions if not each.is_empty()]
    return some[0] if len(some) == 1 else pl.concat(some) if some else _NO_SERIES


def _kept_out(metrics: pl.DataFrame, fates: NDArray[np.int8]) -> tuple[dict[str, int], dict[str, int]]:
    if not len(fates):
        return {}, {}
    counts = np.bincount(fates, minlength=len(Fate))
    invalid = {reason: int(counts[fate]) for fate, reason in INVALID.items() if counts[fate]}
    if not counts[Fate.LATE]:
        return {}, invalid
    late = metrics.filter(pl.Series(fates == Fate.LATE))["source"].value_counts()
    return dict(sorted(late.iter_rows())), invalid
