"""The log lines of a service, as whole columns."""

import re
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import polars as pl

from vedette.core.frames import AT, LABELS, LOGS, empty
from vedette.core.identity import series_id
from vedette.testing.simulation.chance import Bits, Chance, Floats, Places
from vedette.testing.simulation.happenings import Condition
from vedette.testing.simulation.physics import load
from vedette.testing.simulation.services import MINUTE, Service
from vedette.testing.simulation.words import GRAVE, PAGES, ROUTINE

STREAM: Final = "log_stream"
#: Lines of one kind in one step at most; the number of a line in its step is part of its place.
_MOST: Final = 4096
_FIELD: Final = re.compile(r"\{(\w+)\}")


def stream(service: Service, host: str) -> int:
    """The identity of the log of a host."""
    return series_id(STREAM, {"service": service.name, "host": host})


def lines(service: Service, state: Condition, at: Places, step: int, chance: Chance) -> pl.DataFrame:
    """LOGS of one service, of all the steps that begin at `at` (UTC microseconds, each `step` long), in no order.

    Routine lines follow the load, grave ones the requests that fail; durations in them follow those of the requests.
    """
    minutes = step / MINUTE
    ratio = load(service, state, at, chance) / service.load
    failing = np.minimum(service.errors + state.failing, 1.0)
    # Clients try again while nothing is answered, so failures are logged of what they want, not of what arrives.
    wanted = ratio / state.answered
    routine = service.lines * minutes * ratio * state.answered * state.seen
    grave = service.lines * minutes * 8.0 * wanted * failing * state.seen
    parts = (
        _kind(service, "routine", ROUTINE[service.kind], routine, state, at, step, chance),
        _kind(service, "grave", GRAVE[service.kind], grave, state, at, step, chance),
    )
    return pl.concat(parts)


def _kind(
    service: Service,
    name: str,
    texts: tuple[tuple[int, str], ...],
    mean: Floats,
    state: Condition,
    at: Places,
    step: int,
    chance: Chance,
) -> pl.DataFrame:
    name = f"{service.name}|{name}"
    counts = np.minimum(chance.counts(f"{name}|count", at, mean), _MOST)
    which = np.repeat(np.arange(len(at)), counts)
    if not len(which):
        return empty(LOGS)
    order = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    # Steps are a second long at least, so times leave room for the number of a line in its step.
    place = at[which] + order
    # Templates come in halves: the first makes half of the lines, the next a quarter.
    half = np.floor(-np.log2(chance.uniform(f"{name}|text", place))).astype(np.int64) % len(texts)
    by_text = np.argsort(half, kind="stable")
    which, place, half = which[by_text], place[by_text], half[by_text]
    edges = np.searchsorted(half, np.arange(len(texts) + 1))
    host = (chance.bits(f"{name}|host", place) % np.uint64(service.hosts)).astype(np.int64)
    when = at[which] + (chance.uniform(f"{name}|when", place) * step).astype(np.int64)
    late = (chance.uniform(f"{name}|late", place) * 400_000).astype(np.int64) + 5_000
    pace = 1000.0 * service.latency * state.slowness[which]
    spans = [(text, slice(*edges[number : number + 2])) for number, (_, text) in enumerate(texts)]
    body = pl.concat([_bodies(text, place[span], pace[span], name, chance) for text, span in spans])
    severity = np.array([grade for grade, _ in texts], np.int32)[half]
    streams = np.array([stream(service, each) for each in service.names])[host]
    marks = pl.Series([{"host.name": each, "service.name": service.name} for each in service.names], dtype=LABELS).gather(host)
    columns = (when, when + late, streams, severity, body, marks)
    return pl.DataFrame(dict(zip(LOGS, columns, strict=True))).cast({"at": AT, "observed_at": AT})


def _bodies(text: str, place: Places, pace: Floats, name: str, chance: Chance) -> pl.Series:
    """What the lines with this text say, in one pass."""
    columns: dict[str, Bits | Floats] = {"pace": pace}
    pieces: list[pl.Expr] = []
    for number, piece in enumerate(_FIELD.split(text)):
        if number % 2:
            columns[str(number)] = chance.bits(f"{name}|{text}|{number}", place)
            pieces.append(FIELDS[piece](pl.col(str(number))))
        elif piece:
            pieces.append(pl.lit(piece))
    return pl.DataFrame(columns).select(pl.concat_str(pieces)).to_series()


def _below(bits: pl.Expr, count: int) -> pl.Expr:
    return bits % pl.lit(count, dtype=pl.UInt64)


def _milliseconds(bits: pl.Expr) -> pl.Expr:
    # A third of p95 is about the mean of an exponential duration.
    drawn = -((_below(bits, 1_000_000).cast(pl.Float64) + 0.5) / 1e6).log()
    return (1.0 + pl.col("pace") / 3.0 * drawn).cast(pl.Int64).cast(pl.String)


def _hex(bits: pl.Expr) -> pl.Expr:
    pairs = (_PAIRS.gather(_below(bits // pl.lit(256**place, dtype=pl.UInt64), 256)) for place in range(4))
    return pl.concat_str(list(pairs))


def _address(bits: pl.Expr) -> pl.Expr:
    return pl.format("10.0.{}.{}", _below(bits // pl.lit(2**32, dtype=pl.UInt64), 8), _below(bits, 250) + 2)


_PAGES: Final = pl.lit(pl.Series(PAGES, dtype=pl.String))
_PAIRS: Final = pl.lit(pl.Series([f"{byte:02x}" for byte in range(256)], dtype=pl.String))
#: Field of a text -> how its 64 bits are written.
FIELDS: Final[Mapping[str, Callable[[pl.Expr], pl.Expr]]] = {
    "number": lambda bits: (_below(bits, 90_000) + 10_000).cast(pl.String),
    "few": lambda bits: (_below(bits, 8) + 1).cast(pl.String),
    "percent": lambda bits: pl.format("{}.{}", _below(bits, 100), _below(bits // pl.lit(128, dtype=pl.UInt64), 10)),
    "port": lambda bits: (_below(bits, 64_000) + 1024).cast(pl.String),
    "ms": _milliseconds,
    "page": lambda bits: _PAGES.gather(_below(bits, len(PAGES))),
    "hex": _hex,
    "address": _address,
}
