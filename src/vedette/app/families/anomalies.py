"""Anomalies: the envelope detector, its parameters searched, its memory learnt from what is normal."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from vedette import config
from vedette.app import ground as grounds
from vedette.app.families import Ground, Judged, Material, Parameters, Rival, Tell
from vedette.app.ownership import owns
from vedette.app.replaying import replayed
from vedette.core.arrays import part, whole
from vedette.core.catalogue import Catalogue, SeriesInfo
from vedette.core.frames import POINTS, SERIES, from_rows
from vedette.core.types import Finding, State
from vedette.models import Envelope
from vedette.monitor.golden import Golden
from vedette.monitor.lasting import LASTS, furthest
from vedette.monitor.prediction import ScoreBaseline
from vedette.train import Cuts, Dataset, Found, Range, Space, inside, leaks, merged, without
from vedette.validate import checks, counting, injection, intervals, outages
from vedette.validate.charts import Bars, Chart, Lines

KEPT: Final = list(POINTS)
#: Points that the search looks at at most: whole series, in the order of their identities, which are hashes.
SEARCHED: Final = 1_500_000
#: Labelled events without which made-up ones are used instead.
ENOUGH: Final = 3
#: A group of fewer made-up events says nothing by itself.
GROUP_LEAST: Final = 8
#: Points of the chart of one event.
SHOWN: Final = 600
WEEK: Final = 7 * 86_400_000_000
#: The share of the series that may be beyond the cap: one disk that fills up must not end all learning.
TOLERATED: Final = 0.02
#: Series that a finding names.
NAMED: Final = 3


class Anomalies:
    """Implements `Family`."""

    name = "anomalies"
    kind = "envelope"

    def material(self, ground: Ground, tell: Tell) -> Material:
        """The points of the selected series, what is never learnt of them, and the outages that people confirmed."""
        model = ground.model
        loaded = grounds.load(ground.lake, ground.declared.prepare, model.match, model.window_days, until=ground.until, tell=tell)
        infos = {each: info for each, info in loaded.infos().items() if owns(model.match, info.name, info.labels)}
        rows = loaded.frame.filter(pl.col("series").is_in(list(infos)))
        at = rows["at"].dt.timestamp("us")
        start, end = int(at.min() or 0), int(at.max() or 0) + 1  # type: ignore[arg-type]
        alerts = grounds.alerts_of(ground.lake, start, end)
        spans = grounds.spans(infos, ground.windows, ground.incidents, alerts, end - start)
        spans = spans.filter((pl.col("end") > start) & (pl.col("start") < end))
        confirmed = grounds.kept_apart(infos, ground.incidents, ground.windows)
        return Material(rows, spans, infos, loaded.recipe, loaded.tables, confirmed)

    def usual(self, model: config.Model) -> Parameters:  # noqa: ARG002 -- the same for every model
        """The parameters of the detector as it is shipped."""
        shipped = Envelope()
        return {"sigmas": shipped.sigmas, "hold": shipped.hold, "hold_seconds": shipped.hold_seconds}

    def space(self, model: config.Model) -> Space:  # noqa: ARG002 -- the same for every model
        """How far off is far, and how long a level lasts before it is believed."""
        return {
            "sigmas": Range(3.5, 9.0, log=True),
            "hold": Range(8, 40, log=True, whole=True),
            "hold_seconds": Range(900.0, 14_400.0, log=True),
        }

    def search(self, dataset: Dataset, cuts: Cuts, model: config.Model, folder: Path, look: Callable[..., Found]) -> Found:
        """Judged on the validation part: labelled events where there are enough, else made-up ones, under a ceiling of alarms."""
        rows = _some(dataset.rows.select(*KEPT))
        learnt = without(cuts.part(rows, "train"), dataset.spans)
        shown = cuts.part(rows, "validation")
        windows = _windows(dataset.spans, cuts.validation, shown)
        labelled = windows.height >= ENOUGH
        if not labelled:
            rng = np.random.default_rng(model.search.seed)
            shown, windows = injection.inject(without(shown, dataset.spans), rng)
        folder.mkdir(parents=True, exist_ok=True)
        pl.concat([learnt, shown]).sort("series", "at").write_parquet(folder / "points.parquet")
        windows.write_parquet(folder / "windows.parquet")
        task = Task(str(folder), cuts.validation[0], model.miss_cost, model.most_alarms)
        return look(partial(objective, task), self.space(model), self.usual(model))

    def fit(self, dataset: Dataset, parameters: Parameters, model: config.Model, rival: Rival | None) -> State:  # noqa: ARG002 -- the port's
        """The memory of the detector after every point that may be learnt, and the baseline that it is held against."""
        rows = dataset.clean().select(*KEPT)
        detector = Envelope(**parameters)
        said = detector.score(rows, 0)
        profile = Golden.of(rows)
        golden = profile.inherit(Golden.of_state(part(rival.arrays, "golden"))) if rival else profile
        # Young detectors score otherwise, so the second half is what its scores are held against.
        at = said["at"].dt.timestamp("us")
        scores = ScoreBaseline.of(said.filter(at >= (at.min() or 0) + ((at.max() or 0) - (at.min() or 0)) // 2))  # type: ignore[operator]
        return (
            whole("model", detector.state())
            | whole("profile", profile.state())
            | whole("golden", golden.state())
            | whole("scores", scores.state())
        )

    def judge(
        self, dataset: Dataset, cuts: Cuts, parameters: Parameters, material: Material, ground: Ground, rival: Rival | None
    ) -> Judged:
        """On the holdout as it was, with made-up anomalies, and with the outages that people confirmed."""
        exam = _exam(dataset, cuts, material)
        own = _sit(exam, parameters, ground)
        other = _sit(exam, rival.parameters, ground) if rival else None
        scorer = partial(_fresh, parameters)
        some = _few(exam.plain)
        findings = [
            outages.must_catch(own.past, other.past if other else None),
            checks.scores_finite(own.verdicts),
            checks.scores_vary(own.verdicts),
            checks.arity(exam.plain, own.verdicts),
            checks.causal(scorer, some),
            checks.order_of_series(scorer, some, np.random.default_rng(0)),
            *leaks.of_series(exam.learnt, exam.plain, ground.model.gap_seconds),
        ]
        if rival:
            findings.append(_golden(dataset, rival, ground.model.monitor.cap, material.infos))
        caught = f"{exam.windows.height} {'labelled' if exam.labelled else 'made-up'} events"
        basis = (
            f"{exam.plain.height:,} points of {exam.plain['series'].n_unique():,} series in the holdout, {caught}, "
            f"{own.past.height} confirmed outages and {own.made.height} made-up ones; each point was scored before it was learnt"
        )
        return Judged(own.metrics, other.metrics if other else None, own.intervals, tuple(findings), own.groups, own.charts, basis)


@dataclass(frozen=True, slots=True)
class Task:
    """What an objective needs to know, in plain values: it may run in another process."""

    folder: str
    since: int
    miss_cost: float
    most_alarms: float


@lru_cache(maxsize=2)
def _laid_out(folder: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    return pl.read_parquet(Path(folder) / "points.parquet"), pl.read_parquet(Path(folder) / "windows.parquet")


def objective(task: Task, question: tuple[Parameters, float]) -> float:
    """Cost-weighted event F1 over a share of the series, less what it passes the ceiling of false alarms by."""
    parameters, share = question
    points, windows = _laid_out(task.folder)
    if share < 1.0:
        ids = points["series"].unique().sort()
        chosen = ids.head(max(1, math.ceil(share * len(ids))))
        points = points.filter(pl.col("series").is_in(chosen.implode()))
        windows = windows.filter(pl.col("series").is_in(chosen.implode()))
    scored = Envelope(**parameters).score(points, 0).filter(pl.col("at").dt.timestamp("us") >= task.since)
    found = _outcomes(scored, windows).total
    worth = found.weighted(cost_of_miss=task.miss_cost)
    rate = found.false_alarms_per_series_week
    passed = max(0.0, rate / task.most_alarms - 1.0) if math.isfinite(rate) else 0.0
    return (worth if math.isfinite(worth) else 0.0) - 0.5 * passed


@dataclass(frozen=True, slots=True)
class Exam:
    """The papers of a judgement: what is learnt before it, the holdout as it was, with anomalies, and with outages."""

    learnt: pl.DataFrame
    plain: pl.DataFrame
    spans: pl.DataFrame
    events: pl.DataFrame
    windows: pl.DataFrame
    labelled: bool
    outages: pl.DataFrame
    past: pl.DataFrame
    made: pl.DataFrame
    groups: pl.DataFrame
    catalogue: Catalogue


@dataclass(frozen=True, slots=True)
class Sat:
    """What one set of parameters reached in an exam."""

    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    verdicts: pl.DataFrame
    past: pl.DataFrame
    made: pl.DataFrame
    groups: pl.DataFrame
    charts: Sequence[Chart]


def _exam(dataset: Dataset, cuts: Cuts, material: Material) -> Exam:
    rows = dataset.rows.select(*KEPT)
    learnt = without(cuts.part(rows, "seen"), dataset.spans)
    plain = cuts.part(rows, "holdout")
    clean = without(plain, dataset.spans)
    rng = np.random.default_rng(dataset.manifest.version)
    windows = _windows(dataset.spans, cuts.holdout, plain)
    labelled = windows.height >= ENOUGH
    shown = plain
    if not labelled:
        shown, windows = injection.inject(clean, rng)
    taken = merged(dataset.spans)
    known = [outages.Outage(each["name"], each["start"], each["end"], tuple(each["series"])) for each in material.outages]
    laid, past = outages.past(rows, clean, known, taken)
    busy = [*taken, *past.select("start", "end").unique().iter_rows()]
    laid, made = outages.made_up(laid, _things(material), rng, busy)
    sources = dataset.rows.select("series", group="source").unique("series", keep="first").sort("series")
    return Exam(learnt, plain, dataset.spans, shown, windows, labelled, laid, past, made, sources, _catalogue(material))


def _sit(exam: Exam, parameters: Parameters, ground: Ground) -> Sat:
    detector = Envelope(**parameters)
    detector.score(exam.learnt, 0)
    memory = {name: np.array(array) for name, array in detector.state().items()}
    begun = time.perf_counter()
    plain = _again(parameters, memory).score(exam.plain, 0)
    took = time.perf_counter() - begun
    shown = plain if exam.labelled else _again(parameters, memory).score(exam.events, 0)
    through = _again(parameters, memory).score(exam.outages, 0) if exam.past.height or exam.made.height else plain.clear()
    found = _outcomes(shown, exam.windows)
    quiet = _outcomes(plain.filter(~inside(plain, exam.spans)), exam.windows.clear())
    past, made = outages.caught(through, exam.past), outages.caught(through, exam.made)
    both = pl.concat([past, made])
    by_group = {name: each for name, each in found.by(exam.groups).items() if each.found + each.missed >= GROUP_LEAST}
    total, calm = found.total, quiet.total
    raised = replayed(plain, exam.catalogue, ground.declared.act)
    at = exam.plain["at"].dt.timestamp("us").to_numpy()
    weeks = float(at.max() - at.min()) / WEEK if len(at) else 0.0
    metrics = total.metrics() | {
        "false_alarms_per_series_week": calm.false_alarms_per_series_week,
        "event_f1_weighted": total.weighted(cost_of_miss=ground.model.miss_cost),
        "must_catch_recall": float(both["caught"].mean()) if both.height else 1.0,  # type: ignore[arg-type]
        "worst_group_recall": min((each.recall for each in by_group.values()), default=total.recall),
        "null_share": plain["anomaly_score"].null_count() / max(plain.height, 1),
        "microseconds_per_point": 1e6 * took / max(plain.height, 1),
        "memory_bytes_per_series": sum(array.nbytes for array in memory.values()) / max(len(memory["ids"]), 1),
        "incidents_per_week": len(raised) / max(weeks, 1e-9),
    }
    rate = calm.false_alarms_interval
    told = {"false_alarms_per_series_week": (rate[0], rate[1])}
    if total.found + total.missed:
        share = intervals.wilson(total.found, total.found + total.missed)
        told["event_recall"] = (share[0], share[1])
    return Sat(metrics, told, plain, past, made, _table(found, by_group), _charts(shown, found))


def _table(found: counting.Outcomes, by_group: Mapping[str, counting.Events]) -> pl.DataFrame:
    """A row a kind of event and a row a source."""
    kinds = found.events.group_by("kind").agg(pl.len(), recall=pl.col("delay").is_not_null().mean(), delay=pl.col("delay").median())
    rows = [(f"kind {kind}", *rest) for kind, *rest in kinds.sort("kind").iter_rows()]
    rows += [(f"source {name}", each.found + each.missed, each.recall, each.delay) for name, each in by_group.items()]
    schema = {"group": pl.String, "events": pl.Int64, "event_recall": pl.Float64, "delay_points": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _charts(shown: pl.DataFrame, found: counting.Outcomes) -> list[Chart]:
    """What was found of each kind, and the first event of one series with its bounds."""
    kinds = found.events.group_by("kind").agg(share=pl.col("delay").is_not_null().mean(), count=pl.len()).sort("kind")
    bars = {kind: float(share or 0.0) for kind, share, _ in kinds.iter_rows()}
    told = {kind: f"{share:.0%} of {count}" for kind, share, count in kinds.iter_rows()}
    charts: list[Chart] = (
        [Bars("Events found, by kind", "The share of the events of each kind that a score above 1 met.", bars, told)]
        if bars
        else []
    )
    caught = found.events.filter(pl.col("delay").is_not_null())
    if caught.height:
        one = caught.row(caught.height // 2, named=True)
        margin = max(2 * (one["end"] - one["start"]), 7_200_000_000)
        at = pl.col("at").dt.timestamp("us")
        near = shown.filter((pl.col("series") == one["series"]) & at.is_between(one["start"] - margin, one["end"] + margin))
        near = near.filter(pl.col("value").is_finite() & pl.col("yhat").is_not_null()).tail(SHOWN)
        near = near.with_columns(pl.col(pl.Float64).fill_null(math.nan))
        columns = {name: near[name].to_list() for name in ("value", "yhat", "yhat_lower", "yhat_upper")}
        lines = {"seen": columns["value"], "expected": columns["yhat"]}
        caption = f"A {one['kind'].replace('_', ' ')} that was found, with what was expected before each point and its bounds."
        moments = near["at"].dt.timestamp("us").to_list()
        charts.append(Lines("One event", caption, moments, lines, columns["yhat_lower"], columns["yhat_upper"], time=True))
    return charts


def _outcomes(scored: pl.DataFrame, windows: pl.DataFrame) -> counting.Outcomes:
    at, series = scored["at"].dt.timestamp("us").to_numpy(), scored["series"].to_numpy()
    return counting.from_windows(at, series, scored["anomaly_score"].fill_null(math.nan).to_numpy(), windows)


def _again(parameters: Parameters, memory: State) -> Envelope:
    detector = Envelope(**parameters)
    detector.load({name: np.array(array) for name, array in memory.items()})
    return detector


def _windows(spans: pl.DataFrame, part: tuple[int, int], rows: pl.DataFrame) -> pl.DataFrame:
    """Declared outages within a part, as labelled windows of the series that they were declared for."""
    declared = spans.filter(
        (pl.col("why") == "declared") & pl.col("series").is_not_null() & (pl.col("start") >= part[0]) & (pl.col("end") <= part[1])
    )
    known = declared.filter(pl.col("series").is_in(rows["series"].unique().implode()))
    return known.select("series", "start", end=pl.col("end") - 1, kind=pl.lit("labelled")).unique().sort("series", "start")


def _some(rows: pl.DataFrame) -> pl.DataFrame:
    if rows.height <= SEARCHED:
        return rows
    counts = rows.group_by("series").len().sort("series")
    chosen = counts.filter(pl.col("len").cum_sum() <= SEARCHED)
    chosen = chosen if chosen.height else counts.head(1)
    return rows.filter(pl.col("series").is_in(chosen["series"].implode()))


def _things(material: Material) -> pl.DataFrame:
    """What goes down together: the series of one service, host or job; a series without any is alone."""
    rows = []
    for series, info in material.infos.items():
        thing = next((f"{key} {info.labels[key]}" for key in grounds.THINGS if info.labels.get(key)), str(info))
        rows.append((series, thing))
    return pl.DataFrame(rows, schema={"series": pl.Int64, "group": pl.String}, orient="row").sort("series")


def _catalogue(material: Material) -> Catalogue:
    catalogue = Catalogue()
    catalogue.add(
        from_rows([(each.series, each.name, dict(each.labels), each.kind, each.unit) for each in material.infos.values()], SERIES)
    )
    return catalogue


def _few(points: pl.DataFrame) -> pl.DataFrame:
    """Some series, for checks that score several times."""
    return points.filter(pl.col("series").is_in(points["series"].unique().sort().head(20).implode()))


def _fresh(parameters: Parameters, points: pl.DataFrame) -> pl.DataFrame:
    return Envelope(**parameters).score(points, 0)


def _golden(dataset: Dataset, rival: Rival, cap: float, infos: Mapping[int, SeriesInfo]) -> Finding:
    """How far what is learnt now is from the baseline that travels with the champion; beyond the cap only a person lets it in."""
    golden = Golden.of_state(part(rival.arrays, "golden"))
    rows = dataset.clean().select(*KEPT)
    here = np.isin(golden.ids, rows["series"].unique().to_numpy())
    growth, known = furthest(golden, rows)[here], golden.ids[here]
    beyond = np.flatnonzero(growth > cap)
    allowed = max(1, int(TOLERATED * len(growth)))
    measured = f"{len(beyond)} of {len(growth)} series beyond {cap:g} times their golden level"
    passed = len(beyond) <= allowed
    why = "What it learnt is near what is known as normal."
    if not passed:
        order = beyond[np.argsort(-growth[beyond], kind="stable")][:NAMED]
        told = "; ".join(f"{infos.get(int(known[each]), known[each])} at {growth[each]:.1f} times" for each in order)
        why = (
            f"Its data holds a level that lasts {LASTS} hours or more and is not the known one, like an outage nobody marked: "
            f"{told} its golden level. Mark the time with `vedette outage add`, or raise the cap if it is right."
        )
    return Finding("golden_baseline", passed, measured, f"at most {allowed}", why)
