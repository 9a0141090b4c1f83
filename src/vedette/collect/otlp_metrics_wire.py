"""The kernel of OTLP metrics: one pass over an ExportMetricsServiceRequest, points straight into columns.

Field numbers are those of opentelemetry/proto/metrics/v1/metrics.proto. As in remote write, arrays that are too small are
not written beyond their end, and everything is counted all the same. Series are filed under a hash of the raw bytes of
resource, name and attributes; under that of a histogram (its bounds are part of it) is filed where in `members` the series
of its parts begin.
"""

from typing import Final

import numpy as np

from vedette.collect.wire import UNKNOWN, Bytes, Ints, Words, digest, find, inlined, kernel, mix, signed, step, word

#: Places in the counts of a walk.
SAMPLES, STRANGERS, OTHERS, REFUSED, POSITION = range(5)
#: Columns of a stranger (a point whose series were not seen before) and of another point (one that Python reads): the message
#: of its resource, of its metric, and its own; its position in the body; what it is. A stranger goes on with its hash, its
#: first sample and how many.
RESOURCE, RESOURCE_STOP, METRIC, METRIC_STOP, POINT, POINT_STOP, RECORD, DATA, HASH1, HASH2, FIRST, COUNT = range(12)
#: Tags of a metric's data.
GAUGE, SUM, HISTOGRAM, EXPONENTIAL, SUMMARY = 42, 58, 74, 82, 90
#: Why a point is refused.
NO_TIME, NO_VALUE, NO_BUCKETS = range(3)

_STALE: Final = 0x7FF0000000000002
_BOUNDS: Final = np.uint64(0x5851F42D4C957F2D)


@inlined
def run(buffer: Bytes, at: int, end: int, tag: int) -> int:
    """Where a run of short messages of one tag ends that begins at `at`: it is hashed in one go."""
    while end - at >= 2 and buffer[np.uint64(at)] == tag and buffer[np.uint64(at + 1)] < 128:
        stop = at + 2 + signed(buffer[np.uint64(at + 1)])
        if stop > end:
            return at
        at = stop
    return at


@inlined
def hash_fields(
    buffer: Bytes, at: int, end: int, wanted: int, first: np.uint64, second: np.uint64
) -> tuple[np.uint64, np.uint64, int]:
    """Take every field of one tag into a hash, wherever it stands; and where it broke (or the end)."""
    while at < end:
        tag, _, begin, stop = step(buffer, at, end)
        if stop < 0:
            return first, second, stop
        if tag == wanted:
            first, second = digest(first, second, buffer, begin, stop)
        at = stop
    return first, second, at


@inlined
def microseconds(nanoseconds: np.uint64) -> int:
    """UTC microseconds of the nanoseconds on the wire."""
    return signed(nanoseconds // np.uint64(1000))


@kernel
def _time(buffer: Bytes, at: int, end: int) -> tuple[int, int]:
    """The time of any point, which is field 3 of all of them; and where it broke (or the end)."""
    time = signed(0)
    while at < end:
        tag, _, begin, stop = step(buffer, at, end)
        if stop < 0:
            return time, stop
        if tag == 25:
            time = microseconds(word(buffer, begin))
        at = stop
    return time, at


@kernel
def walk_metrics(  # noqa: C901, PLR0911, PLR0912, PLR0915 -- one loop a level, one branch a field: calls with many arrays cost more than the work
    buffer: Bytes,
    seed1: np.uint64,
    seed2: np.uint64,
    firsts: Words,
    seconds: Words,
    known: Ints,
    members: Ints,
    low: int,
    high: int,
    series: Ints,
    ats: Ints,
    bits: Ints,
    strangers: Ints,
    others: Ints,
    refusals: Ints,
    counts: Ints,
) -> int:
    """Every point of a request; where it broke (or the end). `low` and `high` bound times in microseconds."""
    values = bits.view(np.float64)
    samples, strange, odd, refused, position = 0, 0, 0, 0, 0
    at1 = 0
    while at1 < buffer.size:
        tag1, _, begin1, stop1 = step(buffer, at1, buffer.size)
        if stop1 < 0:
            return stop1
        at1 = stop1
        if tag1 != 10:
            continue
        resource1, resource2, broke = hash_fields(buffer, begin1, stop1, 10, seed1, seed2)
        if broke < 0:
            return broke
        at2 = begin1
        while at2 < stop1:
            tag2, _, begin2, stop2 = step(buffer, at2, stop1)
            at2 = stop2
            at3 = begin2 if tag2 == 18 else stop2
            while at3 < stop2:
                tag3, _, begin3, stop3 = step(buffer, at3, stop2)
                if stop3 < 0:
                    return stop3
                at3 = stop3
                if tag3 != 18:
                    continue
                metric1, metric2, broke = hash_fields(buffer, begin3, stop3, 10, resource1, resource2)
                if broke < 0:
                    return broke
                at4 = begin3
                while at4 < stop3:
                    data, _, begin4, stop4 = step(buffer, at4, stop3)
                    at4 = stop4
                    is_data = data in (GAUGE, SUM, HISTOGRAM, EXPONENTIAL, SUMMARY)
                    at5 = begin4 if is_data else stop4
                    while at5 < stop4:
                        tag5, _, begin5, stop5 = step(buffer, at5, stop4)
                        if stop5 < 0:
                            return stop5
                        at5 = stop5
                        if tag5 != 10:
                            continue
                        reason, found, first, second, before = -1, UNKNOWN, metric1, metric2, samples
                        if data in (GAUGE, SUM):
                            time, whole, flags, kind = signed(0), np.uint64(0), signed(0), 0
                            at = begin5
                            while at < stop5:
                                stop = run(buffer, at, stop5, 58)
                                if stop > at:
                                    first, second = digest(first, second, buffer, at, stop)
                                    at = stop
                                    continue
                                tag, value, begin, stop = step(buffer, at, stop5)
                                if stop < 0:
                                    return stop
                                if tag == 25:
                                    time = microseconds(word(buffer, begin))
                                elif tag in (33, 49):
                                    kind, whole = tag, word(buffer, begin)
                                elif tag == 58:
                                    first, second = digest(first, second, buffer, at, stop)
                                elif tag == 64:
                                    flags = value
                                at = stop
                            if not low <= time <= high:
                                reason = NO_TIME
                            elif kind == 0 and not flags & 1:
                                reason = NO_VALUE
                            else:
                                if samples < series.size:
                                    ats[samples] = time
                                    bits[samples] = _STALE if flags & 1 else signed(whole)
                                    if kind == 49 and not flags & 1:
                                        values[samples] = float(signed(whole))
                                samples += 1
                                found = find(firsts, seconds, known, first, second)
                                if before < series.size:
                                    series[before] = found
                        elif data == HISTOGRAM:
                            time, count, total, has_total, flags = signed(0), np.uint64(0), np.uint64(0), False, signed(0)
                            buckets, buckets_stop, bounds, bounds_stop = 0, 0, 0, 0
                            at = begin5
                            while at < stop5:
                                tag, value, begin, stop = step(buffer, at, stop5)
                                if stop < 0:
                                    return stop
                                if tag == 25:
                                    time = microseconds(word(buffer, begin))
                                elif tag == 33:
                                    count = word(buffer, begin)
                                elif tag == 41:
                                    total, has_total = word(buffer, begin), True
                                elif tag == 50:
                                    buckets, buckets_stop = begin, stop
                                elif tag == 58:
                                    bounds, bounds_stop = begin, stop
                                elif tag == 74:
                                    first, second = digest(first, second, buffer, begin, stop)
                                elif tag == 80:
                                    flags = value
                                at = stop
                            width, edges = (buckets_stop - buckets) >> 3, (bounds_stop - bounds) >> 3
                            first, second = mix(first, second, _BOUNDS + np.uint64(has_total))
                            first, second = digest(first, second, buffer, bounds, bounds_stop)
                            if not low <= time <= high:
                                reason = NO_TIME
                            elif ((buckets_stop - buckets) | (bounds_stop - bounds)) & 7 or (
                                # Neither counts nor bounds is count and sum alone: the infinite bucket is then the count.
                                width != edges + 1 and (width != 0 or (edges != 0 and not flags & 1))
                            ):
                                reason = NO_BUCKETS
                            else:
                                found = find(firsts, seconds, known, first, second)
                                parts = (width if width > 0 else edges + 1) + 1 + has_total
                                running = 0.0
                                for each in range(parts):
                                    if samples < series.size:
                                        ats[samples] = time
                                        series[samples] = members[found + each] if found != UNKNOWN else UNKNOWN
                                        if flags & 1:
                                            bits[samples] = _STALE
                                        elif each == 0:
                                            values[samples] = float(count)
                                        elif has_total and each == parts - 1:
                                            bits[samples] = signed(total)
                                        else:
                                            if width > 0:
                                                running += float(word(buffer, buckets + 8 * (each - 1)))
                                            elif each == edges + 1:
                                                running = float(count)
                                            values[samples] = running
                                    samples += 1
                        else:
                            time, broke = _time(buffer, begin5, stop5)
                            if broke < 0:
                                return broke
                            if not low <= time <= high:
                                reason = NO_TIME
                            else:
                                if odd < others.shape[0]:
                                    others[odd, RESOURCE], others[odd, RESOURCE_STOP] = begin1, stop1
                                    others[odd, METRIC], others[odd, METRIC_STOP] = begin3, stop3
                                    others[odd, POINT], others[odd, POINT_STOP] = begin5, stop5
                                    others[odd, RECORD], others[odd, DATA] = position, data
                                odd += 1
                        if reason >= 0:
                            if refused < refusals.shape[0]:
                                refusals[refused, 0], refusals[refused, 1] = position, reason
                            refused += 1
                        elif samples > before and found == UNKNOWN:
                            if strange < strangers.shape[0]:
                                row = strangers[strange]
                                row[RESOURCE], row[RESOURCE_STOP] = begin1, stop1
                                row[METRIC], row[METRIC_STOP] = begin3, stop3
                                row[POINT], row[POINT_STOP] = begin5, stop5
                                row[RECORD], row[DATA] = position, data
                                row[HASH1], row[HASH2] = signed(first), signed(second)
                                row[FIRST], row[COUNT] = before, samples - before
                            strange += 1
                        position += 1
                    if stop4 < 0:
                        return stop4
            if stop2 < 0:
                return stop2
    counts[SAMPLES], counts[STRANGERS], counts[OTHERS] = samples, strange, odd
    counts[REFUSED], counts[POSITION] = refused, position
    return at1
