"""Masked lines as hashes of their words: the kernel that finds a line's template, and counts what varies where.

A line is a list of words. Its hash is a sum over (place, word), so that the same line with another word at one place, or
none, costs one subtraction: the hash of all words but one is a *context*. Tables are open addressing of fixed size in
two generations: when the young one is half full it becomes the old one, whose entries are let go of. Reading changes nothing.
"""

from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from vedette.prepare.slots import Ints

Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Hashes = NDArray[np.uint64]

#: Words of a line that are told apart; what follows is one word more.
TOKENS: Final = 48
PLACES: Final = TOKENS + 1
#: What `walk` stopped for.
DONE, NEW, WIDEN = 0, 1, 2

_PRIME: Final = np.uint64(0x100000001B3)
_BASIS: Final = np.uint64(0xCBF29CE484222325)
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_HOLE: Final = np.uint64(0xD6E8FEB86659FD93)
_BLANK, _EQUALS, _COLON = ord(" "), ord("="), ord(":")


class Words(NamedTuple):
    """The words of the line in hand: hash, hash of the constant part of `key=value`, whether it varies, whether it has letters."""

    hashed: Hashes
    key: Hashes
    varies: Flags
    letters: Flags
    lower: Hashes


class Tables(NamedTuple):
    """What is known: texts (hash, row or -1), open contexts, and contexts with the lines seen in them.

    `opened` is (2, n), `seen` (2, n) with `held` (2, n) and `members` (2, n, distinct); `young` says of each of the two
    which generation is the young one and how many entries it has.
    """

    texts: Ints
    rows: NDArray[np.int32]
    opened: Ints
    seen: Ints
    held: NDArray[np.int8]
    members: NDArray[np.int64]
    young: NDArray[np.int64]


def words() -> Words:
    """Room for the words of one line."""
    number, flag = np.zeros(PLACES, np.uint64), np.zeros(PLACES, np.bool_)
    return Words(number, number.copy(), flag, flag.copy(), number.copy())


def tables(texts: int, opened: int, seen: int, distinct: int) -> Tables:
    """Empty tables with room for so many entries, each count rounded down to a power of two and half of it used."""
    wide = {name: 1 << max(entries.bit_length() - 1, 6) for name, entries in (("t", texts), ("o", opened), ("s", seen))}
    return Tables(
        np.zeros(wide["t"], np.int64),
        np.full(wide["t"], -1, np.int32),
        np.zeros((2, wide["o"] // 2), np.int64),
        np.zeros((2, wide["s"] // 2), np.int64),
        np.zeros((2, wide["s"] // 2), np.int8),
        np.zeros((2, wide["s"] // 2, distinct), np.int64),
        np.zeros((2, 2), np.int64),
    )


@njit(cache=True, nogil=True)
def _mix(number: np.uint64) -> np.uint64:
    """The finaliser of splitmix64."""
    mixed = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


@njit(cache=True, nogil=True)
def _term(hashed: np.uint64, place: int) -> np.uint64:
    return _mix(hashed ^ _mix(np.uint64(place + 1) * _GOLDEN))


@njit(cache=True, nogil=True)
def _whole(number: np.uint64) -> np.int64:
    """A hash as a key of a table, where 0 means free."""
    key = np.int64(_mix(number))
    return key if key != 0 else np.int64(1)


@njit(cache=True, nogil=True)
def _place(keys: Ints, key: np.int64) -> np.int64:
    """Where `key` is, or would go."""
    mask = len(keys) - 1
    place = np.int64(np.uint64(key) >> np.uint64(20)) & mask
    while keys[place] != 0 and keys[place] != key:
        place = (place + 1) & mask
    return place


@njit(cache=True, nogil=True)
def _starred(state: np.uint64) -> np.uint64:
    """The hash `state` followed by `<*>`."""
    hashed = state
    for letter in (60, 42, 62):
        hashed = (hashed ^ np.uint64(letter)) * _PRIME
    return hashed


@njit(cache=True, nogil=True)
def read(text: Bytes, begin: int, end: int, words: Words) -> int:
    """Split a line at blanks into `words`; returns how many there are. FNV-1a over the bytes of each."""
    number, at = 0, begin
    while True:
        hashed = key = lower = _BASIS
        letters, before, start, keyed = False, False, at, False
        while at < end and (text[at] != _BLANK or number == TOKENS):
            byte = text[at]
            hashed = (hashed ^ np.uint64(byte)) * _PRIME
            small = byte | 32
            letter = 97 <= small <= 122
            letters |= letter and before
            before = letter
            if byte != _EQUALS and byte != _COLON:  # noqa: PLR1714 -- a set costs a hash a byte here
                lower = (lower ^ np.uint64(small)) * _PRIME
            at += 1
            if byte == _EQUALS and not keyed:
                keyed, key = True, hashed
        words.hashed[number], words.key[number], words.lower[number] = hashed, key, lower
        words.letters[number] = letters
        words.varies[number] = at == start or hashed == _starred(key)
        number += 1
        if at >= end:
            return number
        at += 1


@njit(cache=True, nogil=True)
def _sum(words: Words, number: int) -> np.uint64:
    total = np.uint64(number) * _GOLDEN
    for place in range(number):
        total += _term(words.hashed[place], place)
    return total


@njit(cache=True, nogil=True)
def _context(words: Words, place: int, total: np.uint64) -> np.int64:
    return _whole(total - _term(words.hashed[place], place) + _term(words.key[place] ^ _HOLE, place))


@njit(cache=True, nogil=True)
def _judged(words: Words, number: int) -> bool:
    """Whether a word of the line may turn out to vary: there must be another one that tells what the line is."""
    constant = 0
    for place in range(number):
        constant += words.letters[place] and not words.varies[place]
    return constant > 1


@njit(cache=True, nogil=True)
def canonical(words: Words, number: int, opened: Ints) -> np.uint64:
    """Let each word vary whose context is open; returns the sum of the line."""
    total = _sum(words, number)
    changed = True
    while changed and _judged(words, number):
        changed = False
        for place in range(number):
            if words.varies[place]:
                continue
            context = _context(words, place, total)
            for keys in opened:
                if keys[_place(keys, context)] == context:
                    total -= _term(words.hashed[place], place)
                    words.hashed[place] = _starred(words.key[place])
                    total += _term(words.hashed[place], place)
                    words.varies[place] = changed = True
                    break
    return total


@njit(cache=True, nogil=True)
def again(text: Bytes, begin: int, end: int, words: Words, opened: Ints) -> tuple[np.int64, int]:
    """The key of a line's text as it stands with what is open by now, and its words."""
    number = read(text, begin, end, words)
    return _whole(canonical(words, number, opened)), number


@njit(cache=True, nogil=True)
def key_of(text: Bytes, words: Words) -> np.int64:
    """The key of a text, whatever is open."""
    return _whole(_sum(words, read(text, 0, len(text), words)))


@njit(cache=True, nogil=True)
def add(keys: Ints, young: Ints, key: np.int64) -> np.int64:
    """Put `key` into the young one of two generations; returns its place there. The table turns when half full."""
    place = _place(keys[young[0]], key)
    if keys[young[0], place] == key:
        return place
    if young[1] * 2 >= keys.shape[1]:
        young[0], young[1] = 1 - young[0], 0
        keys[young[0]] = 0
        place = _place(keys[young[0]], key)
    keys[young[0], place] = key
    young[1] += 1
    return place


@njit(cache=True, nogil=True)
def add_all(keys: Ints, young: Ints, fresh: Ints, places: Ints) -> None:
    """`add` each of `fresh` and say where it went."""
    for number in range(len(fresh)):
        places[number] = add(keys, young, fresh[number])


def lower_of(word: bytes, words: Words) -> int:
    """The hash of a word in lower case, as `read` makes it."""
    read(np.frombuffer(word, np.uint8), 0, len(word), words)
    return int(words.lower[0])


@njit(cache=True, nogil=True)
def _see(known: Tables, context: np.int64, line: np.int64, enough: int, out: Ints) -> np.int64:
    """Count `line` in its context; once there were `enough` different ones, write them to `out` and say how many."""
    young = known.young[1]
    before, full = young[0], young[1]
    place = add(known.seen, young, context)
    now = young[0]
    if now != before or young[1] != full:
        known.held[now, place] = 0
        old = 1 - now
        was = _place(known.seen[old], context)
        if known.seen[old, was] == context:
            known.held[now, place] = known.held[old, was]
            known.members[now, place] = known.members[old, was]
            known.held[old, was] = 0
    count = known.held[now, place]
    for each in range(count):
        if known.members[now, place, each] == line:
            return np.int64(0)
    known.members[now, place, count] = line
    known.held[now, place] = count + 1
    if count + 1 < enough:
        return np.int64(0)
    known.held[now, place] = 0
    for each in range(count + 1):
        out[each] = known.members[now, place, each]
    return np.int64(count + 1)


@njit(cache=True, nogil=True)
def row_of(known: Tables, key: np.int64) -> np.int64:
    """The row of a text, -1 where it is not known."""
    place = _place(known.texts, key)
    return np.int64(known.rows[place]) if known.texts[place] == key else np.int64(-1)


@njit(cache=True, nogil=True)
def keep(known: Tables, key: np.int64, row: int) -> bool:
    """Let a text have `row`, or none (-1); returns whether it took a place that was free."""
    place = _place(known.texts, key)
    fresh = bool(known.texts[place] == 0)
    known.texts[place], known.rows[place] = key, row
    return fresh


@njit(cache=True, nogil=True)
def weigh(words: Words, number: int, known: Tables, cues: Hashes, distinct: int, cued: int, out: Ints) -> np.int64:
    """Count the line in `words` in its contexts; the first that has enough is opened, and `out` has its so many members."""
    if not _judged(words, number):
        return np.int64(0)
    total = _sum(words, number)
    key = _whole(total)
    for place in range(number):
        if words.varies[place]:
            continue
        soon = False
        if place:
            for cue in cues:
                soon |= cue == words.lower[place - 1]
        context = _context(words, place, total)
        members = _see(known, context, key, cued if soon else distinct, out)
        if members:
            add(known.opened, known.young[0], context)
            return members
    return np.int64(0)


@njit(cache=True, nogil=True)
def walk(
    text: Bytes, ends: Ints, begin: int, known: Tables, cues: Hashes, distinct: int, cued: int, room: int,
    words: Words, rows: Ints, used: Ints, now: int, out: Ints,
) -> tuple[int, int, np.int64]:  # fmt: skip
    """Give lines from `begin` on their rows, until one needs more than looking up; (event, line, number of members).

    NEW: its text is not known and there is room for it; `words` says what varies. WIDEN: a context has just been opened, and
    `out` has the texts that differ there only. Without `room` an unknown text has row 0, and is counted in its contexts still.
    """
    for line in range(begin, len(ends)):
        number = read(text, ends[line - 1] if line else 0, ends[line], words)
        rows[line] = row_of(known, _whole(canonical(words, number, known.opened)))
        if rows[line] >= 0:
            used[rows[line]] = now
            continue
        members = weigh(words, number, known, cues, distinct, cued, out)
        if members:
            return WIDEN, line, members
        if room > 0:
            return NEW, line, np.int64(0)
        rows[line] = 0
    return DONE, len(ends), np.int64(0)
