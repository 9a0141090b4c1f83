"""The kernels of remote write: one pass over the bytes of a request, samples straight into columns.

Arrays that turn out too small are not written beyond their end, and everything is counted all the same: the caller
looks at the counts, makes room, and walks again.
"""

import numpy as np

from vedette.collect.wire import UNKNOWN, Bytes, Ints, Words, digest, find, inlined, kernel, mix, signed, step, varint, word

#: Places in the counts of a walk.
SAMPLES, STRANGERS, HISTOGRAMS, LATE, POSITION, METADATA = range(6)
#: Columns of a stranger, a time series with samples whose labels were not seen before: its bytes, the hash of its
#: labels, its first sample, how many, the position of its first record, and whether its references exist.
BEGIN, STOP, HASH1, HASH2, FIRST, COUNT, RECORD, SOUND = range(8)


@kernel
def walk_symbols(buffer: Bytes, spans: Ints, firsts: Words, seconds: Words, seed1: np.uint64, seed2: np.uint64) -> tuple[int, int]:
    """Hash the symbol table of a 2.0 request; how many symbols, and where it broke (or the end)."""
    at, count = 0, 0
    while at < buffer.size:
        tag, _, begin, stop = step(buffer, at, buffer.size)
        if stop < 0:
            return count, stop
        if tag == 34 and count < spans.shape[0]:
            spans[count, 0] = begin
            spans[count, 1] = stop
            firsts[count], seconds[count] = digest(seed1, seed2, buffer, begin, stop)
        count += tag == 34
        at = stop
    return count, at


@kernel
def walk_tops(buffer: Bytes, wanted: int, spans: Ints) -> int:
    """Fill `spans` with the messages of one tag at the top; how many there are."""
    at, count = 0, 0
    while at < buffer.size:
        tag, _, begin, stop = step(buffer, at, buffer.size)
        if tag == wanted:
            if count < spans.shape[0]:
                spans[count, 0], spans[count, 1] = begin, stop
            count += 1
        at = stop
    return count


@kernel
def _references(
    buffer: Bytes, at: int, end: int, first: np.uint64, second: np.uint64, firsts: Words, seconds: Words
) -> tuple[np.uint64, np.uint64, bool, int]:
    """Take packed references into a hash; whether all exist, and where it broke (or the end)."""
    sound = True
    while at < end:
        value, at = varint(buffer, at, end)
        if at < 0:
            return first, second, False, at
        if 0 <= value < firsts.size:
            first, second = mix(first, second, firsts[value])
            first, second = mix(first, second, seconds[value])
        else:
            sound = False
    return first, second, sound, at


@inlined
def _sample(buffer: Bytes, at: int, end: int) -> tuple[np.uint64, int, int]:
    """A sample: the bits of its value, its time in milliseconds, and where it broke (or the end)."""
    bits, time = np.uint64(0), signed(0)
    if end - at > 10 and buffer[np.uint64(at)] == 9:
        bits = word(buffer, at + 1)
        at += 9
    while at < end:
        tag, value, begin, stop = step(buffer, at, end)
        if stop < 0:
            return bits, time, stop
        if tag == 9:
            bits = word(buffer, begin)
        elif tag == 16:
            time = value
        at = stop
    return bits, time, at


@inlined
def _run(buffer: Bytes, at: int, end: int) -> int:
    """Where a run of short labels ends that begins at `at`: it is hashed in one go."""
    while end - at >= 2 and buffer[np.uint64(at)] == 10 and buffer[np.uint64(at + 1)] < 128:
        stop = at + 2 + signed(buffer[np.uint64(at + 1)])
        if stop > end:
            return at
        at = stop
    return at


@kernel
def walk(  # noqa: C901, PLR0912, PLR0915 -- one loop, one branch a field: calls with many arrays cost more than the work
    buffer: Bytes,
    newer: bool,  # noqa: FBT001 -- a kernel has no keywords
    seed1: np.uint64,
    seed2: np.uint64,
    firsts: Words,
    seconds: Words,
    known: Ints,
    symbols1: Words,
    symbols2: Words,
    low: int,
    high: int,
    series: Ints,
    ats: Ints,
    bits: Ints,
    strangers: Ints,
    histograms: Ints,
    late: Ints,
    counts: Ints,
) -> int:
    """Every time series of a request; where it broke (or the end). `low` and `high` bound times in milliseconds."""
    samples, strange, natives, refused, position, metadata = 0, 0, 0, 0, 0, 0
    wanted, native = (42, 26) if newer else (10, 34)
    outer = 0
    while outer < buffer.size:
        tag, _, at, end = step(buffer, outer, buffer.size)
        if end < 0:
            return end
        outer = end
        metadata += tag == 26
        if tag != wanted:
            continue
        begin, before, record, sound = at, samples, position, True
        first, second = seed1, seed2
        while at < end:
            if not newer:
                run = _run(buffer, at, end)
                if run > at:
                    first, second = digest(first, second, buffer, at, run)
                    at = run
                    continue
            tag, _, start, stop = step(buffer, at, end)
            if stop < 0:
                return stop
            if tag == 18:
                value, time, broke = _sample(buffer, start, stop)
                if broke < 0:
                    return broke
                if low <= time <= high:
                    if samples < series.size:
                        ats[samples] = time * 1000
                        bits[samples] = signed(value)
                    samples += 1
                else:
                    if refused < late.size:
                        late[refused] = position
                    refused += 1
                position += 1
            elif tag == 10 and newer:
                first, second, well, broke = _references(buffer, start, stop, first, second, symbols1, symbols2)
                sound = sound and well
                if broke < 0:
                    return broke
            elif tag == 10:
                first, second = digest(first, second, buffer, at, stop)
            elif tag == 8 and newer:
                sound = False
            elif tag == native:
                if natives < histograms.shape[0]:
                    histograms[natives, 0], histograms[natives, 1] = begin, end
                    histograms[natives, 2], histograms[natives, 3] = start, stop
                    histograms[natives, 4] = position
                natives += 1
                position += 1
            at = stop
        if samples > before:
            identity = find(firsts, seconds, known, first, second) if sound else UNKNOWN
            for each in range(before, min(samples, series.size)):
                series[each] = identity
            if identity == UNKNOWN:
                if strange < strangers.shape[0]:
                    strangers[strange, BEGIN], strangers[strange, STOP] = begin, end
                    strangers[strange, HASH1], strangers[strange, HASH2] = signed(first), signed(second)
                    strangers[strange, FIRST], strangers[strange, COUNT] = before, samples - before
                    strangers[strange, RECORD], strangers[strange, SOUND] = record, sound
                strange += 1
    counts[SAMPLES], counts[STRANGERS], counts[HISTOGRAMS] = samples, strange, natives
    counts[LATE], counts[POSITION], counts[METADATA] = refused, position, metadata
    return outer
