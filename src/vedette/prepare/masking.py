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
KINDS: Final = ("time", "uuid", "url", "mac", "ip", "host", "path", "quoted", "value", "hex", "num")

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
    (r"\b0\.0\.0\.0\b", "<ip>"),
    (r"\b(?:[a-z0-]*0[a-z0-]*\.(?:[a-z0-]+\.)+|(?:[a-z0-]+\.)+[a-z0-]*0[a-z0-]*\.(?:[a-z0-]+\.)*)[a-z]{2,}\b", "<host>"),
    (r"(^|[\s=\[(,'\":])/[\w.@%+~$-][\w./@%+~$*-]*", "${1}<path>"),
    (r"(^|[\s=\[(,:])(?:\"[^\"]+\"|'[^']+')", "${1}<quoted>"),
    (rf"\b0x{_HEX}+\b|\b[a-fA-F]*0{_HEX}*[a-fA-F]{_HEX}*\b|\b[a-fA-F]+0{_HEX}*\b", "<hex>"),
    (r"-?\b0(?:[.,]0)*|-?0", "<num>"),
)
_PLACEHOLDER: Final = rf"<(?:{'|'.join(KINDS)})>"


def blur(lines: pl.Series) -> pl.Series:
    r"""Lines without colour codes and digits, cut to `MINED_CHARS`; nulls become empty lines.

    Of several lines in one body (a stack trace) the first stays, followed by the type of the exception.

    >>> blur(pl.Series(["took 125 ms", "failed\n\tat a.B\nCaused by: java.io.IOException: gone", None])).to_list()
    ['took 0 ms', 'failed IOException', '']
    """
    column = pl.col("line")
    text = lines.rename("line").cast(pl.String).fill_null("").str.head(MINED_CHARS).to_frame()
    if text.get_column("line").str.contains("\x1b", literal=True).any():
        text = text.select(column.str.replace_all(ANSI, ""))
    if text.get_column("line").str.contains("\n", literal=True).any():
        first = column.str.strip_chars("\r\n").str.extract(r"^([^\r\n]*)", 1)
        kind = column.str.extract(_EXCEPTION, 1)
        text = text.select(first + pl.when(kind.is_null()).then(pl.lit("")).otherwise(" " + kind))
        text.columns = ["line"]
    return text.select(column.str.replace_all("[0-9]+", "0").str.strip_chars()).get_column("line")


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
    """Every typed placeholder as `<*>`, neighbours joined.

    >>> wildcards(pl.Series(["port <num> of <ip>"])).to_list()
    ['port <*> of <*>']
    """
    plain = pl.col("line").str.replace_all(_PLACEHOLDER, WILDCARD).str.replace_all(r"(?:<\*>)(?:[.:]?<\*>)+", WILDCARD)
    return masked.rename("line").to_frame().select(plain).get_column("line")
