"""What stood at the variable places of a template, as text and by its form."""

import re
from typing import Final

import polars as pl

from vedette.core.frames import Schema
from vedette.prepare.masking import KINDS, WILDCARD, blur, mask

MINED: Final[Schema] = {
    "row": pl.Int64,
    "template_id": pl.Int64,
    "template": pl.String,
    "parameters": pl.List(pl.String),
    "types": pl.List(pl.String),
}
_FILLED: Final = [name for name in MINED if name != "types"]
_NONE: Final = pl.lit([], dtype=pl.List(pl.String))


def filled(rows: pl.DataFrame) -> pl.DataFrame:
    """Add `parameters` and their `types` to rows of row, line, template_id, template; MINED columns in any order of rows."""
    parts = [_filled(part) for part in rows.partition_by("template_id", maintain_order=True)]
    if not parts:
        return pl.DataFrame(schema=MINED)
    table = pl.concat(parts)
    return table.with_columns(types=types(table["parameters"]))


def _filled(rows: pl.DataFrame) -> pl.DataFrame:
    """The same for rows of one template; its constant digits go back into its text."""
    constants = rows["template"][0].split(WILDCARD)
    if len(constants) == 1:
        return rows.with_columns(_NONE.alias("parameters")).select(_FILLED)
    body = "(.*?)".join(re.escape(part).replace("\\ ", r"\s+") for part in constants)
    groups = rows.select(pl.col("line").str.extract_groups(f"(?s)^{body}$").alias("line")).unnest("line")
    steady = _steady(constants, groups)
    text = constants[0] + "".join(steady.get(place, WILDCARD) + part for place, part in enumerate(constants[1:]))
    names = [name for place, name in enumerate(groups.columns) if place not in steady]
    values = groups.select(pl.concat_list(names)).to_series() if names else _NONE
    return rows.with_columns(values.alias("parameters"), template=pl.lit(text)).select(_FILLED)


def _steady(constants: list[str], groups: pl.DataFrame) -> dict[int, str]:
    """Places right behind a letter whose digits are the same in all of several lines, and these digits."""
    glued = [place for place, part in enumerate(constants[:-1]) if part[-1:].isalpha()]
    if groups.height == 1 or not glued:
        return {}
    found = {place: groups.to_series(place).unique() for place in glued}
    return {place: each[0] for place, each in found.items() if len(each) == 1 and each[0].isdigit()}


def types(parameters: pl.Series) -> pl.Series:
    """The type of each parameter: one of `masking.KINDS` by its form, else `word` or `text` (with blanks).

    Args:
        parameters: List of String.

    >>> types(pl.Series([["12", "10.0.0.1"], ["anna"], []], dtype=pl.List(pl.String))).to_list()
    [['num', 'ip'], ['word'], []]
    """
    values = parameters.list.explode(empty_as_null=False).rename("value").to_frame()
    known = values.unique(maintain_order=True)
    form = mask(blur(known["value"])).str.extract(f"^<({'|'.join(KINDS)})>$", 1)
    plain = pl.when(pl.col("value").str.contains(r"\s")).then(pl.lit("text")).otherwise(pl.lit("word"))
    known = known.with_columns(kind=pl.coalesce(pl.lit(form), plain))
    kinds = values.join(known, on="value", how="left", maintain_order="left").select("kind")
    rows = pl.DataFrame({"row": pl.int_range(len(parameters), eager=True), "n": parameters.list.len()})
    owner = rows.select(pl.col("row").repeat_by("n").list.explode(empty_as_null=False))
    found = pl.concat([owner, kinds], how="horizontal").group_by("row", maintain_order=True).agg("kind")
    return rows.join(found, on="row", how="left", maintain_order="left")["kind"].fill_null([]).rename("types")
