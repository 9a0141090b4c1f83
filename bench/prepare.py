"""What a beat costs in `prepare`: CPU a point by kind of series and size of beat with 100,000 known series, and CPU a line of logs.

Run: python bench/prepare.py [empty|points|logs ...]
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import polars as pl

from vedette.core.catalogue import Catalogue
from vedette.core.frames import LOGS, METRICS, SERIES
from vedette.core.types import Beat
from vedette.prepare import PrepareSettings, StandardRecipe

KNOWN = 100_000
SIZES = (200, 20_000, 100_000)
STEP = 15_000_000
SOURCE = pl.lit("bench").alias("source")
#: kind -> name and labels of series number n.
SHAPES: dict[str, Callable[[int], tuple[str, dict[str, str]]]] = {
    "gauges": lambda n: ("load", {"instance": f"h{n}"}),
    "counters": lambda n: ("hits_total", {"instance": f"h{n}"}),
    "buckets": lambda n: ("rpc_seconds_bucket", {"instance": f"h{n // 10}", "le": "+Inf" if n % 10 == 9 else str(n % 10 + 1)}),
    "pods": lambda n: ("heap", {"namespace": f"n{n // 10}", "pod": f"web-7d9f8b6c5d-x2x4{'bcdfghjklm'[n % 10]}"}),
}


def cpu(call: Callable[[], object]) -> float:
    """Seconds of CPU that `call` takes."""
    start = time.process_time()
    call()
    return time.process_time() - start


def recipe_of(kind: str) -> StandardRecipe:
    """A recipe that knows `KNOWN` series of `kind`."""
    recipe = StandardRecipe(PrepareSettings(), Catalogue())
    named = [SHAPES[kind](number) for number in range(KNOWN)]
    columns = {
        "series": range(1, KNOWN + 1),
        "name": [name for name, _ in named],
        "labels": [labels for _, labels in named],
        "kind": ["unknown"] * KNOWN,
        "unit": [""] * KNOWN,
    }
    recipe(Beat(at=1, last=1, frames={"series": pl.DataFrame(columns, schema=SERIES).with_columns(SOURCE)}))
    return recipe


def beats(size: int, count: int, start: int) -> Iterable[Beat]:
    """`count` beats of `size` points each: all series in turn, time moving on by 15 s a round."""
    for number in range(count):
        place = np.arange(number * size, (number + 1) * size)
        at = start + place // KNOWN * STEP
        columns = {"series": place % KNOWN + 1, "at": at, "value": (place * 7919 % 1000 + place // KNOWN * 100).astype(float)}
        metrics = pl.DataFrame(columns).cast(METRICS).with_columns(SOURCE)
        yield Beat(at=int(at[-1]) + 1_000_000, last=number, frames={"metrics": metrics})


def points() -> None:
    """Print CPU a point and a beat, by kind and size."""
    print(f"{'kind':10}" + "".join(f"{f'{size:,} a beat':>26}" for size in SIZES))
    for kind in SHAPES:
        recipe, row, start = recipe_of(kind), f"{kind:10}", 1_000_000_000_000
        for beat in beats(KNOWN, 2, start):
            recipe(beat)
        for size in SIZES:
            start += 1_000_000_000
            spent = [cpu(partial(recipe, beat)) for beat in beats(size, 100 if size < 1000 else 20, start)]
            middle = statistics.median(spent)
            row += f"{middle / size * 1e6:12.3f} us {middle * 1e3:8.2f} ms"
        print(row)


def empty() -> None:
    """Print what a beat without rows costs, in a recipe that knows series, targets and log counts."""
    recipe = recipe_of("pods")
    recipe(log_beat([f"worker {word} stopped" for word in ("alpha", "beta", "gamma")], 1_000_000))
    spent = cpu(lambda: [recipe(Beat(at=2_000_000 + number, last=number, frames={})) for number in range(1000)])
    print(f"a beat without rows: {spent:.4f} ms")
    spent = cpu(lambda: [recipe(log_beat(["worker alpha stopped"], 3_000_000 + number)) for number in range(200)]) * 5
    print(f"a beat of one log line: {spent:.4f} ms")


def log_beat(bodies: list[str], at: int) -> Beat:
    """The lines of one stream, all logged at `at`."""
    constant = {"at": at, "observed_at": at, "series": 5, "severity": 9}
    logs = pl.DataFrame({"body": bodies}).with_columns(**{name: pl.lit(value) for name, value in constant.items()})
    attributes = pl.Series([{}], dtype=LOGS["attributes"]).new_from_index(0, len(bodies))
    logs = logs.with_columns(attributes=attributes).select(list(LOGS)).cast(LOGS).with_columns(SOURCE)
    return Beat(at=at, last=1, frames={"logs": logs})


def logs() -> None:
    """Print CPU a line through the whole recipe, by size of beat: 40 templates, every line with its own numbers."""
    for size in SIZES:
        recipe, spent = StandardRecipe(PrepareSettings(), Catalogue()), []
        for number in range(50 if size < 1000 else 5):
            lines = [
                f"job {chr(97 + n % 20)}{'xy'[n // 20 % 2]}z took {n * 7919 % 1000} ms on 10.0.0.{n % 250}" for n in range(size)
            ]
            beat = log_beat(lines, 1_000_000_000 + number * 1_000_000)
            spent.append(cpu(partial(recipe, beat)))
        middle = statistics.median(spent)
        print(
            f"logs {size:>9,} a beat {middle / size * 1e6:10.3f} us a line {middle * 1e3:8.2f} ms  {size / middle:12,.0f} lines/s"
        )


PARTS = {"empty": empty, "points": points, "logs": logs}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
