"""Doubles that behave, shipped for users' own tests.

A source that gives what a list says, crashes included; a store that keeps rows exactly once; a memory that forgets
nothing. They obey the same contracts as the real ones, so a test that passes with them says something about production.
"""

from vedette.testing.doubles import ABORT, PAUSE, Aborted, ListSource, RowStore, SavedMemory, Tried

__all__ = ["ABORT", "PAUSE", "Aborted", "ListSource", "RowStore", "SavedMemory", "Tried"]
