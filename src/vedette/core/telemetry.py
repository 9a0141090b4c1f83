"""What Vedette says about itself: structured log lines on stderr, and Prometheus metrics in one registry."""

import logging
import sys
from collections.abc import Iterator
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

BOOKS = ("received", "stored", "duplicate", "dead_lettered", "rejected", "shed")


def configure_logging(level: str = "info", *, json: bool = True) -> None:
    """One line an event on stderr, JSON unless a person is looking; no secret ever goes in (they are masked where read)."""
    render = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


class DelayHistogram(Collector):
    """A Prometheus histogram that takes a whole column of observations at once.

    >>> delays = DelayHistogram("x_seconds", "An example.")
    >>> delays.observe(np.array([0.05, 0.3, 9.0]))
    >>> [sample.value for sample in next(iter(delays.collect())).samples if sample.labels.get("le") in {"0.1", "+Inf"}]
    [1, 3]
    """

    BOUNDS: Final = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)

    def __init__(self, name: str, documentation: str) -> None:
        self._name = name
        self._documentation = documentation
        self._counts = np.zeros(len(self.BOUNDS) + 1, np.int64)
        self._sum = 0.0

    def observe(self, seconds: NDArray[np.float64]) -> None:
        """Add observations; negative ones (a sender's clock ahead of ours) count as zero."""
        seconds = np.maximum(seconds, 0.0)
        self._counts += np.bincount(np.searchsorted(self.BOUNDS, seconds), minlength=len(self._counts))
        self._sum += float(seconds.sum())

    def collect(self) -> Iterator[Metric]:
        """The histogram as it stands."""
        totals = np.cumsum(self._counts)
        buckets = [(str(bound), int(total)) for bound, total in zip((*self.BOUNDS, "+Inf"), totals, strict=True)]
        yield HistogramMetricFamily(self._name, self._documentation, buckets=buckets, sum_value=self._sum)


class Telemetry:
    """The metrics of one process. Built once by `app` and handed to whoever counts something."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.event_to_verdict = DelayHistogram("vedette_event_to_verdict_seconds", "From the time of a point to its verdict.")
        self.registry.register(self.event_to_verdict)
        self.scored = Counter("vedette_scored_points_total", "Points scored.", ["model"], registry=self.registry)
        self.late = Counter("vedette_late_records_total", "Records too late for their window.", ["source"], registry=self.registry)
        self.cardinality = Counter(
            "vedette_cardinality_limited_total",
            "Samples put into the overflow series because their source has too many series.",
            ["source"],
            registry=self.registry,
        )
        self.invalid_values = Counter(
            "vedette_invalid_values_total", "Values kept out of the models.", ["reason"], registry=self.registry
        )
        self.redactions = Counter(
            "vedette_redactions_total", "Secrets and personal data taken out.", ["kind"], registry=self.registry
        )
        self.notifications = Counter(
            "vedette_notifications_total", "Notifications by receiver and outcome.", ["receiver", "outcome"], registry=self.registry
        )
        self.corrupt_bytes = Counter("vedette_corrupt_bytes_total", "Bytes put into quarantine.", registry=self.registry)
        self.beat_seconds = Histogram("vedette_beat_seconds", "Time to process one beat.", registry=self.registry)
        self.build = Gauge("vedette_build_info", "The running version.", ["version"], registry=self.registry)
