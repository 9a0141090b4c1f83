"""The OpenTelemetry protocol to columns, in protobuf and in JSON. Specification: opentelemetry.io/docs/specs/otlp."""

from typing import Final

import numpy as np

from vedette.collect.limits import Limits
from vedette.collect.otlp_json import LOGS, METRICS, encoded
from vedette.collect.otlp_logs import Logs
from vedette.collect.otlp_metrics import Metrics
from vedette.collect.series import SeriesTable
from vedette.collect.wire import fingerprint
from vedette.core.types import Delivery

SOURCE: Final = "otlp"


class Otlp:
    """Decodes the bodies of `/v1/metrics` and `/v1/logs`; remembers what it has seen of series and resources.

    Args:
        table: gives series their identity.
        limits: what is taken.
    """

    def __init__(self, table: SeriesTable, limits: Limits) -> None:
        self._table = table
        self._limits = limits
        self._metrics = Metrics(table, limits, SOURCE)
        self._logs = Logs(table, limits, SOURCE)

    def metrics(self, body: bytes, *, now: int, json: bool = False) -> Delivery:
        """An ExportMetricsServiceRequest, decompressed.

        Args:
            body: protobuf, or JSON where `json` says so.
            now: UTC microseconds, for the window of times that are believed.
            json: which encoding it is.

        Raises:
            BadRecord: 400 where the body is broken. Single points that cannot be taken are counted in `rejected` and told in
                `faults` instead.

        >>> Otlp(SeriesTable(), Limits()).metrics(b"{}", now=0, json=True).records
        0
        """
        wire = encoded(body, METRICS, self._limits.depth) if json else body
        buffer = np.frombuffer(wire, np.uint8)
        frame, rejected, faults = self._metrics.decode(buffer, now)
        series = frame["series"].to_numpy()
        self._table.count_limited(series)
        definitions = self._table.definitions(np.unique(series).tolist() if self._table.pending else ())
        return Delivery(SOURCE, {"series": definitions, "metrics": frame}, rejected, faults, fingerprint(buffer))

    def logs(self, body: bytes, *, now: int, json: bool = False) -> Delivery:
        """An ExportLogsServiceRequest, decompressed; arguments and errors are those of `metrics`.

        >>> Otlp(SeriesTable(), Limits()).logs(b"{}", now=0, json=True).records
        0
        """
        wire = encoded(body, LOGS, self._limits.depth) if json else body
        buffer = np.frombuffer(wire, np.uint8)
        frame, rejected, faults = self._logs.decode(buffer, now)
        series = frame["series"].to_numpy()
        self._table.count_limited(series)
        definitions = self._table.definitions(np.unique(series).tolist() if self._table.pending else ())
        return Delivery(SOURCE, {"series": definitions, "logs": frame}, rejected, faults, fingerprint(buffer))
