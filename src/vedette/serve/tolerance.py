"""What operators got used to: the scores of some series on some side are divided by a factor, until a day."""

from typing import Any, Final

import numpy as np
import polars as pl

from vedette.core.types import State

Array = np.ndarray[Any, Any]

#: A row: which series, on which side (1 above what is expected, -1 below), by which factor, and until when (UTC microseconds).
TOLERANCES: Final = {"series": pl.Int64, "side": pl.Int8, "factor": pl.Float64, "until": pl.Int64}


class Tolerance:
    """Makes scores of known false alarms smaller, and their bounds as much wider.

    >>> from vedette.core.frames import VERDICTS, from_rows
    >>> at = __import__("datetime").datetime(2026, 1, 1, tzinfo=__import__("datetime").UTC)
    >>> row = (at, 1, "envelope", "1", 9.0, 5.0, 4.0, 6.0, 3.0)
    >>> tolerance = Tolerance()
    >>> tolerance.set(pl.DataFrame({"series": [1], "side": [1], "factor": [4.0], "until": [1 << 62]}, schema=TOLERANCES))
    >>> tolerance(from_rows([row], VERDICTS), 0)["anomaly_score", "yhat_upper"].row(0)
    (0.75, 9.0)
    """

    def __init__(self) -> None:
        self._rows = pl.DataFrame(schema=TOLERANCES)

    def set(self, rows: pl.DataFrame) -> None:
        """These and no others, from now on."""
        self._rows = rows.select(pl.col(name).cast(dtype) for name, dtype in TOLERANCES.items())

    @property
    def rows(self) -> pl.DataFrame:
        """What is tolerated, columns TOLERANCES."""
        return self._rows

    def __call__(self, verdicts: pl.DataFrame, at: int) -> pl.DataFrame:
        """VERDICTS -> VERDICTS; `at` is now, UTC microseconds."""
        held = self._rows.filter(pl.col("until") > at)
        if held.is_empty() or verdicts.is_empty():
            return verdicts
        if not verdicts["series"].is_in(held["series"].unique().implode()).any():
            return verdicts
        # A silence is on no side.
        side = pl.when(pl.col("model") == "heartbeat").then(0).when(pl.col("value") >= pl.col("yhat")).then(1).otherwise(-1)
        sided = verdicts.with_columns(side=side.cast(pl.Int8))
        factor = pl.col("factor").fill_null(1.0)
        found = sided.join(held.drop("until"), on=["series", "side"], how="left", maintain_order="left")
        upper, lower = pl.col("yhat_upper") - pl.col("yhat"), pl.col("yhat") - pl.col("yhat_lower")
        return found.with_columns(
            anomaly_score=pl.col("anomaly_score") / factor,
            yhat_upper=pl.when(pl.col("side") == 1).then(pl.col("yhat") + upper * factor).otherwise(pl.col("yhat_upper")),
            yhat_lower=pl.when(pl.col("side") == -1).then(pl.col("yhat") - lower * factor).otherwise(pl.col("yhat_lower")),
        ).drop("side", "factor")

    def state(self) -> State:
        """The rows as four arrays."""
        return {name: self._rows[name].to_numpy() for name in TOLERANCES}

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from."""
        self._rows = pl.DataFrame({name: state[name] for name in TOLERANCES}, schema=TOLERANCES)
