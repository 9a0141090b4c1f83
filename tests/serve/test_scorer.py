from collections.abc import Mapping

import numpy as np
import polars as pl
import pytest

from vedette.core.errors import BadRecord
from vedette.core.frames import POINTS, TEMPLATES, VERDICTS
from vedette.models import standard
from vedette.models.envelope import Envelope
from vedette.serve.scorer import Scorer
from vedette.serve.workbench import score_frame

SECOND = 1_000_000
START = 1_700_000_000 * SECOND


def beat(index: int) -> Mapping[str, pl.DataFrame]:
    at = START + index * 60 * SECOND
    value = 100.0 if index >= 190 else float(index % 3)
    points = pl.DataFrame({"series": [1, 2], "at": [at, at], "value": [value, value]}).cast(POINTS)
    template = pl.DataFrame({"template": [index], "text": ["x"], "first_seen": [at], "series": [9]}).cast(TEMPLATES)
    return {"points": points[: 1 if index > 180 else 2], "born": template if index in {0, 150} else template.clear()}


def run(scorer: Scorer, beats: range) -> pl.DataFrame:
    return pl.concat([scorer.score(beat(i), START + i * 60 * SECOND) for i in beats])


def test_a_spike_a_silence_and_a_new_template_are_verdicts():
    verdicts = run(Scorer(standard()), range(200))
    assert dict(verdicts.schema) == VERDICTS
    odd = verdicts.filter(pl.col("anomaly_score") > 1).select("model", "series").unique().sort("model")
    assert odd.rows() == [("envelope", 1), ("heartbeat", 2), ("novelty", 9)]


def test_a_scorer_that_is_resumed_goes_on_the_same():
    whole = run(Scorer(standard()), range(200))
    first, second = Scorer(standard()), Scorer(standard())
    begun = run(first, range(137))
    second.load({name: array.copy() for name, array in first.state().items()})
    assert pl.concat([begun, run(second, range(137, 200))]).equals(whole)


def test_it_says_how_far_it_is():
    scorer = Scorer(standard())
    run(scorer, range(29))
    told = {each.model: (each.known, each.young) for each in scorer.learning(START + 1740 * SECOND)}
    assert told == {"envelope": (2, 2), "heartbeat": (2, 0), "novelty": (1, 1)}


def table(count: int) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    stamps = pl.Series(START + 60 * SECOND * np.arange(count)).cast(pl.Datetime("us"))
    parts = [pl.DataFrame({"series": name, "timestamp": stamps, "value": rng.normal(size=count)}) for name in ("b", "a", "c")]
    return pl.concat(parts).sort("timestamp", maintain_order=True)


def test_the_workbench_keeps_rows_in_order_and_knows_no_future():
    frame = table(300)
    whole = score_frame(frame, Envelope())
    assert whole.select("series", "timestamp", "value").equals(frame)
    assert whole.columns[3:] == ["yhat", "yhat_lower", "yhat_upper", "anomaly_score"]
    assert score_frame(frame[:500], Envelope()).equals(whole[:500])
    alone = score_frame(frame.filter(pl.col("series") == "a"), Envelope())
    assert alone.equals(whole.filter(pl.col("series") == "a"))


def test_the_workbench_names_a_missing_column():
    with pytest.raises(BadRecord, match="field 'value'"):
        score_frame(table(3).drop("value"), Envelope())
