"""How fast and how right the detector is: `python bench/detector.py [speed] [nab] [aiops]`.

NAB is scored by its own rule (standard profile: sigmoid of the position in the window, 15 % probation of at most 750 points, one
threshold for all series); AIOps-2018 by events, hit within their first 8 points, false alarms a series-week.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from vedette.models import Envelope
from vedette.serve.workbench import score_frame

DATA: Final = Path(os.environ.get("VEDETTE_DATA", Path(__file__).parents[2] / "shared" / "data"))
SERIES: Final = 100_000
PROFILES: Final = {"standard": (0.11, 1.0), "low FP": (0.22, 1.0), "low FN": (0.11, 2.0)}


def speed() -> None:
    """Points a second of one core, beside an EWMA z-score in plain Python in the same run."""
    rng = np.random.default_rng(0)
    ids, model = np.sort(rng.integers(-(2**62), 2**62, SERIES)), Envelope()
    start, minute, spent = 1_700_000_000_000_000, 60_000_000, []
    for i in range(100):
        at, value = np.full(SERIES, start + i * minute), rng.normal(size=SERIES)
        began = time.process_time()
        model.walk(ids, at, value, 0)
        spent.append(time.process_time() - began)
    size = sum(array.nbytes for array in model.state().values()) / SERIES
    peer = _ewma(rng.normal(size=1_000_000).tolist())
    ours = SERIES / float(np.median(spent[60:])) / 1e6
    print(f"speed: envelope {ours:.2f} M points/s, EWMA in Python {peer:.2f} M points/s, {size:.0f} bytes a series")


def _ewma(values: list[float]) -> float:
    began, mean, var, odd = time.process_time(), 0.0, 1.0, 0
    for value in values:
        off = value - mean
        odd += off * off > 9.0 * var
        mean += 0.05 * off
        var += 0.05 * (off * off - var)
    return len(values) / (time.process_time() - began) / 1e6


def sigmoid(position: np.ndarray) -> np.ndarray:
    """NAB's weight of a detection: 1 at the left end of a window (-1), 0 at its right end (0), to -1 far beyond."""
    return np.where(position > 3.0, -1.0, 2.0 / (1.0 + np.exp(5.0 * np.minimum(position, 3.0))) - 1.0)


def _nab_series(at: np.ndarray, windows: list[tuple[int, int]], penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """For each point, which window it is in (-1: none) and what a detection there is worth."""
    owner, worth = np.full(len(at), -1), np.full(len(at), -penalty)
    for number, (begin, end) in enumerate(windows):
        inside = np.flatnonzero((at >= begin) & (at <= end))
        if len(inside) == 0:
            continue
        owner[inside] = number
        worth[inside] = sigmoid(-(inside[-1] - inside + 1) / len(inside)) / sigmoid(np.array([-1.0]))
        after = np.arange(inside[-1] + 1, len(at))
        if len(inside) > 1:
            worth[after] = sigmoid((after - inside[-1]) / (len(inside) - 1)) * penalty
    return owner, worth


def nab_score(scored: pl.DataFrame, windows: pl.DataFrame, profile: str) -> Callable[[float], float]:
    """The NAB score as a function of the threshold, normalised so that silence is 0 and perfection 100."""
    penalty, miss = PROFILES[profile]
    points, finds, count = [], [], 0
    for (name,), part in scored.group_by("series", maintain_order=True):
        own = windows.filter(pl.col("series") == name)
        bounds = list(zip(*(own[end].dt.timestamp("us").to_list() for end in ("start", "end")), strict=True))
        count += len(bounds)
        owner, worth = _nab_series(part["timestamp"].dt.timestamp("us").to_numpy(), bounds, penalty)
        score = part["anomaly_score"].fill_null(0.0).to_numpy()
        probation = min(int(0.15 * len(part)), 750)
        late = np.arange(len(part)) >= probation
        free = (owner < 0) & late
        points.append(np.stack([score[free], worth[free]]))
        finds += [(score[(owner == w) & late], worth[(owner == w) & late]) for w in range(len(bounds))]
    wrong = np.concatenate(points, axis=1)

    def at_threshold(threshold: float) -> float:
        total = wrong[1, wrong[0] > threshold].sum()
        for score, worth in finds:
            hit = score > threshold
            total += worth[hit].max() if hit.any() else -miss
        return float(100.0 * (total + miss * count) / (count * (1.0 + miss)))

    return at_threshold


def nab() -> None:
    """Score NAB with one setting."""
    frame, windows = pl.read_parquet(DATA / "nab.parquet"), pl.read_parquet(DATA / "nab_windows.parquet")
    began = time.process_time()
    scored = score_frame(frame, Envelope())
    spent = time.process_time() - began
    clean = scored.filter(pl.col("series").str.contains("NoAnomaly"))
    weeks = clean.group_by("series").agg(pl.col("timestamp").max() - pl.col("timestamp").min())["timestamp"].sum()
    false = int((clean["anomaly_score"] > 1).sum()) / (weeks.total_seconds() / 604_800)
    for profile in PROFILES:
        score = nab_score(scored, windows, profile)
        best = max((score(t), t) for t in np.geomspace(0.5, 20, 60))
        print(f"NAB {profile}: {score(1.0):.1f} at threshold 1, best {best[0]:.1f} at {best[1]:.2f}")
    print(f"NAB: {false:.2f} odd points a week on series without anomaly; {frame.height / spent / 1e6:.2f} M rows/s as a table")


def events(score: np.ndarray, label: np.ndarray, delay: int) -> tuple[int, int, int]:
    """Events hit, events, and false alarms of one series (runs within 5 points merged; one more for every 60 points)."""
    edges = np.flatnonzero(np.diff(np.r_[0, label, 0]))
    begins, ends = edges[::2], edges[1::2]
    odd = score > 1.0
    hit = sum(bool(odd[begin : min(end, begin + delay + 1)].any()) for begin, end in zip(begins, ends, strict=True))
    near = np.zeros(len(label), bool)
    for begin, end in zip(begins, ends, strict=True):
        near[max(begin - 5, 0) : end + 5] = True
    wrong = np.flatnonzero(odd & ~near)
    if len(wrong) == 0:
        return hit, len(begins), 0
    cuts = np.flatnonzero(np.diff(wrong) > 5)
    first, last = wrong[np.r_[0, cuts + 1]], wrong[np.r_[cuts, len(wrong) - 1]]
    return hit, len(begins), int((1 + (last - first + 1) // 60).sum())


def aiops() -> None:
    """Score the AIOps-2018 KPIs with the same setting, at threshold 1."""
    frame = pl.read_parquet(DATA / "aiops2018_kpi.parquet").rename({"kpi": "series"})
    began = time.process_time()
    scored = score_frame(frame, Envelope()).with_columns(label=frame["label"])
    spent = time.process_time() - began
    hits = total = false = 0
    weeks = 0.0
    for _, part in scored.group_by("series", maintain_order=True):
        found = events(part["anomaly_score"].fill_null(0.0).to_numpy(), part["label"].to_numpy(), 7)
        hits, total, false = hits + found[0], total + found[1], false + found[2]
        weeks += (part["timestamp"].max() - part["timestamp"].min()).total_seconds() / 604_800
    precision, recall = hits / max(hits + false, 1), hits / total
    print(
        f"AIOps-2018, delay <= 7, threshold 1: F1 {2 * precision * recall / (precision + recall):.3f} "
        f"(P {precision:.2f}, R {recall:.2f}), "
        f"{false / weeks:.2f} false alarms a series-week; {frame.height / spent / 1e6:.2f} M rows/s as a table"
    )


if __name__ == "__main__":
    for part in sys.argv[1:] or ["speed", "nab", "aiops"]:
        {"speed": speed, "nab": nab, "aiops": aiops}[part]()
