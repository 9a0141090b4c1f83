"""Log templates on LogHub's ten systems, one setting: grouping accuracy, FGA and PA, and lines a second.

Rules may be written by looking at the seen systems only; the unseen ones are scored, and their errors never read.
"""

import os
import sys
import time
from pathlib import Path

import polars as pl

from vedette.prepare.templates import TemplateMiner, mine

SEEN = ("HDFS", "Hadoop", "BGL", "Android", "OpenSSH")


def grouping(found: pl.Series, true: pl.Series) -> tuple[float, float]:
    """GA: share of lines in a group that is exactly a true group. FGA: harmonic mean of the shares of such groups."""
    table = pl.DataFrame({"f": found, "t": true})
    pairs = table.group_by("f", "t").len()
    sizes_f, sizes_t = table.group_by("f").len(name="nf"), table.group_by("t").len(name="nt")
    sized = pairs.join(sizes_f, on="f").join(sizes_t, on="t")
    right = sized.filter((pl.col("len") == pl.col("nf")) & (pl.col("len") == pl.col("nt")))
    return right["len"].sum() / len(found), 2 * right.height / (sizes_f.height + sizes_t.height)


def exact(found: pl.Series, true: pl.Series) -> float:
    """PA: share of lines whose template text is the labelled one, runs of wildcards and blanks counted as one."""

    def plain(text: pl.Series) -> pl.Series:
        return text.str.replace_all(r"<\*>(?:[.:/ -]?<\*>)+", "<*>").str.replace_all(r"\s+", " ").str.strip_chars()

    return float((plain(found) == plain(true)).sum() / len(found))


def speed(content: pl.Series, lines: int = 400_000, batch: int = 20_000) -> float:
    """Lines a second of the streaming miner on a shuffled repetition of `content`."""
    big = content.sample(lines, with_replacement=True, seed=1)
    miner = TemplateMiner()
    start = time.process_time()
    for offset in range(0, lines, batch):
        miner.learn(big.slice(offset, batch))
    return lines / (time.process_time() - start)


def main() -> None:
    """Print the table."""
    data = Path(os.environ.get("VEDETTE_DATA", Path(__file__).parents[2] / "shared" / "data")) / "loghub_2k_10systems.parquet"
    if not data.exists():
        sys.exit(f"{data}: not there; set VEDETTE_DATA to the folder of the benchmark data")
    logs = pl.read_parquet(data)
    print(f"{'system':10} {'':6} {'GA':>6} {'FGA':>6} {'PA':>6} {'stream GA':>9} {'FGA':>6}")
    rows = []
    for system in logs["system"].unique(maintain_order=True):
        lines = logs.filter(pl.col("system") == system).sort("line")
        found = mine(lines["content"])
        streamed = TemplateMiner().learn(lines["content"]).ids
        true = lines["template"]
        row = (*grouping(found["template_id"], true), exact(found["template"], true), *grouping(streamed, true))
        rows.append((system in SEEN, row))
        print(f"{system:10} {'seen' if system in SEEN else 'unseen':6} " + " ".join(f"{each:6.3f}" for each in row))
    for name, kinds in (("seen", {True}), ("unseen", {False}), ("all", {True, False})):
        part = [row for kind, row in rows if kind in kinds]
        print(f"{'mean':10} {name:6} " + " ".join(f"{sum(column) / len(column):6.3f}" for column in zip(*part, strict=True)))
    print(f"streaming, one core: {speed(logs['content']):,.0f} lines/s (content), {speed(logs['raw']):,.0f} (raw lines)")


if __name__ == "__main__":
    main()
