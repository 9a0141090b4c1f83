"""All roles of the stream in one process."""

import os
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self

import polars as pl
import structlog
from starlette.routing import Route

from vedette import __version__, config
from vedette.act import Incidents
from vedette.act.incident import SEVERITIES
from vedette.act.notify import Notifier
from vedette.act.post import Poster
from vedette.act.store import IncidentStore
from vedette.app.attempts import BeatAttempts
from vedette.app.home import held, record, write_status
from vedette.app.journey import Journey, unread
from vedette.app.lifecycle import Lifecycle
from vedette.app.loop import Loop
from vedette.app.metrics import BooksCollector, ModelsCollector
from vedette.app.models import Models
from vedette.app.serving import Serving
from vedette.app.sources import Pump, pulled
from vedette.app.trainer import Trainer
from vedette.collect import compression
from vedette.collect.grpc import OtlpGrpc
from vedette.collect.http import Codecs, Receivers
from vedette.collect.intake import Intake
from vedette.collect.otlp import Otlp
from vedette.collect.push import Push
from vedette.collect.remote_write import RemoteWrite
from vedette.collect.series import SeriesTable
from vedette.collect.syslog_server import SyslogServer
from vedette.core.catalogue import Catalogue
from vedette.core.errors import Transient
from vedette.core.flow import Flow
from vedette.core.ports import Clock
from vedette.core.telemetry import Telemetry
from vedette.lake import Lake
from vedette.log import SqliteLog
from vedette.models import standard
from vedette.prepare import StandardRecipe
from vedette.security import Redaction
from vedette.security.addresses import checked
from vedette.security.outbound import client
from vedette.serve.checkpoints import Checkpoints
from vedette.serve.scorer import Scorer

TICK_SECONDS = 1.0
IDLE_TICKS = 5
FIRST_MAINTAIN_SECONDS = 60.0
STATUS_SECONDS = 10.0
LIFECYCLE_SECONDS = 15.0

log = structlog.get_logger()


class App:
    """The stream in one process: a context manager, running between enter and exit.

    Args:
        declared: what the user declared.
        home: where everything is kept; made where it is missing, for its owner only.
        clock: UTC microseconds.
        path: where that was declared; None for the defaults.
        compiled: whether the kernels of the receivers are; bodies that need them wait until then.
    """

    def __init__(
        self,
        declared: config.Config,
        home: Path,
        clock: Clock,
        compiled: Callable[[], bool] = lambda: True,
        path: Path | None = None,
    ) -> None:
        self.config = declared
        self.home = home
        self.clock = clock
        self._path = path
        self._compiled = compiled
        self.telemetry = Telemetry()
        self.telemetry.build.labels(__version__).set(1)
        self.catalogue = Catalogue()
        self.redaction = Redaction(declared.redaction, lambda kind, texts: self.telemetry.redactions.labels(kind).inc(texts))
        self.table = SeriesTable(
            declared.limits.series_per_source,
            self.redaction.text,
            lambda source, samples: self.telemetry.cardinality.labels(source).inc(samples),
        )
        self.otlp = Otlp(self.table, declared.limits)
        self._stopping = Event()
        self._threads: dict[str, Thread] = {}
        self._ended: dict[str, str] = {}
        self._held_up = ""
        self._pumps: dict[str, Pump] = {}
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self._open(undo)
            self._run(undo)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _open(self, undo: ExitStack) -> None:
        declared, home = self.config, self.home
        undo.enter_context(held(home))
        self.lake = Lake(home / "lake", declared.lake, self.clock)
        self.store = IncidentStore(f"sqlite:///{home / 'vedette.db'}")
        undo.callback(self.store.close)
        memory = Checkpoints(home / "checkpoints")
        checkpoint = memory.latest()
        floor = max(self.lake.floor(), checkpoint.offset if checkpoint else 0)
        corrupt = self.telemetry.corrupt_bytes.inc
        self.log = SqliteLog(home / "log" / "log.db", declared.log, clock=self.clock, floor=floor, corrupt=corrupt)
        undo.callback(self.log.close)
        if checkpoint is None and self.log.last:
            log.warning("no checkpoint can be read: all that was learnt begins anew; what is in the log is scored again")
        attempts = BeatAttempts(home / "attempts")
        undo.callback(attempts.close)
        recipe = StandardRecipe(declared.prepare, self.catalogue)
        here = socket.gethostname() if config.is_loopback(declared.web.listen) else ""
        incidents = Incidents(declared.act, self.catalogue, here)
        self.loop = Loop(declared, home, self.lake, self.store, self.catalogue, recipe.digest, self.clock)
        undo.callback(self.loop.close)
        self.scorer = Scorer({**standard(declared.detectors), "envelope": self.loop.fleet})
        self.flow = Flow(
            self.log.reader,
            Journey(recipe, self.scorer, incidents, self.telemetry, self.clock, declared.lake, self.loop),
            {"catalogue": self.catalogue, "recipe": recipe, "scorer": self.scorer, "incidents": incidents, **self.loop.parts()},
            unread=lambda beat: unread(beat, self.catalogue, declared.lake),
            store=self.lake,
            publish=self.loop.publish,
            memory=memory,
            release=self.log.release,
            attempts=attempts,
            settings=declared.flow,
            turn=self.loop.turn,
        )
        undo.callback(self._write_status)
        self.flow.start()
        undo.callback(self.flow.stop)
        self.telemetry.registry.register(
            BooksCollector(self.log.books, lambda: {"serve": self.log.lag(self.flow.offset)}, self._open_incidents)
        )
        self.telemetry.registry.register(ModelsCollector(self.loop.gauges, self.store.false_alarms))
        self.intake = Intake(self.log, self.table, self.redaction)

    def _run(self, undo: ExitStack) -> None:
        undo.callback(self._join)
        self._thread("serve", self._consume)
        if self.config.receivers:
            self._thread("notify", lambda: self._notifier().run(self._stopping.wait))
        self._thread("tick", self._tick)
        self._thread("maintain", self._maintain)
        self._thread("status", self._leave_status)
        if self.config.models:
            trainer = Trainer(self.home, self._path)
            undo.callback(trainer.close)
            lifecycle = self.loop.lifecycle(trainer.start, trainer.running)
            self._thread("lifecycle", lambda: self._live(lifecycle, trainer))
        for name, declared in self.config.sources.items():
            source = pulled(
                name,
                declared,
                table=self.table,
                clock=self.clock,
                limits=self.config.limits,
                client=lambda: client(self.config.outbound.allow),
            )
            if source is not None:
                pump = Pump(name, source, journal=self.log, table=self.table, redact=self.redaction, stopping=self._stopping)
                self._pumps[name] = pump
                self._thread(f"source {name}", pump.run)

    def _leave_status(self) -> None:
        self._write_status()
        while not self._stopping.wait(STATUS_SECONDS):
            self._write_status()

    def _write_status(self) -> None:
        try:
            write_status(self.home, self.status())
        except (OSError, Transient) as error:
            log.warning("the status cannot be written now; it is written again later", reason=str(error))

    def _open_incidents(self) -> Mapping[str, int]:
        found = Counter(each.severity for each in self.store.open())
        return {severity: found[severity] for severity in SEVERITIES}

    def _join(self) -> None:
        self._stopping.set()
        for thread in self._threads.values():
            thread.join()

    def _thread(self, name: str, run: Callable[[], None]) -> None:
        thread = self._threads[name] = Thread(target=self._watched, args=(name, run), name=name, daemon=True)
        thread.start()

    def _watched(self, name: str, run: Callable[[], None]) -> None:
        """Run to the end; one that was not meant is told in a log line and by `health`. The others go on, the log before all."""
        try:
            run()
        except (Exception, pl.exceptions.PanicException) as error:
            self._ended[name] = f"it has stopped: {type(error).__name__}: {error}; its log line says more, a restart tries again"
            log.exception("a part has stopped", part=name)

    def _consume(self) -> None:
        while not self._stopping.is_set():
            try:
                self.flow.step()
            except Transient as error:
                if str(error) != self._held_up:
                    log.warning("the tables cannot be written now; trying again", reason=str(error))
                self._held_up = str(error)
                self._stopping.wait(error.retry_after)
            else:
                self._held_up = ""

    def _tick(self) -> None:
        seen, idle = -1, 0
        while not self._stopping.wait(TICK_SECONDS):
            idle += 1
            if self.log.last != seen or idle >= IDLE_TICKS:
                idle = 0
                try:
                    seen = self.log.tick().result().offset
                except Transient as error:
                    log.warning("the log cannot be written now; trying again", reason=str(error))

    def _maintain(self) -> None:
        pause = min(FIRST_MAINTAIN_SECONDS, self.config.lake.maintain_seconds)
        while not self._stopping.wait(pause):
            pause = self.config.lake.maintain_seconds
            try:
                now = self.clock()
                self.store.forget(now - self.config.lake.retention_days.events * 86_400_000_000)
                done = self.lake.maintain(now)
            except Transient as error:
                log.warning("the lake could not be tidied; it is tried again later", reason=str(error))
            else:
                log.info("the lake was tidied", **asdict(done))

    def _live(self, lifecycle: Lifecycle, trainer: Trainer) -> None:
        told = self.loop.standings()
        while not self._stopping.wait(LIFECYCLE_SECONDS):
            try:
                lifecycle.tick(self.clock())
                if (stand := self.loop.standings()) != told:
                    told = stand
                    trainer.mirror()
            except Transient as error:
                log.warning("the models cannot be looked after now; trying again", reason=str(error))

    def _notifier(self) -> Notifier:
        allow = self.config.outbound.allow
        scheme = "https" if self.config.web.tls else "http"
        return Notifier(
            self.store,
            self.config.receivers,
            clock=self.clock,
            post=Poster(lambda url: checked(url, allow)),
            random=random.random,
            count=lambda receiver, outcome: self.telemetry.notifications.labels(receiver, outcome).inc(),
            address=f"{scheme}://{self.config.web.listen}",
        )

    def verdict(self, incident: str, answer: str, actor: str, note: str) -> None:
        """Keep what an operator says of an incident, in SQL and as data in the lake.

        Raises:
            NotFound: there is no such incident.
            BadRecord: the answer is none of `real`, `false`, `known`.
        """
        record(self.lake, self.store.answer(incident, answer, actor, note, self.clock()))

    @property
    def serving(self) -> Serving:
        """The versions that answer requests."""
        return self.loop.serving

    @property
    def models(self) -> Models:
        """All models and their versions."""
        return self.loop.models

    def datasets(self) -> Sequence[Mapping[str, Any]]:
        """What models learn from, the newest first."""
        return self.loop.models.datasets()

    def receivers(self) -> list[Route]:
        """The POST routes of everything that is sent to us."""
        limits = self.config.limits
        codecs = Codecs(compression.decompress, RemoteWrite(self.table, limits).decode, self.otlp.metrics, self.otlp.logs)
        pushes = {
            name: Push(name, declared, self.table, limits)
            for name, declared in self.config.sources.items()
            if isinstance(declared, config.Push)
        }
        return Receivers(self.intake, codecs, limits, self.clock, pushes, compiled=self._compiled).routes()

    @asynccontextmanager
    async def listeners(self) -> AsyncIterator[None]:
        """Listen on every port but the HTTP one while entered."""
        limits = self.config.limits
        async with AsyncExitStack() as stack:
            if self.config.web.grpc:
                doors = (self.config.web.grpc, self.intake, self.otlp.metrics, self.otlp.logs)
                token = self.config.web.token
                grpc = OtlpGrpc(*doors, limits=limits, clock=self.clock, token=token, compiled=self._compiled)
                await stack.enter_async_context(grpc)
            for name, declared in self.config.sources.items():
                if isinstance(declared, config.Syslog):
                    server = SyslogServer(name, declared, self.intake, self.table, limits, self.clock)
                    await stack.enter_async_context(server)
            yield

    def health(self) -> Mapping[str, Mapping[str, str]]:
        """Each part, its state (`ok`, `degraded` or `failed`), and why."""
        parts = {
            name: _health("" if thread.is_alive() else self._ended.get(name, "it has ended"), "failed")
            for name, thread in self._threads.items()
        }
        if parts["serve"]["state"] == "ok":
            parts["serve"] = _health(self._held_up or self.flow.trouble, "degraded")
        parts["log"] = _health(self.log.refusing, "failed")
        return parts | {f"source {name}": _health(pump.trouble, "degraded") for name, pump in self._pumps.items() if pump.trouble}

    def status(self) -> dict[str, Any]:
        """The sources and their books, the lag, and how far the models are."""
        now = self.clock()
        return {
            "version": __version__,
            "pid": os.getpid(),
            "address": self.config.web.listen,
            "at": datetime.fromtimestamp(now / 1e6, UTC).isoformat(timespec="seconds"),
            "sources": self.log.books(),
            "lag": self.log.lag(self.flow.offset),
            "series": len(self.catalogue),
            "models": [
                {"model": each.model, "known": each.known, "learning": each.young, "why": each.why}
                for each in self.scorer.learning(now)
            ],
            "lifecycle": self.loop.standings(),
            "log_bytes": self.log.size_bytes(),
        }


def _health(trouble: str, otherwise: str) -> Mapping[str, str]:
    return {"state": otherwise if trouble else "ok", "why": trouble}
