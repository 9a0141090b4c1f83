"""Text as hashed features: each run of words is a number below `buckets`, so there is no vocabulary to keep, leak or outgrow.

Weinberger et al. 2009, *Feature Hashing for Large Scale Multitask Learning*. The same kernels serve learning and judging, so the
two cannot see a text differently.
"""

from hashlib import blake2b
from typing import Any, Final

import numpy as np
import polars as pl
from numba import njit

Array = np.ndarray[Any, Any]

_START: Final = np.uint64(0xCBF29CE484222325)
_PRIME: Final = np.uint64(0x100000001B3)
_STEP: Final = np.uint64(0x9E3779B97F4A7C15)
_OPENING: Final = np.uint64(0x5851F42D4C957F2D)
_WHOLE: Final = np.uint64(0x2545F4914F6CDD1D)


def packed(text: pl.Series) -> tuple[Array, Array]:
    """The lower-case bytes of all texts, and where each ends. A null is a byte that is no word."""
    lower = text.fill_null("\0").str.to_lowercase()
    ends = np.cumsum(lower.str.len_bytes().to_numpy(), dtype=np.int64)
    return np.frombuffer("".join(lower.to_list()).encode(), np.uint8), ends


def salt(name: str) -> np.uint64:
    """What tells the words of one field from those of another."""
    return np.uint64(int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little"))


@njit(cache=True, nogil=True, inline="always")
def _mixed(number: np.uint64) -> np.uint64:
    """Spread over all bits (Steele et al. 2014, SplitMix64)."""
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))


@njit(cache=True, nogil=True, inline="always")
def _is_word(byte: np.uint8) -> bool:
    return bool(byte >= 128 or 97 <= byte <= 122 or 48 <= byte <= 57)


@njit(cache=True, nogil=True)
def _hashes(blob: Array, start: int, end: int, salted: np.uint64, out: Array) -> int:
    """The hash of each word of one text into `out`; how many there are."""
    count, word, inside = 0, _START, False
    for place in range(start, end):
        byte = blob[place]
        if _is_word(byte):
            word = (word ^ np.uint64(byte)) * _PRIME
            inside = True
        elif inside:
            out[count] = _mixed(word ^ salted)
            count, word, inside = count + 1, _START, False
    if inside:
        out[count] = _mixed(word ^ salted)
        count += 1
    return count


@njit(cache=True, nogil=True)
def _noted(hashed: np.uint64, mask: np.uint64, counts: Array, found: Array, size: int) -> int:
    """Count one feature; how many different ones there are now."""
    bucket = np.int64(hashed & mask)
    counts[bucket] += 1
    if counts[bucket] == 1:
        found[size] = bucket
        return size + 1
    return size


@njit(cache=True, nogil=True)
def _features(hashes: Array, count: int, words: int, opening: int, mask: np.uint64, counts: Array, found: Array) -> int:
    """Runs of up to `words` words, and the first `opening` words once more as such."""
    size = 0
    for first in range(count):
        run = np.uint64(0)
        for last in range(first, min(first + words, count)):
            run = _mixed(run * _STEP + hashes[last])
            size = _noted(run, mask, counts, found, size)
        if first < opening:
            size = _noted(_mixed(hashes[first] ^ _OPENING), mask, counts, found, size)
    return size


@njit(cache=True, nogil=True)
def _whole(blob: Array, start: int, end: int, salted: np.uint64) -> np.uint64:
    value = _START
    for place in range(start, end):
        value = (value ^ np.uint64(blob[place])) * _PRIME
    return _mixed(value ^ salted ^ _WHOLE)


@njit(cache=True, nogil=True)
def weighed(
    blob: Array, ends: Array, salted: np.uint64, words: int, opening: int, whole: int, buckets: int
) -> tuple[Array, Array, Array]:
    """Sparse rows of length 1: a feature seen n times weighs 1 + ln n before the row is scaled.

    Args:
        blob: see `packed`.
        ends: see `packed`.
        salted: see `salt`.
        words: longest run of words that is a feature.
        opening: how many first words are features of their own, since they are what a ticket's subject is.
        whole: 1 where the whole text is one feature more, else 0.
        buckets: a power of two.

    Returns:
        Starts of shape (rows + 1,), buckets and weights: rows in compressed form, buckets in the order of the text.
    """
    rows, mask = len(ends), np.uint64(buckets - 1)
    starts = np.zeros(rows + 1, np.int64)
    longest, start, room = 0, 0, 0
    for row in range(rows):
        length = (ends[row] - start + 1) // 2 + 1
        longest, start, room = max(longest, length), ends[row], room + length * words + min(length, opening) + 1
    columns, weights = np.empty(room, np.int32), np.empty(room, np.float32)
    counts, found = np.zeros(buckets, np.int32), np.empty(longest * (words + 1) + 2, np.int64)
    hashes = np.empty(longest, np.uint64)
    start, filled = 0, 0
    for row in range(rows):
        count = _hashes(blob, start, ends[row], salted, hashes)
        size = _features(hashes, count, words, opening, mask, counts, found)
        if whole:
            size = _noted(_whole(blob, start, ends[row], salted), mask, counts, found, size)
        square = 0.0
        for each in range(size):
            weight = 1.0 + np.log(counts[found[each]])
            counts[found[each]] = 0
            columns[filled + each], weights[filled + each] = found[each], weight
            square += weight * weight
        if size:
            weights[filled : filled + size] /= np.float32(np.sqrt(square))
        filled += size
        start, starts[row + 1] = ends[row], filled
    return starts, columns[:filled].copy(), weights[:filled].copy()


@njit(cache=True, nogil=True)
def added(starts: Array, columns: Array, values: Array, places: Array, weights: Array, out: Array) -> None:
    """Add to `out` (rows, classes) what each row's features say; a bucket without a place says nothing.

    Args:
        starts: see `weighed`.
        columns: see `weighed`.
        values: see `weighed`.
        places: int32 of shape (buckets,): the row of `weights`, or -1.
        weights: float32 of shape (features, classes).
        out: float64, added to.
    """
    for row in range(len(starts) - 1):
        for each in range(starts[row], starts[row + 1]):
            place = places[columns[each]]
            if place >= 0:
                for k in range(out.shape[1]):
                    out[row, k] += values[each] * weights[place, k]
