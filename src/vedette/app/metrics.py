"""The books and the log's lag as Prometheus metrics, read when they are asked for."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from vedette.core.telemetry import BOOKS


class BooksCollector(Collector):
    """`vedette_records_*_total{source}` and `vedette_log_lag_records{role}`.

    Args:
        books: by source, records in each book.
        lag: by role, records in the log that it has not processed.
        open_incidents: by severity.
    """

    def __init__(
        self,
        books: Callable[[], Mapping[str, Mapping[str, int]]],
        lag: Callable[[], Mapping[str, int]],
        open_incidents: Callable[[], Mapping[str, int]],
    ) -> None:
        self._books = books
        self._lag = lag
        self._open_incidents = open_incidents

    def collect(self) -> Iterator[Metric]:
        """Read the books once for all metrics, so that they balance within one scrape."""
        books = self._books()
        for book in BOOKS:
            family = CounterMetricFamily(f"vedette_records_{book}", f"Records {book.replace('_', ' ')}.", labels=["source"])
            for source, counts in books.items():
                family.add_metric([source], counts[book])
            yield family
        lag = GaugeMetricFamily("vedette_log_lag_records", "Records in the log that a role has not processed.", labels=["role"])
        for role, records in self._lag().items():
            lag.add_metric([role], records)
        yield lag
        incidents = GaugeMetricFamily("vedette_incidents_open", "Open incidents.", labels=["severity"])
        for severity, count in self._open_incidents().items():
            incidents.add_metric([severity], count)
        yield incidents


class ModelsCollector(Collector):
    """`vedette_model_drift{model,kind}`, `vedette_model_age_seconds{model}` and `vedette_model_false_alarms_total{model}`.

    Args:
        gauges: by model, what its monitors measure.
        false_alarms: by model, incidents that operators called false.
    """

    def __init__(
        self, gauges: Callable[[], Mapping[str, Mapping[str, float]]], false_alarms: Callable[[], Mapping[str, int]]
    ) -> None:
        self._gauges = gauges
        self._false_alarms = false_alarms

    def collect(self) -> Iterator[Metric]:
        """As the monitors last measured them."""
        drift = GaugeMetricFamily("vedette_model_drift", "What the monitors of a champion measure.", labels=["model", "kind"])
        age = GaugeMetricFamily("vedette_model_age_seconds", "Since the champion was trained.", labels=["model"])
        for model, measured in self._gauges().items():
            for kind, value in measured.items():
                if kind == "age_seconds":
                    age.add_metric([model], value)
                else:
                    drift.add_metric([model, kind], value)
        yield drift
        yield age
        told = CounterMetricFamily("vedette_model_false_alarms", "Incidents that operators called false.", labels=["model"])
        for model, count in self._false_alarms().items():
            told.add_metric([model], count)
        yield told
