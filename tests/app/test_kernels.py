from itertools import chain

import cramjam
import polars as pl
from numba.core.dispatcher import Dispatcher

from vedette.app import kernels
from vedette.collect import otlp_logs_wire, otlp_metrics_wire, remote_write_wire
from vedette.collect.limits import Limits
from vedette.collect.otlp import Otlp
from vedette.collect.remote_write import RemoteWrite
from vedette.collect.series import SeriesTable
from vedette.core.catalogue import Catalogue
from vedette.core.types import Beat
from vedette.log import LogSettings, SqliteLog
from vedette.models import slots as model_slots
from vedette.models import standard, walk
from vedette.prepare import PrepareSettings, StandardRecipe, counters, histograms, identity, log_counts, slots, tokens
from vedette.serve.scorer import Scorer

MODULES = (
    *(remote_write_wire, otlp_metrics_wire, otlp_logs_wire),
    *(counters, histograms, identity, log_counts, slots, tokens),
    *(walk, model_slots),
)


def compiled() -> dict[str, int]:
    found = chain.from_iterable(vars(module).values() for module in MODULES)
    return {f"{each.__module__}.{each.__name__}": len(each.signatures) for each in found if isinstance(each, Dispatcher)}


def test_what_comes_from_the_log_needs_no_kernel_that_was_not_compiled_before(tmp_path):
    for run, _ in kernels.PARTS.values():
        run()
    before = compiled()
    table = SeriesTable()
    remote, otlp = RemoteWrite(table, Limits()), Otlp(table, Limits())
    block = bytes(cramjam.snappy.compress_raw(kernels.SAMPLE))
    log = SqliteLog(tmp_path / "log.db", LogSettings(), clock=lambda: kernels.NOW)
    for delivery in (
        remote.decode(block, now=kernels.NOW, version=1),
        otlp.metrics(kernels.METRICS, now=kernels.NOW, json=True),
        otlp.logs(kernels.LOGS, now=kernels.NOW, json=True),
    ):
        log.append(delivery).result()
    log.tick().result()
    reader = log.reader(0)
    beat = reader.poll(1).items
    recipe, scorer = StandardRecipe(PrepareSettings(), Catalogue()), Scorer(standard())
    verdicts = scorer.score(recipe(beat), beat.at)
    for frames in ({}, {"logs": beat.frames["logs"]}):
        scorer.score(recipe(Beat(beat.at, beat.last, frames)), beat.at)
    reader.close()
    log.close()
    assert isinstance(verdicts, pl.DataFrame)
    assert compiled() == before


def test_the_second_time_nothing_is_compiled():
    for part in kernels.PARTS:
        kernels.compile_part(part)
    told = []
    kernels.ensure(told.append)
    assert told == []
