"""The compiled walk of `Envelope`: what is done with one point of one series.

Values are kept relative to the first one of a series, so that one far from zero loses no precision.
"""

import math
from typing import Any, Final

import numpy as np
from numba import njit

from vedette.models import lasting, rls, seasons, tails
from vedette.models.record import (
    ABOVE,
    ALARM,
    ANCHOR,
    BEFORE,
    BELOW,
    BLOCKS,
    CAUTION,
    CENTRE,
    COUNT,
    DAILY,
    DAY_COUNT,
    DAY_LEVEL,
    DAY_OFFSET,
    FAST,
    FILL,
    FIRST,
    FIRST_SCORE,
    FLOOR,
    HEAD,
    HELD,
    HOLD,
    HOLD_US,
    HOME,
    HOME_AT,
    INTERVAL,
    JUMP,
    KNOWN_DAY,
    KNOWN_WEEK,
    LAST,
    LEVEL,
    LIMIT,
    LINEAR,
    LOWER,
    MEAN,
    MOVES,
    NEWEST,
    NOW,
    PEAK,
    POINT,
    QUIET,
    REFRACTORY,
    RUN,
    RUN_START,
    SCALE,
    SEEN,
    SIGMAS,
    SLOW,
    SPREAD,
    UPPER,
    USUAL,
    VAR_DAY,
    VAR_LINEAR,
    VAR_WEEK,
    WARMUP,
    WEEK_COUNT,
    WEEK_OFFSET,
    WEEKLY,
    YHAT,
    YOUNG_US,
)
from vedette.models.seasons import DAY_SLOTS, DAY_US
from vedette.models.seasons import SIZE as SEASON

Array = np.ndarray[Any, Any]

#: What is larger is no measurement, and its square is beyond the numbers we keep.
LARGEST: Final = 1e37
#: Residuals are remembered for two weeks, and for 2,000 points at least.
MEMORY_US: Final = 14.0 * DAY_US
BLOCK_US: Final = DAY_US / 12.0
#: A season has to be better than the rest by this much, and to be known for some points, before it speaks.
SEASON_PENALTY: Final = 1.1
SEASON_POINTS: Final = 60.0
#: The linear predictor says nothing further out than this share of the range of what it is made of.
BEYOND: Final = 0.5
#: The share of the limit by which a flagged value moves what predicts the next ones.
CREEP: Final = 0.1
#: In a faster series it takes so long too.
PACE_US: Final = 60_000_000.0
#: Odd is what lasts: nearly a minute, or nearly two where the excess is slight; in a young series a slight one five, and
#: three points. What is gross is told at once.
LASTS_US: Final = 50_000_000.0
FAINT: Final = 1.15
FAINT_LASTS_US: Final = 110_000_000.0
GROSS: Final = 4.0
YOUNG_FAINT: Final = 1.25
YOUNG_LASTS_US: Final = 300_000_000.0
YOUNG_LASTS_POINTS: Final = 3.0
HUSHED: Final = 0.999
#: Each lone and slight excess makes the series more cautious by this much; it forgets in two weeks.
CAUTIOUS: Final = 0.03
SLIGHT: Final = 1.5
#: The residuals of so many odd points in a row enter the scale unclipped, those of a longer run not at all.
FRESH: Final = 3.0
MOST_CAUTIOUS: Final = 1.0


@njit(cache=True, nogil=True, inline="always")
def _limit(head: Array, side: int, sigmas: float) -> float:
    """How many RMS residuals are too many on this side: between `sigmas` and what the series' own blocks reach, wide at first."""
    own = max(tails.reach(head[side : side + tails.SIDE], head[BLOCKS]), 1.0)
    limit: float = max(math.sqrt(sigmas * own), 0.6 * sigmas) * (1.0 + head[CAUTION]) * (1.0 + 60.0 / head[COUNT])
    return limit


@njit(cache=True, nogil=True, inline="always")
def _block(head: Array, z: float, limit: float) -> None:
    """Remember the largest residual of each two hours; an outage counts as hardly more than the limit."""
    side = ABOVE if z >= 0.0 else BELOW
    head[side] = max(head[side], min(abs(z), 1.5 * limit))
    head[FILL] += 1.0
    if head[FILL] < min(max(BLOCK_US / max(head[INTERVAL], 1.0), 30.0), 400.0):
        return
    head[BLOCKS] += 1.0
    head[FILL] = 0.0
    tails.close(head[ABOVE : ABOVE + tails.SIDE], head[BLOCKS])
    tails.close(head[BELOW : BELOW + tails.SIDE], head[BLOCKS])


@njit(cache=True, nogil=True, inline="always")
def _alarm(head: Array, score: float, refractory: float) -> float:
    """The worth of waking somebody: the first of an episode counts, and what passes its peak by a third."""
    worth = score
    if head[QUIET] < refractory and score <= max(1.0, 1.3 * head[PEAK]):
        worth = min(score, 1.0 - 0.05 / max(score, 1.0))
    if worth > 1.0:
        head[PEAK] = score
        head[QUIET] = 0.0
    else:
        head[QUIET] += 1.0
    return worth


@njit(cache=True, nogil=True, inline="always")
def _judge(head: Array, at: float, score: float, parameters: Array) -> float:
    """The score of a point, seen in the light of how long the excess has lasted and of the series' age."""
    told = head[RUN] > 0.0 and head[FIRST_SCORE] < 0.0
    # A series that never moved from a value other than zero says what it means: 1 -> 0 is no burst.
    if score <= 1.0 or score >= GROSS or told or (head[SPREAD] == 0.0 and head[ANCHOR] != 0.0):
        return score
    lasted = head[INTERVAL] + (at - head[RUN_START] if head[RUN] > 0.0 else 0.0)
    if lasted < (FAINT_LASTS_US if score < FAINT else LASTS_US):
        return HUSHED
    young = score < YOUNG_FAINT and at - head[FIRST] < parameters[YOUNG_US]
    if young and (lasted < YOUNG_LASTS_US or head[RUN] + 1.0 < YOUNG_LASTS_POINTS):
        return HUSHED
    return score


@njit(cache=True, nogil=True, inline="always")
def _begin(head: Array, season: Array, linear: Array, at: float, value: float) -> None:
    head[:] = 0.0
    seasons.begin(season)
    rls.begin(linear)
    head[ANCHOR] = value
    head[FIRST] = at
    head[LAST] = at
    head[COUNT] = 1.0
    head[QUIET] = 1e9
    head[HOME_AT] = -math.inf


@njit(cache=True, nogil=True, inline="always")
def _interval(head: Array, gap: float) -> None:
    """The usual gap between points: moves slowly, and hardly for a hole or a burst."""
    if gap <= 0.0:
        return
    usual = head[INTERVAL]
    if usual == 0.0:
        head[INTERVAL] = gap
    else:
        head[INTERVAL] = usual + max(0.05, 1.0 / head[COUNT]) * (min(max(gap, 0.25 * usual), 4.0 * usual) - usual)


@njit(cache=True, nogil=True, inline="always")
def _run(head: Array, at: float, excess: float, told: bool, parameters: Array) -> bool:  # noqa: FBT001 -- a kernel has no keywords
    """Count odd points in a row; true when they have lasted so long that they are the new normal."""
    if excess > 1.0:
        if head[RUN] == 0.0:
            head[RUN_START] = at
            if at - head[HOME_AT] >= parameters[HOLD_US]:
                head[HOME], head[HOME_AT] = head[LEVEL], at
            head[FIRST_SCORE] = excess
        head[RUN] += 1.0
        # A negative first score says that the run has been told of.
        head[FIRST_SCORE] = -abs(head[FIRST_SCORE]) if told else head[FIRST_SCORE]
        return bool(head[RUN] >= parameters[HOLD] and at - head[RUN_START] >= parameters[HOLD_US])
    if head[RUN] == 1.0 and abs(head[FIRST_SCORE]) < SLIGHT:
        head[CAUTION] = min((1.0 + head[CAUTION]) * (1.0 + CAUTIOUS) - 1.0, MOST_CAUTIOUS)
    head[RUN] = 0.0
    return False


@njit(cache=True, nogil=True, inline="always")
def _live_on(head: Array, x: float, day: float, weekly: float) -> None:
    """Expect what follows from where the series is now."""
    head[LEVEL] = x
    head[FAST] = x
    head[DAY_OFFSET] = x - day
    head[WEEK_OFFSET] = x - weekly


@njit(cache=True, nogil=True, inline="always")
def _accept(head: Array, x: float, day: float, weekly: float) -> None:
    """The level is new: how much the series moves there is taken over too."""
    _live_on(head, x, day, weekly)
    for var in (SPREAD, VAR_LINEAR, VAR_DAY, VAR_WEEK):
        head[var] = max(head[var], head[MOVES])
    head[HELD] = max(head[HELD], abs(head[SLOW]))
    head[RUN] = 0.0


@njit(cache=True, nogil=True, inline="always")
def _spreads(head: Array, x: float, memory: float, flagged: bool) -> None:  # noqa: FBT001
    """How much the series varies, moves from point to point, and jumps when it moves at all."""
    n = head[COUNT]
    head[MEAN] += (x - head[MEAN]) / min(n, memory)
    head[SPREAD] += ((x - head[MEAN]) ** 2 - head[SPREAD]) / min(n, memory)
    move = abs(x - head[SEEN])
    head[MOVES] += max(0.05, 1.0 / n) * (move * move - head[MOVES])
    # A jump counts when it ends: the way back from a burst, not the way to a new level.
    if move > 0.0 and not flagged:
        head[JUMP] = move if head[JUMP] == 0.0 else head[JUMP] + 0.05 * (min(move, 10.0 * head[JUMP]) - head[JUMP])
    head[SEEN] = x


@njit(cache=True, nogil=True, inline="always")
def _expect(head: Array, season: Array, linear: Array, at: float, x: float, now: Array) -> None:
    """What each predictor says of the point at `at`, and which of them is believed."""
    slot, week = seasons.day_slot(at), DAY_SLOTS + seasons.week_slot(at)
    age = at - head[FIRST]
    known_day = age > DAY_US and not math.isnan(season[slot])
    known_week = known_day and age > 8.0 * DAY_US
    level = head[LEVEL]
    now[0] = head[NEWEST] - level
    now[1] = head[BEFORE] - level
    now[2] = head[FAST] - level
    now[3] = season[slot] + head[DAY_OFFSET] - level if known_day else 0.0
    now[4] = season[slot] + season[week] + head[WEEK_OFFSET] - level if known_week else 0.0
    least = min(0.0, now[0], now[1], now[2], now[3], now[4])
    most = max(0.0, now[0], now[1], now[2], now[3], now[4])
    beyond = BEYOND * (most - least)
    now[LINEAR] = level + min(max(rls.predict(linear, now), least - beyond), most + beyond)
    now[USUAL] = head[DAY_LEVEL]
    if known_day:
        now[USUAL] += season[slot] + (season[week] if known_week else 0.0)
    now[KNOWN_DAY] = 1.0 if known_day else 0.0
    now[KNOWN_WEEK] = 1.0 if known_week else 0.0
    now[DAILY] = seasons.nearest_day(season, slot, x - head[DAY_OFFSET]) if known_day else 0.0
    now[WEEKLY] = seasons.nearest_week(season, slot, week - DAY_SLOTS, x - head[WEEK_OFFSET]) if known_week else 0.0
    # Below the noise of the number itself, a fiftieth of the spread, and a quarter of its usual jump, nothing is odd.
    number = 1e-9 * max(abs(x + head[ANCHOR]), abs(head[ANCHOR]))
    floor = max(0.02 * math.sqrt(head[SPREAD]), 0.25 * head[JUMP], number)
    now[FLOOR], now[CENTRE], now[SCALE] = floor, now[LINEAR], max(math.sqrt(head[VAR_LINEAR]), floor)
    if head[DAY_COUNT] > SEASON_POINTS and known_day:
        _believe(now, now[DAILY] + head[DAY_OFFSET], head[VAR_DAY])
    if head[WEEK_COUNT] > SEASON_POINTS and known_week:
        _believe(now, now[WEEKLY] + head[WEEK_OFFSET], head[VAR_WEEK])


@njit(cache=True, nogil=True, inline="always")
def _believe(now: Array, centre: float, variance: float) -> None:
    """Believe a season where it is closer than what was believed so far."""
    scale = max(SEASON_PENALTY * math.sqrt(variance), now[FLOOR])
    if scale < now[SCALE]:
        now[CENTRE] = centre
        now[SCALE] = scale


@njit(cache=True, nogil=True, inline="always")
def _home(head: Array, at: float, x: float, now: Array, parameters: Array) -> bool:
    """Whether the series is nearer to where it was before it went odd, not long ago, than to where it has led what is expected."""
    if at - head[HOME_AT] >= parameters[HOLD_US] or abs(x - head[HOME]) >= abs(x - now[CENTRE]):
        return False
    now[CENTRE] = head[HOME]
    return True


@njit(cache=True, nogil=True, inline="always")
def _follow(head: Array, level: int, off: float, pull: float, most: float) -> None:
    """Pull a level towards what was seen, by no more than `most` of it."""
    head[level] += pull * min(max(off, -most), most)


@njit(cache=True, nogil=True, inline="always")
def _learn_season(head: Array, var: int, count: int, offset: int, off: float, memory: float, most: float) -> None:
    """How far off a season was, and where it lies."""
    head[count] += 1.0
    head[var] += (off * off - head[var]) / min(head[count], memory) if head[RUN] <= FRESH else 0.0
    _follow(head, offset, off, 0.1, most)


@njit(cache=True, nogil=True, inline="always")
def _learn(
    head: Array,
    season: Array,
    linear: Array,
    x: float,
    now: Array,
    flagged: bool,  # noqa: FBT001
    settled: bool,  # noqa: FBT001
) -> None:
    n, memory = head[COUNT], max(MEMORY_US / max(head[INTERVAL], 1.0), 2000.0)
    tolerated = now[LIMIT] * now[SCALE]
    unit = max(math.sqrt(head[SPREAD]), now[FLOOR], 1e-300)
    bound = 3.0 * max(math.sqrt(head[VAR_LINEAR]), now[FLOOR]) / unit
    error = x - now[LINEAR]
    _spreads(head, x, memory, flagged)
    lasting.learn(head, x, memory, FRESH, now)
    head[VAR_LINEAR] += (error * error - head[VAR_LINEAR]) / min(n, memory) if head[RUN] <= FRESH else 0.0
    if settled:
        _accept(head, x, now[DAILY], now[WEEKLY])
    for i in range(rls.FEATURES):
        now[i] /= unit
    if head[RUN] <= FRESH:
        rls.learn(linear, now, min(max(error / unit, -bound), bound), now[rls.FEATURES :])
    pace = min(head[INTERVAL] / PACE_US, 1.0)
    most = pace * tolerated if flagged else math.inf
    _follow(head, LEVEL, x - head[LEVEL], max(0.1, 1.0 / n), most)
    head[DAY_LEVEL] += max(1.0 / n, min(0.1, max(head[INTERVAL], 1e5) / DAY_US)) * (x - head[DAY_LEVEL])
    known_day = now[KNOWN_DAY] > 0.0
    if known_day:
        _learn_season(head, VAR_DAY, DAY_COUNT, DAY_OFFSET, x - now[DAILY] - head[DAY_OFFSET], memory, most)
    if now[KNOWN_WEEK] > 0.0:
        _learn_season(head, VAR_WEEK, WEEK_COUNT, WEEK_OFFSET, x - now[WEEKLY] - head[WEEK_OFFSET], memory, most)
    # What was odd enters half as fast: an outage hardly marks the season, a job that runs every night soon does.
    slot, week = seasons.day_slot(head[LAST]), seasons.week_slot(head[LAST])
    seasons.learn(season, slot, week, x - head[DAY_LEVEL], max(head[INTERVAL], 1e5), 0.5 if flagged else 1.0, known_day)
    # What predicts the next points is shown hardly more than was expected.
    most = CREEP * pace * tolerated if flagged and not settled else math.inf
    head[BEFORE] = head[NEWEST]
    head[NEWEST] = now[CENTRE] + min(max(x - now[CENTRE], -most), most) if most < math.inf else x
    head[FAST] += max(0.3, 1.0 / n) * (head[NEWEST] - head[FAST])


@njit(cache=True, nogil=True, inline="always")
def _step(head: Array, season: Array, linear: Array, at: float, value: float, answer: Array, parameters: Array, now: Array) -> None:
    """Score one point into `answer` (NaN where there is no score yet), then learn it; one older than the last teaches nothing."""
    if head[COUNT] == 0.0:
        _begin(head, season, linear, at, value)
        return
    gap = at - head[LAST]
    if gap < 0.0:
        return
    x = value - head[ANCHOR]
    _expect(head, season, linear, at, x, now)
    if head[INTERVAL] > 0.0:
        now[SCALE] *= math.sqrt(min(max(gap / head[INTERVAL], 1.0), 16.0))
        head[CAUTION] *= 1.0 - min(gap / MEMORY_US, 1.0)
    back = _home(head, at, x, now, parameters)
    z = min(max((x - now[CENTRE]) / max(now[SCALE], 1e-300), -1e6), 1e6)
    above, below = _limit(head, ABOVE, parameters[SIGMAS]), _limit(head, BELOW, parameters[SIGMAS])
    limit = above if z >= 0.0 else below
    excess, score = 0.0, 0.0
    if head[COUNT] >= parameters[WARMUP]:
        _block(head, z, limit)
        excess = abs(z) / limit
        slow = lasting.excess(head, x, parameters[SIGMAS], MEMORY_US, now)
        if slow > max(excess, 1.0):
            excess, limit = slow, above if x >= now[USUAL] else below
            now[CENTRE], now[SCALE] = now[USUAL], abs(x - now[USUAL]) / (slow * limit)
        score = _judge(head, at, excess, parameters)
        answer[YHAT] = now[CENTRE] + head[ANCHOR]
        answer[LOWER] = answer[YHAT] - below * now[SCALE]
        answer[UPPER] = answer[YHAT] + above * now[SCALE]
        answer[POINT] = score
        answer[ALARM] = _alarm(head, score, parameters[REFRACTORY])
    now[LIMIT] = limit
    if back and excess <= 1.0:
        _live_on(head, x, now[DAILY], now[WEEKLY])
    _interval(head, gap)
    head[COUNT] += 1.0
    head[LAST] = at
    settled = _run(head, at, excess, score > 1.0, parameters)
    _learn(head, season, linear, x, now, excess > 1.0, settled)


@njit(cache=True, nogil=True)
def walk(
    starts: Array,
    slots: Array,
    at: Array,
    value: Array,
    heads: Array,
    seasons: Array,
    linears: Array,
    answers: Array,
    parameters: Array,
) -> None:
    """Score and learn every point; series i owns rows starts[i] to starts[i + 1].

    Raises:
        ValueError: the rows are not of the widths this was compiled for, as when a cached compilation outlived its version.
    """
    if heads.shape[1] != HEAD or seasons.shape[1] != SEASON or linears.shape[1] != rls.SIZE:
        raise ValueError("compiled for other records; remove the __pycache__ of vedette/models")
    now = np.zeros(NOW)
    for series in range(len(slots)):
        slot = slots[series]
        for row in range(starts[series], starts[series + 1]):
            answers[row, :] = np.nan
            if slot >= 0 and abs(value[row]) <= LARGEST:
                _step(heads[slot], seasons[slot], linears[slot], float(at[row]), value[row], answers[row], parameters, now)
