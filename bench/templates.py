"""Log templates on LogHub's ten systems, one setting: grouping accuracy, FGA and PA; lines a second, a flood of new kinds.

Rules may be written by looking at the seen systems only; the unseen ones are scored, and their errors never read.
"""

import os
import re
import resource
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl

from vedette.prepare.templates import TemplateMiner, mine

SEEN = ("HDFS", "Hadoop", "BGL", "Android", "OpenSSH")
BEAT = 100
LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", np.uint8)


def grouping(found: pl.Series, true: pl.Series) -> tuple[float, float]:
    """GA: share of lines in a group that is exactly a true group. FGA: harmonic mean of the shares of such groups."""
    table = pl.DataFrame({"f": found, "t": true})
    pairs = table.group_by("f", "t").len()
    sizes_f, sizes_t = table.group_by("f").len(name="nf"), table.group_by("t").len(name="nt")
    sized = pairs.join(sizes_f, on="f").join(sizes_t, on="t")
    right = sized.filter((pl.col("len") == pl.col("nf")) & (pl.col("len") == pl.col("nt")))
    return right["len"].sum() / len(found), 2 * right.height / (sizes_f.height + sizes_t.height)


def corrected(template: str) -> str:
    """A template in the common form of the guidelines for template accuracy (Khan et al., ICSE 2022), for both sides alike.

    One blank for several; paths, booleans, `null`, `root`, bare numbers and words that hold a variable become `<*>`; variables
    joined by `.`, `:` or nothing become one.

    >>> corrected("block blk_<*> of  <*>:<*> in /var/log is true"), corrected("<*>.<*>.<*>")
    ('block <*> of <*> in <*> is <*>', '<*>')
    """
    text = re.sub(r"\s+", " ", template.strip())
    parts = re.split(r"([\s,!;:=|\"'\[\](){}])", text)
    text = "".join("<*>" if re.match(r"^(/[^/]+)+/?$", part) else part for part in parts)
    parts = re.split(r"([\s,!;:=|\"'\[\](){}.\-+@#$%&])", text)
    text = "".join("<*>" if _variable(part) else part for part in parts)
    while (shorter := re.sub(r"<\*>[.:]?<\*>", "<*>", text)) != text:
        text = shorter
    return text


def _variable(part: str) -> bool:
    words = {"true", "false", "null", "root"}
    return part.lower() in words or part.isdecimal() or bool(re.match(r"^[^\s/]*<\*>[^\s/]*$", part))


def exact(found: pl.Series, true: pl.Series, *, common: bool) -> float:
    """PA: share of lines whose template text is the labelled one to the letter; with `common` after `corrected` on both sides."""
    if common:
        found, true = (each.replace_strict({text: corrected(text) for text in each.unique()}) for each in (found, true))
    return float((found == true).sum() / len(found))


def stream(lines: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Ids as they are told at once, in beats, and the same after following what ended into what."""
    miner, ids, into = TemplateMiner(), [], {}
    for offset in range(0, len(lines), BEAT):
        mined = miner.learn(lines.slice(offset, BEAT))
        ids.append(mined.ids)
        into |= dict(mined.ended.iter_rows())
    told = pl.concat(ids)
    final = told
    while (further := final.replace(into)).ne(final).any():
        final = further
    return told, final


def speed(content: pl.Series, lines: int = 400_000, batch: int = 20_000) -> float:
    """Lines a second of the streaming miner on a shuffled repetition of `content`."""
    big = content.sample(lines, with_replacement=True, seed=1)
    miner = TemplateMiner()
    start = time.process_time()
    for offset in range(0, lines, batch):
        miner.learn(big.slice(offset, batch))
    return lines / (time.process_time() - start)


def flood(lines: int = 1_000_000, batch: int = 20_000, width: int = 80) -> tuple[float, float, float]:
    """Lines a second while every line is another template; growth of the process over the second half, and the miner, in MiB."""
    rng = np.random.default_rng(1)
    miner = TemplateMiner()
    spent, half = 0.0, 0.0
    for offset in range(0, lines, batch):
        if offset * 2 >= lines and not half:
            half = _resident()
        text = LETTERS[rng.integers(0, 26, (batch, width))]
        text[:, 7::8] = 32
        raw = pl.Series(text.view(f"S{width}").ravel().astype(str).tolist())
        start = time.process_time()
        miner.learn(raw)
        spent += time.process_time() - start
    return lines / spent, _resident() - half, miner.nbytes / 2**20


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    """Print the table."""
    data = Path(os.environ.get("VEDETTE_DATA", Path(__file__).parents[2] / "shared" / "data")) / "loghub_2k_10systems.parquet"
    if not data.exists():
        sys.exit(f"{data}: not there; set VEDETTE_DATA to the folder of the benchmark data")
    logs = pl.read_parquet(data)
    print(f"{'':17} {'whole file':^29} | {'stream':^13} | {'ended followed':^13}")
    print(f"{'system':10} {'':6} " + " ".join(f"{each:>6}" for each in ("GA", "FGA", "PA", "letter", "GA", "FGA", "GA", "FGA")))
    rows = []
    for system in logs["system"].unique(maintain_order=True):
        lines = logs.filter(pl.col("system") == system).sort("line")
        found = mine(lines["content"])
        told, final = stream(lines["content"])
        true = lines["template"]
        texts = (exact(found["template"], true, common=True), exact(found["template"], true, common=False))
        row = (*grouping(found["template_id"], true), *texts, *grouping(told, true), *grouping(final, true))
        rows.append((system in SEEN, row))
        print(f"{system:10} {'seen' if system in SEEN else 'unseen':6} " + " ".join(f"{each:6.3f}" for each in row))
    for name, kinds in (("seen", {True}), ("unseen", {False}), ("all", {True, False})):
        part = [row for kind, row in rows if kind in kinds]
        print(f"{'mean':10} {name:6} " + " ".join(f"{sum(column) / len(column):6.3f}" for column in zip(*part, strict=True)))
    print(f"streaming, one core: {speed(logs['content']):,.0f} lines/s (content), {speed(logs['raw']):,.0f} (raw lines)")
    fast, grown, held = flood()
    print(f"flood of 1,000,000 kinds: {fast:,.0f} lines/s, process +{grown:.1f} MiB in its second half, miner {held:.1f} MiB")


if __name__ == "__main__":
    main()
