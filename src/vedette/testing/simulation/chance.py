"""Chance without a memory: what is drawn depends on the seed, a name and a place, never on what was drawn before."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.int64]
Bits: TypeAlias = NDArray[np.uint64]

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True, slots=True)
class Chance:
    """Draws by (seed, name, place). Any stretch of places can be drawn alone, and gives what the whole would have given.

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014 (the mixing of SplitMix64), used
    as a hash of a counter as in Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

    >>> whole, part = Chance(7).normal("cpu", np.arange(9)), Chance(7).normal("cpu", np.arange(4, 9))
    >>> bool((whole[4:] == part).all())
    True
    """

    seed: int

    def bits(self, name: str, places: Places) -> Bits:
        """64 even bits a place."""
        key = np.uint64(int.from_bytes(blake2b(f"{self.seed}|{name}".encode(), digest_size=8).digest(), "little"))
        mixed = places.astype(np.uint64) * _GOLDEN + key
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
        return mixed ^ (mixed >> np.uint64(31))

    def uniform(self, name: str, places: Places) -> Floats:
        """Numbers between 0 and 1, both left out."""
        # Half a step off zero with 52 bits: with 53 the last number would round up to 1.
        return ((self.bits(name, places) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52

    def normal(self, name: str, places: Places) -> Floats:
        """Standard normal numbers."""
        return np.asarray(ndtri(self.uniform(name, places)), dtype=np.float64)

    def wander(self, name: str, places: Places, every: int) -> Floats:
        """A smooth standard normal curve through a new number at each `every` places."""
        knots, part = np.divmod(places, every)
        blend = part / every
        blend = blend * blend * (3.0 - 2.0 * blend)
        here, there = self.normal(name, knots), self.normal(name, knots + 1)
        # Between two knots the mean of two numbers would be calmer than either.
        curve: Floats = (here * (1.0 - blend) + there * blend) / np.sqrt((1.0 - blend) ** 2 + blend**2)
        return curve

    def one(self, name: str) -> float:
        """A single number between 0 and 1."""
        return float(self.uniform(name, np.zeros(1, np.int64))[0])

    def counts(self, name: str, places: Places, mean: Floats) -> Places:
        """Whole numbers with these means: the part behind the point is the chance of one more."""
        return np.floor(mean + self.uniform(name, places)).astype(np.int64)
