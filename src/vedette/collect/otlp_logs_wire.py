"""The kernel of OTLP logs: one pass over an ExportLogsServiceRequest that finds where every text is, without taking any out.

Field numbers are those of opentelemetry/proto/logs/v1/logs.proto. A span is where a text begins and ends in the
body, or, from `buffer.size` on, in the pool behind it: there the kernel writes what is not in the body as such (ids in hex,
whole numbers, constants).
Arrays that turn out too small are not written beyond their end, and everything is counted all the same.
"""

from typing import Final

import numpy as np

from vedette.collect.otlp_metrics_wire import hash_fields, microseconds
from vedette.collect.wire import UNKNOWN, Bytes, Ints, Words, digest, find, inlined, kernel, signed, step, word

#: Places in the counts of a walk.
RECORDS, ENTRIES, POOL, STRANGERS, REFUSED, POSITION = range(6)
#: Columns of a record: times in microseconds, severity number, the span of its body (of the whole AnyValue where it is not a
#: text), whether it is that, its length where it was cut (or 0), its series, its position in the body.
AT, OBSERVED, SEVERITY, BODY, BODY_STOP, BODY_ODD, ORIGINAL, SERIES, RECORD = range(9)
#: Columns of an attribute: its record, the spans of key and value, whether the value is an AnyValue that is not a text, the
#: hash of the key.
OWNER, KEY, KEY_STOP, VALUE, VALUE_STOP, ODD, HASH = range(7)
#: Columns of a stranger, a resource that was not seen before: its message, its hash, its first record, how many.
RESOURCE, RESOURCE_STOP, HASH1, HASH2, FIRST, COUNT = range(6)
#: Why a record is refused.
NO_TIME, NO_KEY, TOO_MANY, TOO_LONG, EMPTY = range(5)

#: What the pool begins with, and where in it the words are.
PRELUDE: Final = b"falsetruetrace_idspan_idevent_namevedette.truncated"
_FALSE, _TRUE, _TRACE, _SPAN, _EVENT, _CUT, _END = 0, 5, 9, 17, 24, 34, 51


@inlined
def put_number(pool: Bytes, at: int, number: int) -> int:
    """Write a whole number in decimal into the pool where there is room; where it ends."""
    rest = np.uint64(number)
    if number < 0:
        rest = np.uint64(0) - rest
        if at < pool.size:
            pool[at] = 45
        at += 1
    digits, left = 1, rest // np.uint64(10)
    while left > np.uint64(0):
        digits += 1
        left //= np.uint64(10)
    for place in range(at + digits - 1, at - 1, -1):
        if place < pool.size:
            pool[place] = np.uint8(48) + np.uint8(rest % np.uint64(10))
        rest //= np.uint64(10)
    return at + digits


@inlined
def put_hex(pool: Bytes, at: int, buffer: Bytes, begin: int, stop: int) -> int:
    """Write bytes in hex into the pool where there is room; where they end."""
    if at + 2 * (stop - begin) <= pool.size:
        for place in range(begin, stop):
            byte = signed(buffer[np.uint64(place)])
            high, low = byte >> 4, byte & 15
            pool[np.uint64(at)] = high + (48 if high < 10 else 87)
            pool[np.uint64(at + 1)] = low + (48 if low < 10 else 87)
            at += 2
        return at
    return at + 2 * (stop - begin)


@inlined
def value_of(buffer: Bytes, at: int, end: int) -> tuple[int, int, int, int, int]:
    """An AnyValue: the tag of what it is (0 for nothing), its number, its span, and where it broke (or the end)."""
    kind, number, begin, stop = 0, signed(0), at, at
    while at < end:
        tag, value, first, last = step(buffer, at, end)
        if last < 0:
            return 0, signed(0), 0, 0, last
        if 10 <= tag < 64:
            kind, number, begin, stop = tag, value, first, last
        at = last
    return kind, number, begin, stop, at


@inlined
def severity_of(buffer: Bytes, at: int, end: int, words: Words, numbers: Ints) -> int:
    """The number of a severity by the first eight letters of its name, or 0."""
    name, shift = np.uint64(0), np.uint64(0)
    for place in range(at, min(end, at + 8)):
        byte = buffer[place]
        if 65 <= byte <= 90:
            byte += 32
        name |= np.uint64(byte) << shift
        shift += np.uint64(8)
    for place in range(words.size):
        if words[place] == name:
            return signed(numbers[place])
    return signed(0)


@inlined
def enter(
    entries: Ints,
    first: int,
    count: int,
    owner: int,
    key: int,
    key_stop: int,
    value: int,
    value_stop: int,
    odd: int,
    name: int,
) -> int:
    """Add an attribute to a record whose others begin at `first`; one of the same name is written over. How many there are."""
    place = first
    while place < count and not (place < entries.shape[0] and entries[place, HASH] == name):
        place += 1
    if place < entries.shape[0]:
        entries[place, OWNER], entries[place, ODD], entries[place, HASH] = owner, odd, name
        entries[place, KEY], entries[place, KEY_STOP] = key, key_stop
        entries[place, VALUE], entries[place, VALUE_STOP] = value, value_stop
    return max(count, place + 1)


@inlined
def hash_of(buffer: Bytes, begin: int, stop: int) -> int:
    """A name as a number, to compare it with others of its record."""
    first, second = digest(np.uint64(1), np.uint64(2), buffer, begin, stop)
    return signed(first ^ second)


@kernel
def walk_logs(  # noqa: C901, PLR0911, PLR0912, PLR0915 -- one loop a level, one branch a field: calls with many arrays cost more than the work
    buffer: Bytes,
    seed1: np.uint64,
    seed2: np.uint64,
    firsts: Words,
    seconds: Words,
    known: Ints,
    words: Words,
    numbers: Ints,
    low: int,
    high: int,
    now: int,
    line_bytes: int,
    most_attributes: int,
    label_bytes: int,
    records: Ints,
    entries: Ints,
    pool: Bytes,
    strangers: Ints,
    refusals: Ints,
    counts: Ints,
) -> int:
    """Every log record of a request; where it broke (or the end). `low`, `high` and `now` are microseconds."""
    base = buffer.size
    kept, entered, pooled, strange, refused, position = 0, 0, _END, 0, 0, 0
    at1 = 0
    trace_name, span_name = hash_of(pool, _TRACE, _SPAN), hash_of(pool, _SPAN, _EVENT)
    event_name, cut_name = hash_of(pool, _EVENT, _CUT), hash_of(pool, _CUT, _END)
    while at1 < base:
        tag1, _, begin1, stop1 = step(buffer, at1, base)
        if stop1 < 0:
            return stop1
        at1 = stop1
        if tag1 != 10:
            continue
        hash1, hash2, broke = hash_fields(buffer, begin1, stop1, 10, seed1, seed2)
        if broke < 0:
            return broke
        series, kept_before = find(firsts, seconds, known, hash1, hash2), kept
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
                time, observed, severity, named = signed(0), signed(0), signed(0), signed(0)
                body, body_stop, body_kind, original = 0, 0, 0, 0
                entered_before, pooled_before, reason = entered, pooled, -1
                trace, trace_stop, span, span_stop, event, event_stop = 0, 0, 0, 0, 0, 0
                at = begin3
                while at < stop3:
                    tag, value, begin, stop = step(buffer, at, stop3)
                    if stop < 0:
                        return stop
                    at = stop
                    if tag == 9:
                        time = microseconds(word(buffer, begin))
                    elif tag == 89:
                        observed = microseconds(word(buffer, begin))
                    elif tag == 16:
                        severity = value if 1 <= value <= 24 else signed(0)
                    elif tag == 26:
                        named = severity_of(buffer, begin, stop, words, numbers)
                    elif tag == 74:
                        trace, trace_stop = begin, stop
                    elif tag == 82:
                        span, span_stop = begin, stop
                    elif tag == 98:
                        event, event_stop = begin, stop
                    elif tag == 42:
                        body_kind, _, body, body_stop, broke = value_of(buffer, begin, stop)
                        if broke < 0:
                            return broke
                        if body_kind not in (0, 10):
                            body, body_stop = begin, stop
                    elif tag == 50:
                        key, key_stop, kind, number, text, text_stop = begin, begin, 0, signed(0), begin, begin
                        within = begin
                        while within < stop:
                            part, _, inner, inner_stop = step(buffer, within, stop)
                            if inner_stop < 0:
                                return inner_stop
                            if part == 10:
                                key, key_stop = inner, inner_stop
                            elif part == 18:
                                kind, number, text, text_stop, broke = value_of(buffer, inner, inner_stop)
                                if broke < 0:
                                    return broke
                                if kind not in (0, 10, 16, 24):
                                    text, text_stop = inner, inner_stop
                            within = inner_stop
                        if kind == 24:
                            text, text_stop = base + pooled, base + put_number(pool, pooled, number)
                            pooled = text_stop - base
                        elif kind == 16:
                            text, text_stop = (base + _TRUE, base + _TRACE) if number != 0 else (base + _FALSE, base + _TRUE)
                        if key == key_stop:
                            reason = NO_KEY
                        elif key_stop - key > label_bytes or text_stop - text > line_bytes:
                            reason = TOO_LONG
                        elif entered - entered_before >= most_attributes:
                            reason = TOO_MANY
                        else:
                            odd = 0 if kind in (0, 10, 16, 24) else 1
                            entered = enter(
                                entries,
                                entered_before,
                                entered,
                                kept,
                                key,
                                key_stop,
                                text,
                                text_stop,
                                odd,
                                hash_of(buffer, key, key_stop),
                            )
                if time == 0:
                    time = observed if observed != 0 else now
                if not low <= observed <= high:
                    observed = now
                if not low <= time <= high:
                    reason = NO_TIME
                elif reason < 0 and body_kind == 0 and entered == entered_before and event == event_stop:
                    reason = EMPTY
                if reason >= 0:
                    entered, pooled = entered_before, pooled_before
                    if refused < refusals.shape[0]:
                        refusals[refused, 0], refusals[refused, 1] = position, reason
                    refused += 1
                    position += 1
                    continue
                if trace_stop - trace == 16:
                    text, pooled = base + pooled, put_hex(pool, pooled, buffer, trace, trace_stop)
                    entered = enter(
                        entries, entered_before, entered, kept, base + _TRACE, base + _SPAN, text, base + pooled, 0, trace_name
                    )
                if span_stop - span == 8:
                    text, pooled = base + pooled, put_hex(pool, pooled, buffer, span, span_stop)
                    entered = enter(
                        entries, entered_before, entered, kept, base + _SPAN, base + _EVENT, text, base + pooled, 0, span_name
                    )
                if event_stop > event:
                    entered = enter(
                        entries, entered_before, entered, kept, base + _EVENT, base + _CUT, event, event_stop, 0, event_name
                    )
                if body_kind == 10 and body_stop - body > line_bytes:
                    original, body_stop = body_stop - body, body + line_bytes
                    while body_stop > body and buffer[body_stop] & 192 == 128:
                        body_stop -= 1
                    text, pooled = base + pooled, put_number(pool, pooled, original)
                    entered = enter(
                        entries, entered_before, entered, kept, base + _CUT, base + _END, text, base + pooled, 0, cut_name
                    )
                if kept < records.shape[0]:
                    records[kept, AT], records[kept, OBSERVED] = time, observed
                    records[kept, SEVERITY] = severity if severity > 0 else named
                    records[kept, BODY], records[kept, BODY_STOP] = body, body_stop
                    records[kept, BODY_ODD], records[kept, ORIGINAL] = body_kind not in (0, 10), original
                    records[kept, SERIES], records[kept, RECORD] = series, position
                kept += 1
                position += 1
            if stop2 < 0:
                return stop2
        if kept > kept_before and series == UNKNOWN:
            if strange < strangers.shape[0]:
                strangers[strange, RESOURCE], strangers[strange, RESOURCE_STOP] = begin1, stop1
                strangers[strange, HASH1], strangers[strange, HASH2] = signed(hash1), signed(hash2)
                strangers[strange, FIRST], strangers[strange, COUNT] = kept_before, kept - kept_before
            strange += 1
    counts[RECORDS], counts[ENTRIES], counts[POOL] = kept, entered, pooled
    counts[STRANGERS], counts[REFUSED], counts[POSITION] = strange, refused, position
    return at1


@kernel
def number_keys(entries: Ints, which: Ints, spans: Ints) -> int:
    """Give equal keys one number, as records share theirs: `which` by entry, the span of each number in `spans`; how many."""
    mask = 4 * spans.shape[0] - 1
    slots = np.full(mask + 1, -1, np.int64)
    count = 0
    for entry in range(entries.shape[0]):
        name = entries[entry, HASH]
        place = (name ^ (name >> 32)) & mask
        while slots[place] >= 0 and entries[spans[slots[place], 2], HASH] != name:
            place = (place + 1) & mask
        if slots[place] < 0:
            if count == spans.shape[0]:
                return -1
            spans[count, 0], spans[count, 1], spans[count, 2] = entries[entry, KEY], entries[entry, KEY_STOP], entry
            slots[place] = count
            count += 1
        which[entry] = slots[place]
    return count
