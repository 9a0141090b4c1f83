"""The drift of two tables as one HTML page that needs nothing else."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

import polars as pl

_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#5c6670;--line:#d8dde3;--back:#fff;--card:#f6f8fa;
--was:#8c96a0;--now:#0b6bcb;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#9aa4ae;--line:#333a42;--back:#14171a;--card:#1c2126;
--was:#7b858f;--now:#5aa9f5;--bad:#ff8a80}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--back);max-width:76rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.45rem .6rem;border-bottom:1px solid var(--line)}
td{vertical-align:top}
th{color:var(--soft);font-weight:600;white-space:nowrap}td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
tr.moved{background:var(--card)}tr.moved td:first-child{color:var(--bad);font-weight:600}td{overflow-wrap:anywhere}
p,small{color:var(--soft)}svg{display:block}.was{fill:var(--was);opacity:.55}.now{fill:var(--now);opacity:.6}
"""
_WIDTH: Final = 180
_HEIGHT: Final = 44


def page(frame: pl.DataFrame, title: str = "Drift") -> str:
    """The answer of `drift` as a self-contained page: a small histogram a column, drifted ones first; everything is escaped.

    >>> from vedette.monitor.tables import drift
    >>> table = pl.DataFrame({"<b>": [1.0, 2.0, 3.0] * 20})
    >>> "&lt;b&gt;" in page(drift(table, table))
    True
    """
    rows = frame.sort("drifted", "effect", descending=True, nulls_last=True, maintain_order=True).to_dicts()
    moved = sum(bool(row["drifted"]) for row in rows)
    heads = ("Column", "Kind", "Distribution", "Effect", "p, adjusted", "PSI", "Missing", "Outside", "What is told")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"<p>{moved} of {len(rows)} rows drifted. Grey is the reference, blue the current table.</p>"
        f"<table><thead><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr></thead>"
        f"<tbody>{''.join(map(_row, rows))}</tbody></table></body></html>"
    )


def _row(row: Mapping[str, Any]) -> str:
    missing = (
        ""
        if row["current_missing"] is None
        else f"{row['current_missing']:.1%}<br><small>was {row['reference_missing']:.1%}</small>"
    )
    outside = "" if row["outside"] is None else f"{row['outside']:.1%}"
    numbers = (_number(row["effect"], ".3f"), _number(row["adjusted_p"], ".2g"), _number(row["psi"], ".3f"), missing, outside)
    cells = [escape(row["column"]), escape(row["kind"]), _bars(row["bins"], row["reference_bins"], row["current_bins"])]
    told = "".join(f"<td>{cell}</td>" for cell in cells) + "".join(f'<td class="n">{number}</td>' for number in numbers)
    moved = ' class="moved"' if row["drifted"] else ""
    return f"<tr{moved}>{told}<td>{escape(row['why'])}</td></tr>"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _bars(bins: Sequence[str], was: Sequence[float], now: Sequence[float]) -> str:
    if not was:
        return ""
    most, width = max(*was, *now, 1e-12), _WIDTH / len(was)
    drawn = [_bar("was", i * width, width, each / most) for i, each in enumerate(was)]
    drawn += [_bar("now", (i + 0.2) * width, 0.6 * width, each / most) for i, each in enumerate(now)]
    ends = f"{bins[0]} to {bins[-1]}" if bins else "words"
    return f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img"><title>{escape(ends)}</title>{"".join(drawn)}</svg>'


def _bar(kind: str, x: float, width: float, height: float) -> str:
    tall = height * _HEIGHT
    return f'<rect class="{kind}" x="{x:.1f}" y="{_HEIGHT - tall:.1f}" width="{width:.1f}" height="{tall:.1f}"/>'
