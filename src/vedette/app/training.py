"""From data to a signed version: dataset, search, judgement, gates, fit, report, registry, and the first step of its rollout.

Killed anywhere, there is either a whole version or none: what is kept meanwhile (rows under their digest, answers of the search) is
kept so that the next training of the same goes on from there, to the same digest.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl
from deltalake import DeltaTable

from vedette import __version__, config
from vedette.act import IncidentStore
from vedette.app.families import Family, Ground, Judged, Material, Rival
from vedette.app.families.all import family_of
from vedette.app.reports import papers
from vedette.app.shelves import Shelves
from vedette.core import digest
from vedette.core.errors import NotFound, Rejected
from vedette.core.failpoints import failpoint
from vedette.core.ports import Clock, Engine
from vedette.core.types import Artefact, Card, Decision, Finding
from vedette.deploy import Deployments
from vedette.train import Answers, Cuts, Dataset, Found, Inline, Manifest, Processes, by_time, capped, search
from vedette.validate.gates import gates_for, judge

Tell = Callable[[str], None]
#: (what is being done, the share of it that is done).
Show = Callable[[str, float], None]

AFTER_DATASET = failpoint("train.after_dataset")
AFTER_SEARCH = failpoint("train.after_search")
AFTER_FIT = failpoint("train.after_fit")
BEFORE_DECISION = failpoint("train.before_decision")

#: Work beyond which other processes are started: it takes two seconds until they can help.
WORTH_SECONDS: Final = 20.0
#: What one trial takes for a million rows, seconds, by family; the next training knows better.
SECONDS_A_MILLION: Final = {"anomalies": 0.6, "forecasts": 2.0, "classes": 60.0}
BYTES_A_ROW: Final = {"anomalies": 160, "forecasts": 160, "classes": 2000}


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training came to.

    Attributes:
        decision: what follows, with its reason.
        card: of the version; None where nothing changed or it was only asked what it would take.
        manifest: of the dataset.
        seconds: how long it took.
        estimate: what it would take, in words.
    """

    decision: Decision
    card: Card | None
    manifest: Manifest | None
    seconds: float
    estimate: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Who wants a training, and why.

    Attributes:
        reason: in words.
        actor: who.
        until: what came at this time or later is not looked at, UTC microseconds.
        again: train even where nothing changed.
        dry: only say what it would take.
    """

    reason: str = "by hand"
    actor: str = "policy"
    until: int | None = None
    again: bool = False
    dry: bool = False


class Training:
    """Trains, judges and reproduces the models of one home.

    Args:
        home: where everything is kept.
        declared: what the user declared.
        clock: UTC microseconds.
        tell: told in words what is being done.
        show: told how far it is.
    """

    def __init__(
        self,
        home: Path,
        declared: config.Config,
        clock: Clock,
        tell: Tell = lambda _text: None,
        show: Show = lambda _what, _share: None,
    ) -> None:
        self._home = home
        self._declared = declared
        self._clock = clock
        self._tell = tell
        self._show = show
        self._timer: Callable[[], float] = time.monotonic
        self.shelves = Shelves(home, declared)

    def train(self, name: str, asked: Asked, *, mirror: bool = True) -> Trained:
        """One training, from the lake to the first step of the version's rollout.

        Args:
            name: of the model.
            asked: who wants it, and why.
            mirror: whether MLflow is told at once.

        Raises:
            NotFound: no such model is declared.
            Rejected: there is too little data, or another training of it runs.
        """
        model = self._model(name)
        with self._alone(name), self.shelves.deployments() as deployments:
            begun = self._timer()
            ground = self._ground(model, asked.until)
            hint = self._hint(ground)
            if not asked.again and not asked.dry and hint == self._last_hint(name):
                reason = (
                    f"nothing changed since {name}@{self.shelves.registry.highest(name)} was trained; --again trains all the same"
                )
                decision = Decision(self._clock(), name, 0, "HOLD", "unchanged", reason, {"asked": asked.reason}, asked.actor)
                return Trained(decision, None, None, self._timer() - begun, "")
            if not asked.dry:
                # Before anything that may fail or be killed: whoever looks when it was tried last must see that it was.
                self._note_interrupted(name, deployments)
                deployments.note(Decision(self._clock(), name, 0, "HOLD", "training", asked.reason, {}, asked.actor))
            self._show("data", 0.0)
            # Not before: what a family needs takes longer to import than it takes to see that nothing changed.
            family = family_of(model.family)
            material = family.material(ground, self._tell)
            dataset = self._freeze(name, model, material)
            AFTER_DATASET()
            estimate = self._estimate(model, dataset)
            self._tell(estimate)
            if asked.dry:
                decision = Decision(self._clock(), name, 0, "HOLD", "dry_run", estimate, {}, asked.actor)
                return Trained(decision, None, dataset.manifest, self._timer() - begun, estimate)
            cuts = _cuts(dataset, model)
            standing = deployments.standing(name)
            rival = self._rival(name, standing.champion)
            found = self._look(name, family, model, dataset, cuts)
            AFTER_SEARCH()
            self._show("judgement", 0.0)
            judged = family.judge(dataset, cuts, found.parameters, material, ground, rival)
            findings = self._findings(model, judged)
            self._show("fit", 0.0)
            arrays = family.fit(dataset, found.parameters, model, rival)
            AFTER_FIT()
            card = Card(
                name=name, version=self.shelves.registry.highest(name) + 1, family=model.family,
                kind=family.kind, parameters=dict(found.parameters),
                recipe=material.recipe, dataset=dataset.manifest.label, dataset_digest=dataset.manifest.digest,
                seed=model.search.seed, code=__version__, trained_at=self._clock(), parent=standing.champion or None,
                trained_by=asked.actor, findings=findings, metrics=_numbers(judged.metrics),
            )  # fmt: skip
            self._show("registry", 0.0)
            card = self.shelves.registry.add(Artefact(card, arrays), papers(card, dataset.manifest, judged, found, self._declared))
            BEFORE_DECISION()
            seconds = self._timer() - begun
            decision = self._decide(card, standing.champion, asked, found, seconds)
            if decision.move == "PROMOTE":
                deployments.decide(decision, deployments.standing(name), probation=model.rollout.probation_hours > 0)
            else:
                deployments.note(decision)
            self._keep_hint(name, hint)
            for answers in (self._home / "training" / name).glob("*.answers"):
                answers.unlink()
            self.shelves.registry.prune(name, self.shelves.pointed(name))
        if mirror:
            self.shelves.mirror(self._tell)
        return Trained(decision, card, dataset.manifest, seconds, estimate)

    def validate(self, name: str, version: int) -> tuple[Judged, tuple[Finding, ...], Card, Mapping[str, str | bytes]]:
        """Judge a version again, on the data there is now, against the champion; with its report.

        Raises:
            NotFound: there is no such version.
        """
        model = self._model(name)
        family = family_of(model.family)
        artefact = self.shelves.registry.load(name, version)
        ground = self._ground(model, None)
        material = family.material(ground, self._tell)
        dataset = self._freeze(name, model, material)
        cuts = _cuts(dataset, model)
        with self.shelves.deployments() as deployments:
            champion = deployments.standing(name).champion
        rival = self._rival(name, champion) if champion != version else None
        self._show("judgement", 0.0)
        judged = family.judge(dataset, cuts, artefact.card.parameters, material, ground, rival)
        findings = self._findings(model, judged)
        card = replace(artefact.card, findings=findings, metrics=_numbers(judged.metrics))
        found = Found(artefact.card.parameters, 0.0, 0.0, 0, 0)
        return judged, findings, card, papers(card, dataset.manifest, judged, found, self._declared)

    def reproduce(self, name: str, version: int) -> tuple[str, str]:
        """Fit a version again from its card alone: the digest it has, and the one that came out.

        Raises:
            NotFound: the version or its dataset is not there any more.
        """
        card = self.shelves.registry.card(name, version)
        model = self._model(name)
        frozen, _, number = card.dataset.rpartition("@")
        dataset = self.shelves.datasets.get(frozen, int(number))
        rival = self._rival(name, card.parent or 0)
        arrays = family_of(card.family).fit(dataset, card.parameters, model, rival)
        return card.digest, digest.of_arrays(arrays)

    def _note_interrupted(self, name: str, deployments: Deployments) -> None:
        """A training that began and came to nothing was killed, or failed: only one runs at a time, and that is this one."""
        for each in deployments.decisions(name):
            if "asked" in each.evidence or each.stage == "interrupted":
                return
            if each.stage == "training":
                began = datetime.fromtimestamp(each.at / 1e6, UTC).isoformat(timespec="seconds")
                reason = f"the training that began at {began} ({each.reason}) was killed or failed, and came to nothing"
                deployments.note(Decision(self._clock(), name, 0, "HOLD", "interrupted", reason, {"began": each.at}, each.actor))
                return

    def _model(self, name: str) -> config.Model:
        if name not in self._declared.models:
            there = ", ".join(self._declared.models) or "none"
            raise NotFound(f"no model '{name}' is declared; there are: {there}. Declare it under `models:` in vedette.yaml")
        return self._declared.models[name]

    def _ground(self, model: config.Model, until: int | None) -> Ground:
        lake = self._home / "lake"
        if not lake.exists():
            raise NotFound(
                f"{self._home}: there is no lake here; name its folder with --home, or bring data in with: vedette import"
            )
        path = self._home / "vedette.db"
        if not path.exists():
            return Ground(lake, self._declared, model, until=until)
        with IncidentStore(f"sqlite:///{path}") as store:
            incidents, windows = store.list(limit=100_000), store.windows()
        if until is not None:
            incidents = tuple(each for each in incidents if each.started_at < until)
        return Ground(lake, self._declared, model, incidents, windows, until)

    def _freeze(self, name: str, model: config.Model, material: Material) -> Dataset:
        rows = capped(material.rows, model.share_cap)
        counts = rows.group_by("source").len().sort("source")
        at = rows["at"].dt.timestamp("us")
        left_out = (
            material.spans.group_by("start", "end", "why").agg(series=pl.col("series").n_unique()).sort("start", "end", "why")
        )
        manifest = Manifest(
            name=name, version=0, family=model.family, selection=model.match.model_dump(),
            start=int(at.min() or 0), end=int(at.max() or 0) + 1,  # type: ignore[arg-type]
            tables=material.tables, recipe=material.recipe, left_out=tuple(left_out.to_dicts()), rows=rows.height,
            series=rows["series"].n_unique(), removed=0, thinned=material.rows.height - rows.height,
            sources={str(source): round(count / max(rows.height, 1), 6) for source, count in counts.iter_rows()},
            rows_digest="", made_at=self._clock(),
        )  # fmt: skip
        dataset = Dataset(manifest, rows, material.spans)
        dataset = replace(dataset, manifest=replace(manifest, removed=rows.height - dataset.clean().height))
        return self.shelves.datasets.put(dataset)

    def _look(self, name: str, family: Family, model: config.Model, dataset: Dataset, cuts: Cuts) -> Found:
        until = self._timer() + model.search.seconds
        folder = self._home / "training" / name / dataset.manifest.digest
        work = self._seconds(model, dataset.manifest.rows)
        processes = model.search.processes or os.cpu_count() or 1
        engine: Engine = Processes(processes) if processes > 1 and work > WORTH_SECONDS else Inline()
        trials = max(model.search.trials, 1)
        look = partial(
            search,
            trials=model.search.trials,
            seed=model.search.seed,
            engine=engine,
            remembered=self._answers(name, dataset, model),
            go_on=lambda: self._timer() < until,
            tell=lambda done, best: self._show(f"search, best {best:.3f}", done / trials),
        )
        try:
            return family.search(dataset, cuts, model, folder, look)
        finally:
            engine.close()
            _remove(folder)

    def _answers(self, name: str, dataset: Dataset, model: config.Model) -> Answers:
        asked = digest.of_values([dataset.manifest.digest, model.model_dump(mode="json"), __version__])
        return Answers(self._home / "training" / name / f"{asked}.answers")

    def _rival(self, name: str, version: int) -> Rival | None:
        if not version:
            return None
        artefact = self.shelves.registry.load(name, version)
        return Rival(version, artefact.card.parameters, artefact.arrays)

    def _findings(self, model: config.Model, judged: Judged) -> tuple[Finding, ...]:
        gates = judge(judged.metrics, judged.champion, gates_for(model.family, model.gates))
        return (*gates, *judged.findings)

    def _decide(self, card: Card, champion: int, asked: Asked, found: Found, seconds: float) -> Decision:
        failed = [each for each in card.findings if not each.passed]
        evidence = {
            "asked": asked.reason, "seconds": round(seconds, 2), "tried": found.tried, "pruned": found.pruned,
            "metrics": dict(card.metrics), "failed": [each.check for each in failed],
        }  # fmt: skip
        at = asked.until or self._clock()
        if failed:
            told = "; ".join(f"{each.check}: {each.measured}, required {each.required}. {each.why}" for each in failed)
            kept = f"{card.name}@{champion} stays" if champion else "what is shipped stays"
            return Decision(at, card.name, card.version, "HOLD", "refused", f"{kept}: {told}", evidence, asked.actor)
        passed = f"it passed its {len(card.findings)} checks"
        if not champion:
            return Decision(
                at, card.name, card.version, "PROMOTE", "champion", f"{passed}, and is the first", evidence, asked.actor
            )
        reason = f"{passed}; it is compared with {card.name}@{champion} before it speaks"
        return Decision(at, card.name, card.version, "PROMOTE", "shadow", reason, evidence, asked.actor)

    def _seconds(self, model: config.Model, rows: int) -> float:
        trials = model.search.trials + 6 if model.family != "forecasts" else 4
        return SECONDS_A_MILLION[model.family] * rows / 1e6 * trials

    def _estimate(self, model: config.Model, dataset: Dataset) -> str:
        manifest = dataset.manifest
        seconds = max(self._seconds(model, manifest.rows), 1.0)
        size = BYTES_A_ROW[model.family] * manifest.rows * 2 / (1 << 20)
        return (
            f"{manifest.label}: {manifest.rows:,} rows of {manifest.series:,} series, {manifest.removed:,} of them never learnt, "
            f"{manifest.thinned:,} left out by the cap; about {seconds:,.0f} s and {size:,.0f} MiB"
        )

    def _hint(self, ground: Ground) -> str:
        """A digest of everything that a training looks at, without reading rows."""
        tables = {table: _version(ground.lake, table) for table in ("metrics", "series", "events")}
        said = [(each.id, each.verdict, each.updated_at) for each in ground.incidents]
        windows = [(each.kind, each.start, each.end, sorted(each.labels.items())) for each in ground.windows]
        # A version becoming champion does change what the next one is held against, but not what it learns.
        settings = [ground.model.model_dump(mode="json"), ground.declared.prepare.model_dump(mode="json")]
        return digest.of_values([tables, said, windows, settings, ground.until, __version__])

    def _last_hint(self, name: str) -> str:
        path = self._home / "training" / name / "hint"
        return path.read_text(encoding="ascii") if path.exists() else ""

    def _keep_hint(self, name: str, hint: str) -> None:
        path = self._home / "training" / name / "hint"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(hint, encoding="ascii")

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        folder = self._home / "training" / name
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise Rejected(f"{name}: another training of it runs; one at a time") from error
        try:
            for left in folder.iterdir():
                if left.is_dir():
                    _remove(left)
            yield
        finally:
            os.close(lock)


def _cuts(dataset: Dataset, model: config.Model) -> Cuts:
    manifest = dataset.manifest
    return by_time(manifest.start, manifest.end, model.validation, model.holdout, int(model.gap_seconds * 1e6))


def _numbers(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if value == value}  # noqa: PLR0124 -- not NaN


def _version(lake: Path, table: str) -> int:
    path = str(lake / table)
    return DeltaTable(path).version() if DeltaTable.is_deltatable(path) else -1


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
