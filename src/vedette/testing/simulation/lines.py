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
    host = (chance.bits(f"{name}|host", place) % np.uint64(service.hosts)).astype(np.int64)
    when = at[which] + (chance.uniform(f"{name}|when", place) * step).astype(np.int64)
    late = (chance.uniform(f"{name}|late", place) * 400_000).astype(np.int64) + 5_000
    pace = 1000.0 * service.latency * state.slowness[which]
    rows = [_texts(text, np.flatnonzero(half == number), place, pace, name, chance) for number, (_, text) in enumerate(texts)]
    body = pl.concat([each for _, each in rows]).gather(np.argsort(np.concatenate([each for each, _ in rows])))
    severity = np.array([grade for grade, _ in texts], np.int32)[half]
    streams = np.array([stream(service, each) for each in service.names])[host]
    marks = pl.Series([{"host.name": each, "service.name": service.name} for each in service.names], dtype=LABELS).gather(host)
    columns = (when, when + late, streams, severity, body, marks)
    return pl.DataFrame(dict(zip(LOGS, columns, strict=True))).cast({"at": AT, "observed_at": AT})


def _texts(text: str, chosen: Places, place: Places, pace: Floats, name: str, chance: Chance) -> tuple[Places, pl.Series]:
    """The rows that have this text, and what they say."""
    pieces: list[pl.Expr] = []
    for number, piece in enumerate(_FIELD.split(text)):
        if number % 2:
            bits = chance.bits(f"{name}|{text}|{number}", place[chosen])
            pieces.append(pl.lit(FIELDS[piece](bits, pace[chosen]), dtype=pl.String))
        elif piece:
            pieces.append(pl.lit(piece))
    return chosen, pl.select(pl.concat_str(pieces)).to_series()


def _number(bits: Bits, _: Floats) -> pl.Series:
    return pl.Series(bits % np.uint64(90_000) + np.uint64(10_000)).cast(pl.String)


def _few(bits: Bits, _: Floats) -> pl.Series:
    return pl.Series(bits % np.uint64(8) + np.uint64(1)).cast(pl.String)


def _percent(bits: Bits, _: Floats) -> pl.Series:
    return pl.Series((bits % np.uint64(1000)) / 10.0).cast(pl.String)


def _ms(bits: Bits, pace: Floats) -> pl.Series:
    # A third of p95 is about the mean of an exponential duration.
    drawn = -np.log(((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52)
    return pl.Series((1.0 + pace / 3.0 * drawn).astype(np.int64)).cast(pl.String)


def _page(bits: Bits, _: Floats) -> pl.Series:
    return pl.Series(PAGES, dtype=pl.String).gather((bits % np.uint64(len(PAGES))).astype(np.int64))


def _hex(bits: Bits, _: Floats) -> pl.Series:
    digits = pl.Series([f"{byte:02x}" for byte in range(256)], dtype=pl.String)
    pairs = (digits.gather(((bits >> np.uint64(8 * place)) & np.uint64(255)).astype(np.int64)) for place in range(4))
    return pl.select(pl.concat_str([pl.lit(pair) for pair in pairs])).to_series()


def _address(bits: Bits, _: Floats) -> pl.Series:
    last = pl.Series(bits % np.uint64(250) + np.uint64(2)).cast(pl.String)
    subnet = pl.Series((bits >> np.uint64(32)) % np.uint64(8)).cast(pl.String)
    return pl.select(pl.concat_str([pl.lit("10.0."), pl.lit(subnet), pl.lit("."), pl.lit(last)])).to_series()


FIELDS: Final[Mapping[str, Callable[[Bits, Floats], pl.Series]]] = {
    "number": _number,
    "few": _few,
    "percent": _percent,
    "ms": _ms,
    "page": _page,
    "hex": _hex,
    "address": _address,
}
