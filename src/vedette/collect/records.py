"""From raw lines to records: bytes become text, lines that belong together become one, and what was odd is marked."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Final

import numpy as np
import polars as pl
from pydantic import Field, field_validator

from vedette.collect.multiline import begins, join
from vedette.collect.pieces import between_characters
from vedette.collect.tail import Piece
from vedette.collect.zone import is_zone
from vedette.core.settings import Settings

ENCODING: Final = "vedette.encoding"
TRUNCATED: Final = "vedette.truncated"


class TextSettings(Settings):
    """How the bytes of a log file are read.

    Attributes:
        encoding: of files that begin with no byte order mark.
        multiline: `none`, `stack` (indented lines and traces go on), or a pattern that first lines match.
        multiline_lines: lines a record may have.
        zone: of times that name none, such as `Europe/Zurich`; without it that of this host.
    """

    encoding: str = "utf-8"
    multiline: str = "none"
    multiline_lines: Annotated[int, Field(gt=0)] = 500
    zone: str | None = None

    @field_validator("encoding")
    @classmethod
    def _text(cls, name: str) -> str:
        known = {"utf-16": "utf-16-le", "utf16": "utf-16-le", "utf-8-sig": "utf-8"}.get(name.lower().replace("_", "-"), name)
        try:
            feed = "\n".encode(known)
        except (LookupError, UnicodeError) as error:
            raise ValueError(f"unknown encoding {name!r}; expected one such as utf-8, latin-1, cp1252 or utf-16") from error
        if feed not in {b"\n", b"\n\0", b"\0\n"}:
            raise ValueError(f"lines of encoding {name!r} cannot be told apart; expected one such as utf-8, latin-1 or utf-16")
        return known

    @field_validator("zone")
    @classmethod
    def _zone(cls, name: str | None) -> str | None:
        if name is not None and not is_zone(name):
            raise ValueError(f"unknown time zone {name!r}; expected an IANA name such as Europe/Zurich")
        return name

    @field_validator("multiline")
    @classmethod
    def _pattern(cls, text: str) -> str:
        if text not in {"none", "stack"}:
            try:
                pl.Series([""]).str.contains(text)
            except pl.exceptions.ComputeError as error:
                fault = str(error).split("\n\nThis error", 1)[0]
                raise ValueError(f"expected none, stack or a pattern that first lines match: {fault}") from error
        return text


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one piece of a file.

    Attributes:
        bodies: their text, String.
        marks: attributes by name, a String column each.
        after: offset in the file behind the last of them.
    """

    bodies: pl.Series
    marks: pl.DataFrame
    after: int


def records(piece: Piece, settings: TextSettings, encoding: str, *, waits: bool, full_bytes: int) -> Records | None:
    """The records of `piece`; None where the only one may still go on.

    Args:
        piece: raw lines.
        settings: how lines become records.
        encoding: of this file.
        waits: the last record may still grow: the file has not ended, and was written to not long ago.
        full_bytes: raw bytes at which a record is not waited for any longer.
    """
    raw, starts = piece.raw, piece.starts
    if piece.original and encoding == "utf-8":
        raw = raw[: between_characters(raw, len(raw))]
        starts = np.array([0, len(raw)], np.int64)
    lines, broken = _decoded(raw, starts, encoding)
    after = piece.after
    if settings.multiline != "none":
        first = begins(lines, None if settings.multiline == "stack" else settings.multiline)
        last = int(first.nonzero()[0][-1])
        if waits and last == 0 and len(piece.raw) < full_bytes and len(lines) < settings.multiline_lines:
            return None
        if last and (waits or piece.more):
            lines, broken, first = lines[:last], broken[:last], first[:last]
            after -= len(piece.raw) - int(piece.starts[last])
        broken = join(broken, first, settings.multiline_lines, "")
        lines = join(lines, first, settings.multiline_lines)
    marks = {ENCODING: broken.replace_strict({"": None}, default="backslashreplace", return_dtype=pl.String)}
    if piece.original:
        marks[TRUNCATED] = pl.Series([str(piece.original)])
    return Records(lines, pl.DataFrame(marks), after)


def _decoded(raw: bytes, starts: np.ndarray, encoding: str) -> tuple[pl.Series, pl.Series]:
    """The lines as text without their ends, and of each `x` where it held bytes that are none."""
    try:
        text = raw.decode(encoding)
        broken = pl.Series("broken", [""]).new_from_index(0, len(starts) - 1)
    except UnicodeDecodeError:
        parts = [raw[a:b] for a, b in pairwise(starts.tolist())]
        found = [_reversible(part, encoding) for part in parts]
        broken = pl.Series("broken", ["x" if escaped else "" for _, escaped in found], dtype=pl.String)
        text = "".join(line for line, _ in found)
    lines = pl.Series("line", text.removesuffix("\n").removeprefix("\ufeff").split("\n"), dtype=pl.String)
    return lines.str.strip_suffix("\r"), broken


def _reversible(raw: bytes, encoding: str) -> tuple[str, bool]:
    r"""Text, and whether it had to be escaped: backslashes doubled, and each byte that is none of the encoding as `\xNN`.

    >>> _reversible(b"C:\\ \xff", "utf-8"), _reversible(b"C:\\", "utf-8")
    (('C:\\\\ \\xff', True), ('C:\\', False))
    """
    try:
        return raw.decode(encoding), False
    except UnicodeDecodeError:
        slash = "\\".encode(encoding)
        if len(slash) > 1:  # two bytes a unit: what is no text in it has no backslash that could be told from another
            return raw.decode(encoding, "backslashreplace"), True
        return raw.replace(slash, slash * 2).decode(encoding, "backslashreplace"), True
