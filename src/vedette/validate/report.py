"""One report of a judgement that a person likes to read: the verdict in a sentence, then why, then the figures, then the pictures.

The same report is a page that needs nothing but itself, a document for machines, and a comment for a pull request.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined

from vedette.core.types import Finding
from vedette.validate.charts import Bars, Curve, Lines, Reliability
from vedette.validate.intervals import Interval
from vedette.validate.vocabulary import METRICS, metric, titled, written

Chart = Lines | Bars | Curve | Reliability


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the candidate, how sure it is, and the champion's on the same data.

    >>> Figure("event_f1", 0.66, champion=0.60).against
    '10 % better'
    """

    name: str
    value: float
    interval: Interval | None = None
    champion: float | None = None

    @property
    def title(self) -> str:
        """Its name to a person."""
        return metric(self.name).title

    @property
    def written(self) -> str:
        """Its value to a person."""
        return written(self.name, self.value)

    @property
    def range(self) -> str:
        """Where it lies with 95 per cent; empty where nobody knows."""
        if self.interval is None or any(map(math.isnan, self.interval)):
            return ""
        return " to ".join(written(self.name, bound) for bound in self.interval)

    @property
    def champions(self) -> str:
        """The champion's value to a person; empty where there is none."""
        return "" if self.champion is None else written(self.name, self.champion)

    @property
    def against(self) -> str:
        """How much better or worse than the champion's; empty where that is not known."""
        if self.champion is None or not math.isfinite(self.champion) or not math.isfinite(self.value):
            return ""
        change, better = self.value - self.champion, metric(self.name).higher_is_better
        if change == 0.0:
            return "the same"
        share = f"{100.0 * abs(change / self.champion):.3g} %" if self.champion else written(self.name, abs(change))
        if better is None:
            return f"{share} {'higher' if change > 0 else 'lower'}"
        return f"{share} {'better' if (change > 0) == better else 'worse'}"


@dataclass(frozen=True, slots=True)
class Report:
    """What was found of a candidate.

    Attributes:
        title: `NAME@VERSION`.
        facts: what was judged on what, in words: model, dataset, champion, period, ...
        findings: of gates and checks.
        figures: what was measured.
        groups: the first column names the group, the others are figures by their names; empty where there are no groups.
        charts: in the order they are shown.
        notes: what the reader should know of how it was measured.
    """

    title: str
    facts: Mapping[str, str]
    findings: tuple[Finding, ...]
    figures: tuple[Figure, ...] = ()
    groups: pl.DataFrame = field(default_factory=pl.DataFrame)
    charts: tuple[Chart, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The findings that reject it."""
        return tuple(each for each in self.findings if not each.passed)

    @property
    def accepted(self) -> bool:
        """Whether there were findings, and none rejects it."""
        return bool(self.findings) and not self.failed

    @property
    def verdict(self) -> str:
        """One sentence.

        >>> Report("web@2", {}, (Finding("mase", False, "1.2", "at most 1", ""),)).verdict
        'Rejected: it failed 1 of 1 checks (MASE).'
        """
        if not self.findings:
            return "Rejected: nothing was checked."
        if not self.failed:
            return f"Accepted: it passed all {len(self.findings)} checks."
        names = ", ".join(titled(each.check) for each in self.failed)
        return f"Rejected: it failed {len(self.failed)} of {len(self.findings)} checks ({names})."


def html(report: Report) -> str:
    """One page: its style inside, no script, no address; for either theme, for phones and for paper."""
    rows = [[_cell(name, value) for name, value in row.items()] for row in report.groups.iter_rows(named=True)]
    headings = [titled(name) for name in report.groups.columns]
    return _PAGES.get_template("report.html.j2").render(report=report, headings=headings, rows=rows)


def document(report: Report) -> dict[str, Any]:
    """The same as plain values for JSON; what is not a finite number is null."""
    plain = {
        "title": report.title,
        "accepted": report.accepted,
        "verdict": report.verdict,
        "facts": dict(report.facts),
        "findings": [_fields(each) for each in report.findings],
        "figures": [_fields(each) for each in report.figures],
        "groups": report.groups.to_dicts(),
        "charts": [{"kind": type(each).__name__.lower(), **_fields(each)} for each in report.charts],
        "notes": list(report.notes),
    }
    return {name: _plain(value) for name, value in plain.items()}


def markdown(report: Report) -> str:
    """The same for a pull request: the verdict, what failed and why, the figures; what passed is folded."""
    lines = [f"### {'✅' if report.accepted else '❌'} {_safe(report.title)}", "", f"**{_safe(report.verdict)}**", ""]
    lines += [line for each in report.failed for line in (f"- **{_safe(titled(each.check))}**: {_safe(each.why)}",)]
    lines += ["", *_table(("check", "measured", "required"), [_said(each) for each in report.failed])] if report.failed else []
    if report.figures:
        rows = [(each.title, each.written, each.range, each.champions, each.against) for each in report.figures]
        lines += ["", *_table(("figure", "measured", "95 % interval", "champion", "against it"), rows)]
    passed = [_said(each) for each in report.findings if each.passed]
    if passed:
        summary = f"<details><summary>{len(passed)} checks passed</summary>"
        lines += ["", summary, "", *_table(("check", "measured", "required"), passed), "", "</details>"]
    lines += ["", *(f"- {_safe(name)}: {_safe(value)}" for name, value in report.facts.items())]
    return "\n".join(lines).rstrip() + "\n"


def _said(finding: Finding) -> tuple[str, str, str]:
    return titled(finding.check), finding.measured, finding.required


def _table(names: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(map(_safe, row))} |" for row in (names, tuple("---" for _ in names), *rows)]


def _safe(text: str) -> str:
    """Text that Markdown takes for nothing but text."""
    flat = " ".join(text.split())
    for sign in "\\`*_[]|#~":
        flat = flat.replace(sign, f"\\{sign}")
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")


def _cell(name: str, value: object) -> tuple[str, bool]:
    """What is written, and whether it is a number."""
    if value is None:
        return "", name in METRICS
    if isinstance(value, float):
        return written(name, value), True
    return f"{value:,}" if isinstance(value, int) else str(value), isinstance(value, int)


def _fields(value: Finding | Figure | Chart) -> dict[str, Any]:
    return {each.name: getattr(value, each.name) for each in fields(value)}


def _plain(value: Any) -> Any:  # noqa: ANN401 -- any plain value
    match value:
        case float():
            return float(value) if math.isfinite(value) else None
        case Mapping():
            return {str(name): _plain(each) for name, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case _:
            return value


_PAGES: Final = Environment(
    loader=PackageLoader("vedette.validate"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_PAGES.filters["titled"] = titled
