"""How fast and how right the detector is: `python bench/detector.py [speed] [scorer] [nab] [aiops] [clean] [changes] [host]`.

NAB is scored by its own rule (sigmoid of the position in the window, 15 % probation of at most 750 points, one threshold for all
series); AIOps-2018 by events, hit within their first 8 points, false alarms a series-week. Series are split in seen ones, which
the design may be tuned on, and unseen ones: NAB's realAWSCloudwatch and artificial series are seen, and the KPIs the SHA-256
digest of whose id is even. `clean`, `changes` and `host` are simulated.
"""

import hashlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import peers
import polars as pl
import psutil
from figures import at_least, at_most

from vedette.models import Envelope, workbench
from vedette.serve.workbench import score_frame

DATA: Final = Path(os.environ.get("VEDETTE_DATA", Path(__file__).parents[2] / "shared" / "data"))
SERIES: Final = 100_000
START: Final = 1_699_999_200_000_000
CHANGE: Final = 895_980
PROFILES: Final = {"standard": (0.11, 1.0), "low FP": (0.22, 1.0), "low FN": (0.11, 2.0)}


def speed() -> None:
    """Points a second of one core, beside an EWMA z-score in plain Python in the same run, and resident memory a series."""
    rng, start, minute, spent = np.random.default_rng(0), 1_700_000_000_000_000, 60_000_000, []
    ids, at, value = np.sort(rng.integers(-(2**62), 2**62, SERIES)), np.full(SERIES, start), rng.normal(size=SERIES)
    first = Envelope()
    for i in range(3):
        first.walk(ids, at + i * minute, value, 0)
    before, model = psutil.Process().memory_info().rss, Envelope()
    model.walk(ids, at, value, 0)
    resident = (psutil.Process().memory_info().rss - before) / SERIES
    for i in range(1, 100):
        at, value = np.full(SERIES, start + i * minute), rng.normal(size=SERIES)
        began = time.process_time()
        model.walk(ids, at, value, 0)
        spent.append(time.process_time() - began)
    size = sum(array.nbytes for array in model.state().values()) / SERIES
    peer = _ewma(rng.normal(size=1_000_000).tolist())
    ours = SERIES / float(np.median(spent[60:])) / 1e6
    streaming = peers.ask("river")
    told = f"EWMA in plain Python {peer:.2f} M" + (f", river {streaming / 1e6:.2f} M" if streaming else "")
    at_least("detector kernel, 100,000 series", ours, "M points/s/core", 3.0, told)
    at_most("its state a series", size, "bytes", 1024)
    print(f"{resident:.0f} bytes a series resident")


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


def scorer() -> None:
    """Check NAB's scorer: silence is 0, and a running mean and deviation reach what is published of them (40.6)."""
    frame, windows = _nab_frame()
    parts = []
    for _, part in frame.group_by("series", maintain_order=True):
        value = part["value"].to_numpy()
        count = np.arange(1, len(value) + 1)
        mean = np.cumsum(value) / count
        square = np.cumsum((value - value[0]) ** 2) - count * (mean - value[0]) ** 2
        deviation = np.sqrt(np.maximum(square, 0.0) / np.maximum(count - 1, 1))
        score = np.zeros(len(value))
        score[1:] = np.where(deviation[:-1] > 0, np.abs(value[1:] - mean[:-1]) / np.maximum(deviation[:-1], 1e-300), 0.0)
        parts.append(part.with_columns(anomaly_score=pl.Series(score)))
    at = nab_score(pl.concat(parts), windows, "standard")
    best = max((at(t), t) for t in np.geomspace(3, 20, 400))
    print(
        f"NAB scorer: silence {at(1e300):.1f}; running mean and deviation {best[0]:.1f} at {best[1]:.2f} (measured elsewhere: 40.6)"
    )


def _nab_frame() -> tuple[pl.DataFrame, pl.DataFrame]:
    frame = pl.read_parquet(DATA / "nab.parquet").sort("series", "timestamp", maintain_order=True)
    return frame, pl.read_parquet(DATA / "nab_windows.parquet")


def nab() -> None:
    """Score NAB with one setting, seen and unseen series apart."""
    frame, windows = _nab_frame()
    scored = {"point": score_frame(frame, Envelope()), "alarm": score_frame(frame, workbench())}
    seen = pl.col("series").str.contains("^(realAWS|artificial)")
    for name, rows in (("seen", seen), ("unseen", ~seen), ("all", pl.lit(value=True))):
        for kind, table in scored.items():
            told = []
            for profile in PROFILES:
                score = nab_score(table.filter(rows), windows.filter(rows), profile)
                best = max((score(t), t) for t in np.geomspace(0.5, 20, 60))
                told.append(f"{profile} {score(1.0):.1f} (best {best[0]:.1f} at {best[1]:.2f})")
            print(f"NAB {name}, {kind} score: {', '.join(told)}")
    clean = scored["point"].filter(pl.col("series").str.contains("NoAnomaly"))
    weeks = clean.group_by("series").agg(pl.col("timestamp").max() - pl.col("timestamp").min())["timestamp"].sum()
    false = int((clean["anomaly_score"] > 1).sum()) / (weeks.total_seconds() / 604_800)
    print(f"NAB: {false:.2f} odd points a week on series without anomaly")


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


def alarms(odd: np.ndarray) -> int:
    """Alarms among odd points, as `events` counts them."""
    return events(odd * 2.0, np.zeros(len(odd), np.int8), 7)[2]


def aiops() -> None:
    """Score the AIOps-2018 KPIs with the same setting, at threshold 1, seen and unseen ones apart."""
    frame = pl.read_parquet(DATA / "aiops2018_kpi.parquet").rename({"kpi": "series"}).with_columns(pl.col("series").cast(pl.String))
    for kind, model in (("point", Envelope()), ("alarm", workbench())):
        began = time.process_time()
        scored = score_frame(frame, model).with_columns(label=frame["label"])
        spent = time.process_time() - began
        counts: dict[bool, list[float]] = {True: [0.0] * 4, False: [0.0] * 4}
        for (name,), part in scored.group_by("series", maintain_order=True):
            found = events(part["anomaly_score"].fill_null(0.0).to_numpy(), part["label"].to_numpy(), 7)
            weeks = (part["timestamp"].max() - part["timestamp"].min()).total_seconds() / 604_800
            seen = hashlib.sha256(name.encode()).digest()[-1] % 2 == 0
            counts[seen] = [a + b for a, b in zip(counts[seen], (*found, weeks), strict=True)]
        both = [a + b for a, b in zip(counts[True], counts[False], strict=True)]
        for name, (hits, total, false, weeks) in (("seen", counts[True]), ("unseen", counts[False]), ("all", both)):
            precision, recall = hits / max(hits + false, 1), hits / total
            print(
                f"AIOps-2018 {name}, {kind} score, delay <= 7: F1 {2 * precision * recall / (precision + recall):.3f} "
                f"(P {precision:.2f}, R {recall:.2f}), {false / weeks:.2f} false alarms a series-week"
            )
    print(f"AIOps-2018: {frame.height / spent / 1e6:.2f} M rows/s as a table")


def _scores(at: np.ndarray, value: np.ndarray) -> np.ndarray:
    answers = Envelope().walk(np.zeros(len(at), np.int64), START + at * 1_000_000, value, 0)
    return np.nan_to_num(answers[:, 3])


def clean() -> None:
    """False alarms a series-week on simulated series in which nothing happens: six shapes, eight kinds of noise, two intervals."""
    rng, found = np.random.default_rng(0), []
    for step in (60, 300):
        t = np.arange(5 * 604_800 // step) * step
        office, weekend = (t % 86_400 // 3600 >= 9) & (t % 86_400 // 3600 < 17), t // 86_400 % 7 >= 5
        turn = 2 * np.pi * t / 86_400
        shapes = {
            "sine": 10 + 3 * np.sin(turn),
            "peak": 10 + 5 * np.exp(3 * (np.cos(turn) - 1)),
            "weekly": (10 + 4 * np.sin(turn)) * np.where(weekend, 0.6, 1.0),
            "edges": 5.0 + 5 * office,
            "workdays": 5.0 + 5 * (office & ~weekend),
            "flat": np.full(len(t), 10.0),
        }
        for shape, base in shapes.items():
            for noise, value in _noises(rng, base).items():
                odd = _scores(t, value) > 1
                found.append((shape, noise, step, alarms(odd) / 5, alarms(odd[2 * len(odd) // 5 :]) / 3))
    table = pl.DataFrame(found, schema=["shape", "noise", "step", "all", "later"], orient="row")
    print(f"clean: {table['all'].mean():.2f} false alarms a series-week, {table['later'].mean():.2f} after two weeks")
    for by in ("shape", "noise", "step"):
        rows = table.group_by(by, maintain_order=True).agg(pl.col("all", "later").mean().round(2))
        print(f"clean by {by}: " + ", ".join(f"{name} {whole} ({later})" for name, whole, later in rows.iter_rows()))


def _noises(rng: np.random.Generator, base: np.ndarray) -> dict[str, np.ndarray]:
    count = len(base)
    white, slow = rng.normal(size=count), np.zeros(count)
    for i in range(1, count):
        slow[i] = 0.8 * slow[i - 1] + 0.6 * white[i]
    return {
        "normal": base + 0.3 * rng.normal(size=count),
        "laplace": base + 0.2 * rng.laplace(size=count),
        "autoregressive": base + 0.3 * slow,
        "proportional": base * np.exp(0.1 * rng.normal(size=count)),
        "counts": rng.poisson(base).astype(float),
        "few counts": rng.poisson(base / 20).astype(float),
        "lognormal": base * np.exp(0.5 * rng.normal(size=count)),
        "integers": np.round(base + 0.4 * rng.normal(size=count)),
    }


def changes() -> None:
    """Alarms that a benign change raises in the week after it, and in that week without its first hour."""
    for step in (60, 300):
        rng, t = np.random.default_rng(1), np.arange(18 * 86_400 // step) * step
        told: dict[str, list[tuple[int, int]]] = {}
        for _ in range(4):
            for name, value in _changed(rng, t).items():
                after = (_scores(t, value) > 1)[CHANGE // step :]
                told.setdefault(name, []).append((alarms(after), alarms(after[3600 // step :])))
        rows = ", ".join("{} {:.2f} ({:.2f})".format(name, *np.mean(counts, axis=0)) for name, counts in told.items())
        print(f"changes, every {step} s: {rows}")


def _changed(rng: np.random.Generator, t: np.ndarray) -> dict[str, np.ndarray]:
    day, noise, after = np.sin(2 * np.pi * t / 86_400), 0.3 * rng.normal(size=len(t)), t >= CHANGE
    ramp = np.clip((t - CHANGE) / 7200, 0, 1)
    return {
        "level up": 10 + 2 * day + noise + 6 * after,
        "level down": 10 + 2 * day + noise - 5 * after,
        "flat level": 10 + noise + 4 * after,
        "ramp of 2 h": 10 + 2 * day + noise + 8 * ramp,
        "load x 1.8": (10 + 3 * day + noise) * (1 + 0.8 * after),
        "load halved": (10 + 3 * day + noise) * (1 - 0.5 * after),
        "daily swing doubled": 10 + 2 * day * (1 + after) + noise,
        "onboarding": np.where(after, 10 + 3 * day + noise, 0.0),
        "onboarding over 2 h": (10 + 3 * day + noise) * ramp,
        "noise x 3": 10 + 2 * day + noise * (1 + 2 * after),
    }


def host() -> None:
    """Alarms on the first day and on a later day of simulated 10 s metrics of a host that runs jobs."""
    first, later = [], []
    for seed in range(4):
        rng, t = np.random.default_rng(seed), np.arange(3 * 8640) * 10
        hourly, nightly = _bursts(rng, t, np.arange(1020, t[-1], 3600), 30), _bursts(rng, t, np.arange(23_100, t[-1], 86_400), 180)
        updates = _bursts(rng, t, np.arange(50_400, t[-1], 43_200), 240)
        cpu = np.clip(2 + 0.5 * rng.gamma(2, 1, len(t)) + 45 * hourly + 70 * nightly + 50 * updates, 0, 100)
        metrics = (
            cpu,
            np.where(rng.random(len(t)) < 0.02, rng.gamma(1, 3, len(t)), 0) + 5 * hourly + 14 * nightly,
            np.where(rng.random(len(t)) < 0.3, rng.lognormal(9, 1, len(t)), 0) + 5e5 * nightly,
            np.where(rng.random(len(t)) < 0.01, rng.lognormal(10, 1.5, len(t)), 0) + 1e6 * nightly + 1e5 * updates,
            rng.lognormal(8, 0.5, len(t)) + 1e6 * _bursts(rng, t, rng.uniform(0, t[-1], 90), 30),
            4e9 - np.cumsum(rng.normal(0, 2e4, len(t))) - 1e8 * hourly,
            rng.poisson(0.02, len(t)) + 3.0 * hourly,
            np.round(230 + rng.normal(0, 1, len(t)) + 2 * hourly + 5 * nightly),
            np.ones(len(t)),
        )
        for value in metrics:
            odd = _scores(t, value) > 1
            first.append(alarms(odd[:8640]))
            later.append(alarms(odd[8640:]) / 2)
    print(f"host: {np.mean(first):.2f} alarms a series on the first day, {np.mean(later):.2f} on a later day")


def _bursts(rng: np.random.Generator, t: np.ndarray, starts: np.ndarray, seconds: float) -> np.ndarray:
    out = np.zeros(len(t))
    for start in starts:
        out[(t >= start) & (t < start + seconds * rng.uniform(0.7, 1.4))] += rng.uniform(0.7, 1.3)
    return out


if __name__ == "__main__":
    parts = {f.__name__: f for f in (speed, scorer, nab, aiops, clean, changes, host)}
    for part in sys.argv[1:] or parts:
        parts[part]()
