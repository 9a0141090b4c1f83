"""History into the lake: what was recorded elsewhere, exactly once by the content of its file.

It does not go through the log and is not scored: it is what models are trained and judged on. Lines get the templates
that live lines would get. Each file is cut into pieces that are committed with their keys, so that a
repeated import, or one that was cut off, adds only what is missing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path

import polars as pl
from pydantic import ValidationError

from vedette.act import IncidentStore, Window
from vedette.collect.columns import Columns
from vedette.collect.history import read
from vedette.collect.intake import redacted
from vedette.collect.prometheus import PrometheusSettings, PrometheusSource
from vedette.collect.series import SeriesTable
from vedette.collect.truth import Truth
from vedette.config import Config
from vedette.core.errors import ConfigError
from vedette.core.frames import AT, COUNTED, SERIES
from vedette.core.ports import Clock, Redactor
from vedette.core.types import Delivery
from vedette.lake import Lake
from vedette.prepare.templates import TemplateMiner
from vedette.security import Redaction
from vedette.security.outbound import client

GATHERED_ROWS = 1_000_000
LISTS = ("values", "labels", "ignore")


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of the records of an import; `windows` that were new, None where no truth was asked for."""

    received: int = 0
    stored: int = 0
    duplicate: int = 0
    rejected: int = 0
    dead_lettered: int = 0
    windows: int | None = None


class Importer:
    """Takes deliveries with keys into the lake, each once.

    Args:
        lake: where they go.
        redact: takes secrets out of text first, as for live records.
        clock: UTC microseconds, for the time at which a series or a template was first seen.
    """

    def __init__(self, lake: Lake, redact: Redactor, clock: Clock) -> None:
        self._lake = lake
        self._redact = redact
        self._clock = clock
        self._miner = TemplateMiner()
        self._series = set(lake.scan("series").select("series").collect()["series"].to_list())
        self._templates = set(lake.scan("templates").select("template").collect()["template"].to_list())

    def bring(self, deliveries: Iterable[Delivery]) -> Iterator[Brought]:
        """Add `deliveries`; what has become of them so far, after each commit.

        Raises:
            Transient: the lake cannot be written now; repeat the import later.
        """
        sums = Brought()
        for group in _gathered(deliveries):
            sums = self._add(group, sums)
            yield sums

    def _add(self, group: list[Delivery], sums: Brought) -> Brought:
        clean = [redacted(each, self._redact) for each in group]
        self._describe(clean)
        stored, dead = 0, 0
        for table in COUNTED:
            pieces = {each.key or "": _sourced(each, table) for each in clean if table in each.frames}
            if table == "logs" and pieces:
                pieces = self._templated(pieces)
            added = sum(self._lake.bring(table, pieces).values()) if pieces else 0
            if table == "dead_letters":
                dead += added
            else:
                stored += added
        records, rejected = sum(each.records for each in group), sum(each.rejected for each in group)
        return Brought(
            sums.received + records + rejected,
            sums.stored + stored,
            sums.duplicate + records - stored - dead,
            sums.rejected + rejected,
            sums.dead_lettered + dead,
        )

    def _describe(self, group: list[Delivery]) -> None:
        defined = [_sourced(each, "series") for each in group if "series" in each.frames]
        if not defined:
            return
        series = pl.concat(defined).unique("series", keep="first", maintain_order=True)
        fresh = series.filter(~pl.col("series").is_in(list(self._series)))
        if not fresh.is_empty():
            self._lake.append_now("series", fresh.select(*SERIES, "source", first_seen=pl.lit(self._clock()).cast(AT)))
            self._series.update(fresh["series"].to_list())

    def _templated(self, pieces: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        done = {}
        for key, logs in pieces.items():
            mined = self._miner.learn(logs["body"], logs["at"], logs["series"])
            fresh = mined.templates.filter(~pl.col("template").is_in(list(self._templates))).unique("template", keep="last")
            if not fresh.is_empty():
                self._lake.append_now("templates", fresh)
                self._templates.update(fresh["template"].to_list())
            done[key] = logs.with_columns(template=mined.ids)
        return done


def columns(words: Sequence[str]) -> Columns | None:
    """`Columns` from words KEY=VALUE, lists by commas; None where nothing is said.

    Raises:
        ConfigError: everything that is not known of columns, or said twice.

    >>> columns(["labels=vm,zone", "unit=s"]).labels
    ('vm', 'zone')
    """
    if not words:
        return None
    pairs = [each.partition("=") for each in words]
    told = {key: value.split(",") if key in LISTS else value for key, _, value in pairs}
    faults = [f"--column {key}: expected KEY=VALUE" for key, sign, _ in pairs if not sign]
    faults += [f"--column {key}: said twice; lists go by commas" for key in told if [each for each, *_ in pairs].count(key) > 1]
    try:
        found = Columns.model_validate(told)
    except ValidationError as error:
        raise ConfigError(faults + [_fault(each["loc"], each["type"], each["msg"]) for each in error.errors()]) from error
    if faults:
        raise ConfigError(faults)
    return found


def _fault(place: tuple[int | str, ...], kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        message = f"there is no such key; there are: {', '.join(Columns.model_fields)}"
    return f"--column {'.'.join(map(str, place))}".rstrip() + f": {message.removeprefix('Value error, ')}"


def files(
    home: Path, declared: Config, path: Path, mapping: Columns | None, clock: Clock, progress: Callable[[int, int], None]
) -> Iterator[Brought]:
    """Bring the file at `path` into the lake of `home`; `progress` is told rows and bytes of the file read so far.

    Where the file tells when something was wrong, that becomes outages that are never learnt from, kept beside the incidents.
    """
    importer, table = _importer(home, declared, clock)
    truth = Truth() if mapping is not None and mapping.truth else None
    last = Brought()
    for last in importer.bring(read(path, limits=declared.limits, table=table, mapping=mapping, progress=progress, truth=truth)):
        yield last
    if truth is not None:
        with IncidentStore(f"sqlite:///{home / 'vedette.db'}") as store:
            yield replace(last, windows=store.add_windows(outages(truth, table)))


def outages(truth: Truth, table: SeriesTable) -> list[Window]:
    """What `truth` marks as windows, each of one series: by its name and labels, with nothing in them taken for a pattern."""
    spans = truth.spans()
    known = table.definitions(spans["series"].unique(maintain_order=True).to_list())
    labels = {
        series: {key: escape(text) for key, text in {"__name__": name, **dict(pairs)}.items()}
        for series, name, pairs in known.select("series", "name", "labels").iter_rows()
    }
    return [Window(0, "outage", start, end, labels[series], "labelled") for series, start, end in spans.iter_rows()]


def ranges(home: Path, declared: Config, url: str, match: Sequence[str], span: tuple[int, int], clock: Clock) -> Iterator[Brought]:
    """Bring what a Prometheus server at `url` knows of `match` within `span`, UTC microseconds."""
    importer, table = _importer(home, declared, clock)
    with client(declared.outbound.allow) as asking:
        source = PrometheusSource(
            PrometheusSettings(url=url, match=tuple(match), bearer=""), table, clock, asking, declared.limits, "import"
        )
        yield from importer.bring(source.history(*span))


def _importer(home: Path, declared: Config, clock: Clock) -> tuple[Importer, SeriesTable]:
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError([f"--home {home}: it cannot be written ({error.strerror}); name another folder"]) from error
    redaction = Redaction(declared.redaction)
    table = SeriesTable(declared.limits.series_per_source, redaction.text)
    return Importer(Lake(home / "lake", declared.lake, clock), redaction, clock), table


def _gathered(deliveries: Iterable[Delivery]) -> Iterator[list[Delivery]]:
    """Deliveries of one file, up to about a million rows, so that a commit is worth its while."""
    group: list[Delivery] = []
    rows = 0
    for delivery in deliveries:
        group.append(delivery)
        rows += delivery.records
        if rows >= GATHERED_ROWS:
            yield group
            group, rows = [], 0
    if group:
        yield group


def _sourced(delivery: Delivery, table: str) -> pl.DataFrame:
    return delivery.frames[table].with_columns(source=pl.lit(delivery.source))
