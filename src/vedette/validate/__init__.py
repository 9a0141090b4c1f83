"""Validate judges a model before anybody relies on it, and says why in words. It counts what a person would count (outages found
and missed, how often one is woken for nothing, how late), never point by point and never point-adjusted; it says how sure each
figure is; where nobody has labelled anything it lays known anomalies into clean points and counts those; gates compare the
figures with limits and with the champion, checks look for what figures hide (a score that knows the future, a class of outage
no longer noticed, a training set that crept away), and a report tells all of it on one page. Everything here is a function of
its arguments: points, scores, labels and a seeded generator come in, values go out.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vedette.validate.charts import Bars, Curve, Lines, Reliability
    from vedette.validate.classes import by_class, class_metrics, confusion, cost_by_class, reliability
    from vedette.validate.counting import WINDOWS, Events, Outcomes, events, from_labels, from_windows
    from vedette.validate.curves import auc_pr, sweep, vus_pr
    from vedette.validate.forecasts import forecast_metrics, seasonal_scale
    from vedette.validate.gates import DEFAULT_GATES, Gate, gates_for, judge
    from vedette.validate.injection import KINDS, MUST_CATCH, inject
    from vedette.validate.intervals import Interval, block_bootstrap, poisson, wilson
    from vedette.validate.numenta import nab, nab_curve
    from vedette.validate.report import Figure, Report, document, html, markdown
    from vedette.validate.vocabulary import METRICS, metric, written

_DOORS = {
    "vedette.validate.charts": ("Bars", "Curve", "Lines", "Reliability"),
    "vedette.validate.classes": ("by_class", "class_metrics", "confusion", "cost_by_class", "reliability"),
    "vedette.validate.counting": ("WINDOWS", "Events", "Outcomes", "events", "from_labels", "from_windows"),
    "vedette.validate.curves": ("auc_pr", "sweep", "vus_pr"),
    "vedette.validate.forecasts": ("forecast_metrics", "seasonal_scale"),
    "vedette.validate.gates": ("DEFAULT_GATES", "Gate", "gates_for", "judge"),
    "vedette.validate.injection": ("KINDS", "MUST_CATCH", "inject"),
    "vedette.validate.intervals": ("Interval", "block_bootstrap", "poisson", "wilson"),
    "vedette.validate.numenta": ("nab", "nab_curve"),
    "vedette.validate.report": ("Figure", "Report", "document", "html", "markdown"),
    "vedette.validate.vocabulary": ("METRICS", "metric", "written"),
}
_MODULE_OF = {name: module for module, names in _DOORS.items() for name in names}

__all__ = [
    "DEFAULT_GATES",
    "KINDS",
    "METRICS",
    "MUST_CATCH",
    "WINDOWS",
    "Bars",
    "Curve",
    "Events",
    "Figure",
    "Gate",
    "Interval",
    "Lines",
    "Outcomes",
    "Reliability",
    "Report",
    "auc_pr",
    "block_bootstrap",
    "by_class",
    "class_metrics",
    "confusion",
    "cost_by_class",
    "document",
    "events",
    "forecast_metrics",
    "from_labels",
    "from_windows",
    "gates_for",
    "html",
    "inject",
    "judge",
    "markdown",
    "metric",
    "nab",
    "nab_curve",
    "poisson",
    "reliability",
    "seasonal_scale",
    "sweep",
    "vus_pr",
    "wilson",
    "written",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 -- whatever the door leads to
    # Opened when it is walked through: a process that judges nothing does without what it takes.
    if name in _MODULE_OF:
        return getattr(import_module(_MODULE_OF[name]), name)
    raise AttributeError(f"module 'vedette.validate' has no attribute '{name}'")
