"""What varies in a log line, told from what is constant by its form alone: Rust regexes over the whole column.

Masking happens in two steps so that most lines cost few passes. `blur` cuts a line to what is mined and turns every run
of digits into one `0`: lines of one kind mostly become equal, and are told apart by a hash. `mask` then puts a typed
placeholder in the place of timestamps, addresses, identifiers, paths, numbers and values, and needs to see distinct
blurred lines only. `wildcards` turns typed placeholders into the customary `<*>`.
"""

from typing import Final

import polars as pl

#: Characters of a line that are looked at: what follows says nothing new about its kind.
MINED_CHARS: Final = 2048
WILDCARD: Final = "<*>"
KINDS: Final = ("time", "uuid", "url", "mac", "ip", "host", "name", "path", "quoted", "value", "hex", "num")

#: Colour codes and other terminal escapes.
ANSI: Final = r"\x1b\[[0-9;?]*[ -/]*[@-~]"
_EXCEPTION: Final = r"\n\s*(?:Caused by: )?(?:[A-Za-z_$][\w$]*\.)*([A-Za-z_$][\w$]*(?:Exception|Error))\b"
_HEX: Final = r"[0-9a-fA-F]"

# Digits are seen as `0`. Rust's regexes do not look around, so a group in front of what is masked is put back.
_MASKS: Final = (
    (r"\b0[-/.]0[-/.]0[T -]0[:.]0[:.]0(?:[.,]0)?(?:Z|[+-]0:?0?)?", "<time>"),
    (r"\b(?:[A-Z][a-z]{2},? )?[A-Z][a-z]{2} +0 0:0:0(?:[.,]0)?(?: 0)?\b|\b0:0:0(?:[.,]0)\b", "<time>"),
    (rf"\b{_HEX}+-{_HEX}+-{_HEX}+-{_HEX}+-{_HEX}*0{_HEX}*\b", "<uuid>"),
    (r"\b[a-z][a-z0+.-]*://[^\s\"'<>\])},;]+", "<url>"),
    (rf"\b(?:{_HEX}{{1,2}}[:-]){{5}}{_HEX}{{1,2}}\b", "<mac>"),
    (r"\b(?:[a-z0-]*0[a-z0-]*\.(?:[a-z0-]+\.)+|(?:[a-z0-]+\.)+[a-z0-]*0[a-z0-]*\.(?:[a-z0-]+\.)*)[a-z]{2,}\b", "<host>"),
    (r"(\b(?:from|to|for|host|node|server) |\b[a-z]*(?:host|node|server|addr)=)(?:[a-z0-]+\.)+[a-z]{2,}\b", "${1}<host>"),
    (r"\b0\.0\.0\.0\b", "<ip>"),
    (r"\b[A-Za-z][A-Za-z-]*-0:0\b", "<host>"),
    (r"(\b[a-z]*(?:user|host|login)(?:name)?=)[^\s,;)\]<]+", "${1}<name>"),
    (r"(\b(?:user|account|for) )[\w.@$-]+( (?:from|by|on|at|via) | \()", "${1}<name>${2}"),
    (r"(^|[\s=\[(,'\":])/[\w.@%+~$-][\w./@%+~$*-]*", "${1}<path>"),
    (r"(^|[\s=\[(,:])(?:\"[^\"]+\"|'[^']+')", "${1}<quoted>"),
    (rf"\b0x{_HEX}+\b|\b[a-fA-F]*0{_HEX}*[a-fA-F]{_HEX}*\b|\b[a-fA-F]+0{_HEX}*\b", "<hex>"),
    (r"0(?:_[a-z])?(?:_0)+\b", "<num>"),
    (r"-?\b0(?:[.,]0)*|-?0", "<num>"),
)
_PLACEHOLDER: Final = rf"<(?:{'|'.join(KINDS)})>"


def first_line(lines: pl.Series) -> pl.Series:
    r"""What is mined of each body: its first line without colour codes, cut to `MINED_CHARS`; nulls become empty lines.

    Of several lines in one body (a stack trace) the first stays, followed by the type of the exception.

    >>> first_line(pl.Series(["took 125 ms", "failed\n\tat a.B\nCaused by: java.io.IOException: gone", None])).to_list()
    ['took 125 ms', 'failed IOException', '']
    """
    column = pl.col("line")
    text = lines.rename("line").cast(pl.String).fill_null("").str.head(MINED_CHARS).to_frame()
    if text.get_column("line").str.contains("\x1b", literal=True).any():
        text = text.select(column.str.replace_all(ANSI, ""))
    if text.get_column("line").str.contains("\n", literal=True).any():
        first = column.str.strip_chars("\r\n").str.extract(r"^([^\r\n]*)", 1)
        kind = column.str.extract(_EXCEPTION, 1)
        text = text.select((first + pl.when(kind.is_null()).then(pl.lit("")).otherwise(" " + kind)).alias("line"))
    return text.select(column.str.strip_chars()).get_column("line")


def blur(lines: pl.Series) -> pl.Series:
    r"""`first_line` of each body with every run of digits as one `0`.

    >>> blur(pl.Series(["took 125 ms", None])).to_list()
    ['took 0 ms', '']
    """
    return first_line(lines).str.replace_all("[0-9]+", "0")


def mask(blurred: pl.Series) -> pl.Series:
    """Typed placeholders in the place of what varies, for lines that `blur` has been over.

    >>> mask(blur(pl.Series(["Accepted 10.1.2.3 port 22 uid=0 after 0x1f at /var/log/a.log"]))).to_list()
    ['Accepted <ip> port <num> uid=<num> after <hex> at <path>']
    """
    masked = pl.col("line")
    for pattern, placeholder in _MASKS:
        masked = masked.str.replace_all(pattern, placeholder)
    return blurred.rename("line").to_frame().select(masked).get_column("line")


def wildcards(masked: pl.Series) -> pl.Series:
    """Every typed placeholder as `<*>`, neighbours joined; runs of blanks as one.

    >>> wildcards(pl.Series(["port <num> of <ip>"])).to_list()
    ['port <*> of <*>']
    """
    plain = pl.col("line").str.replace_all(_PLACEHOLDER, WILDCARD).str.replace_all(r"(?:<\*>)(?:[.:]?<\*>)+", WILDCARD)
    plain = plain.str.replace_all(r"\s+", " ")
    return masked.rename("line").to_frame().select(plain).get_column("line")
