"""What `Envelope` keeps of one series, and what passes through the walk of one point: the names of their columns.

A record is three rows of numbers: `head` (named here), `season` (a day and a week, see `seasons`) and `linear` (see `rls`).
"""

from typing import Final

from vedette.models import rls

# Columns of `head`.
ANCHOR, LAST, FIRST, COUNT, INTERVAL = 0, 1, 2, 3, 4
NEWEST, BEFORE, SEEN, FAST, LEVEL, DAY_LEVEL = 5, 6, 7, 8, 9, 10
DAY_OFFSET, WEEK_OFFSET = 11, 12
MEAN, SPREAD, JUMP, MOVES = 13, 14, 15, 16
VAR_LINEAR, VAR_DAY, VAR_WEEK, DAY_COUNT, WEEK_COUNT = 17, 18, 19, 20, 21
ABOVE, BELOW, FILL, BLOCKS = 22, 25, 28, 29
RUN, RUN_START, FIRST_SCORE, CAUTION, PEAK, QUIET = 30, 31, 32, 33, 34, 35
HOME, HOME_AT, SLOW, VAR_SLOW, HELD, HOLDING = 36, 37, 38, 39, 40, 41
HEAD: Final = 42

# Columns of what the walk answers.
YHAT, LOWER, UPPER, POINT, ALARM = 0, 1, 2, 3, 4
ANSWERS: Final = 5

# Columns of the scratch of one point: features and gains of the linear predictor, then what is expected now.
LINEAR, DAILY, WEEKLY, CENTRE, SCALE, FLOOR, LIMIT, KNOWN_DAY, KNOWN_WEEK, USUAL = range(2 * rls.FEATURES, 2 * rls.FEATURES + 10)
NOW: Final = 2 * rls.FEATURES + 10

# Columns of the parameters, in their order in `Envelope`.
SIGMAS, WARMUP, HOLD, HOLD_US, YOUNG_US, REFRACTORY = 0, 1, 2, 3, 4, 5
