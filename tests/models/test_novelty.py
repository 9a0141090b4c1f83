import polars as pl

from vedette.core.frames import TEMPLATES, VERDICTS
from vedette.models import Novelty

HOUR = 3_600_000_000
START = 1_700_000_000_000_000


def new(*rows):
    return pl.DataFrame(
        {
            "template": range(len(rows)),
            "text": ["x"] * len(rows),
            "first_seen": [START + int(at * HOUR) for at, _ in rows],
            "series": [series for _, series in rows],
        }
    ).cast(TEMPLATES)


def test_a_stream_teaches_its_vocabulary_before_anything_is_news():
    model = Novelty()
    assert model.score(new((0, 1), (0.5, 1), (0.9, 1)), START).is_empty()
    told = model.score(new((5, 1)), START)
    assert dict(told.schema) == VERDICTS
    assert told["anomaly_score"][0] > 1


def test_a_deployment_that_changes_every_line_is_a_handful_of_verdicts():
    model = Novelty(per_hour=5)
    model.score(new((0, 1)), START)
    assert model.score(new(*[(9 + i / 1000, 1) for i in range(500)]), START).height <= 5


def test_streams_are_judged_alone_and_a_resumed_model_goes_on_the_same():
    model, resumed = Novelty(), Novelty()
    model.score(new((0, 1), (4.5, 2)), START)
    resumed.load(model.state())
    later = new((5, 1), (5, 2))
    assert resumed.score(later, START).equals(model.score(later, START))
    assert model.learning(START + 5 * HOUR)[:2] == (2, 1)
    assert Novelty().score(later, START).is_empty()
