"""How fast two tables are compared, and within what memory: `python bench/drift.py [small|large]`.

`small` is 100,000 rows by 20 columns in memory, the median of nine; `large` 3,000,000 rows by 100 columns as scans of Parquet
files, with the most that was resident while they were compared.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from figures import at_most

from vedette.monitor.tables import drift


def table(rows: int, columns: int, seed: int) -> pl.DataFrame:
    """Of five columns four are numbers and one is a category."""
    rng = np.random.default_rng(seed)
    made = {f"x{i}": rng.normal(seed * 0.01 * i, 1.0, rows) if i % 5 else rng.integers(0, 12, rows) for i in range(columns)}
    return pl.DataFrame(made).with_columns(pl.nth(range(0, columns, 5)).cast(pl.String))


def small() -> None:
    """The bar is 0.3 s on two cores."""
    one, other, spent = table(100_000, 20, 0), table(100_000, 20, 1), []
    for _ in range(10):
        began = time.perf_counter()
        drift(one, other)
        spent.append(time.perf_counter() - began)
    at_most("drift of 100,000 rows x 20 columns", float(np.median(spent[1:])), "s", 0.3)


def large() -> None:
    """The bar is 2 GiB at the most."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [_written(Path(folder) / f"{seed}.parquet", seed) for seed in range(2)]
        began = time.perf_counter()
        moved = drift(*(pl.scan_parquet(path) for path in paths))["drifted"].sum()
        spent = time.perf_counter() - began
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    at_most("drift of 3,000,000 rows x 100 columns, most resident", most, "GiB", 2.0, f"{spent:.0f} s, {moved} drifted")


def _written(path: Path, seed: int) -> Path:
    """A piece at a time, in a way that leaves this process small."""
    pieces = [path.with_suffix(f".{i}") for i in range(10)]
    for i, piece in enumerate(pieces):
        table(300_000, 100, 2 * i + seed).write_parquet(piece, compression="lz4")
    pl.scan_parquet(pieces).sink_parquet(path)
    for piece in pieces:
        piece.unlink()
    return path


if __name__ == "__main__":
    for name in sys.argv[1:] or ["small", "large"]:
        {"small": small, "large": large}[name]()
