"""What keeps models honest once they are live. A model's training data leaves a *golden baseline* behind, what every series was
like at each hour of the week; `DriftMonitor` compares the stream with it and says when many series moved together, one very far,
or a level creeps towards its cap, which only a person raises. `QualityMonitor` asks whether the data still comes, whole and as
what it was; `PredictionMonitor` whether the model still speaks as when it was judged; `PerformanceMonitor` whether it keeps what
its card promised, by operators' verdicts, late labels or its own calibrated confidence; `StalenessMonitor` whether it is old.
All of it is pure: times are arguments, memory is plain arrays, and answers are `Signal`s, which are rare: the same is told
once in two days unless it is worse by half. `vedette.monitor.tables.drift` compares two tables by column for the workbench.
"""

from vedette.monitor.drift import DriftMonitor
from vedette.monitor.golden import Golden
from vedette.monitor.performance import (
    Estimate,
    PerformanceMonitor,
    Reliability,
    accuracy,
    coverage,
    false_alarms,
    forecast_error,
    precision,
)
from vedette.monitor.prediction import PredictionMonitor, ScoreBaseline
from vedette.monitor.quality import QualityMonitor
from vedette.monitor.settings import MonitorSettings
from vedette.monitor.staleness import StalenessMonitor
from vedette.monitor.statistics import stability

__all__ = [
    "DriftMonitor",
    "Estimate",
    "Golden",
    "MonitorSettings",
    "PerformanceMonitor",
    "PredictionMonitor",
    "QualityMonitor",
    "Reliability",
    "ScoreBaseline",
    "StalenessMonitor",
    "accuracy",
    "coverage",
    "false_alarms",
    "forecast_error",
    "precision",
    "stability",
]
