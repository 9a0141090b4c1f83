import json
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import ValidationError

from vedette.collect.limits import Limits
from vedette.collect.prometheus import PrometheusSettings, PrometheusSource
from vedette.collect.series import SeriesTable
from vedette.core.errors import BadRecord, Transient
from vedette.core.identity import series_id
from vedette.core.types import Position

SECOND = 1_000_000


def server(request):
    """Answers like a server that holds the value t at every second t."""
    form = {key: float(value[0]) if key != "query" else value[0] for key, value in parse_qs(request.content.decode()).items()}
    at, values = form["start"], []
    while at <= form["end"]:
        values.append([at, str(at)])
        at += form["step"]
    result = [{"metric": {"__name__": "up", "job": "j"}, "values": values}]
    return httpx.Response(200, text=json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}))


@pytest.fixture
def clock():
    return [1_000_000 * SECOND]


def source(clock, answer=server, limits=None, **options):
    client = httpx.Client(transport=httpx.MockTransport(answer))
    settings = PrometheusSettings(url="http://p", match=("up",), step=10, interval=10, **options)
    return PrometheusSource(settings, SeriesTable(), lambda: clock[0], client, limits)


def test_spans_follow_each_other_without_gap_or_overlap(clock):
    made, times = source(clock), []
    for _ in range(30):
        clock[0] += 7 * SECOND
        batch = made.poll(1000)
        if batch is not None:
            times += batch.items.frames["metrics"]["value"].to_list()
    assert times == [times[0] + 10 * index for index in range(len(times))]
    assert len(times) >= 20


def test_a_restart_goes_on_where_it_was_in_bounded_spans(clock):
    made = source(clock, window=100)
    made.seek(Position("prometheus", "0", clock[0] - 1000 * SECOND))
    batch = made.poll(1)
    assert batch is not None
    assert batch.items.frames["metrics"].height == 10
    assert batch.items.frames["metrics"]["series"][0] == series_id("up", {"job": "j"})


def test_history_covers_both_ends_once(clock):
    values = [v for each in source(clock, window=50).history(0, 200 * SECOND) for v in each.frames["metrics"]["value"]]
    assert values == [10.0 * index for index in range(21)]


def test_refusals_and_outages_are_told_apart(clock):
    with pytest.raises(BadRecord, match="parse error"):
        source(clock, lambda _: httpx.Response(400, text='{"status":"error","error":"parse error"}')).span(0, 1)
    with pytest.raises(Transient):
        source(clock, lambda _: httpx.Response(503)).span(0, 1)


def test_histories_that_overlap_ask_the_same_but_for_their_ends(clock):
    made = source(clock, window=50)
    first = {each.key for each in made.history(0, 200 * SECOND)}
    second = {each.key for each in made.history(70 * SECOND, 300 * SECOND)}
    assert len(first & second) == 2


def test_an_answer_beyond_the_limit_is_asked_for_in_halves(clock):
    made, values = source(clock, limits=Limits(decoded_bytes=1000), window=10_000), []
    made.seek(Position("prometheus", "0", clock[0] - 2000 * SECOND))
    while len(values) < 190:
        try:
            batch = made.poll(1)
        except Transient:
            continue
        values += batch.items.frames["metrics"]["value"].to_list()
    assert values == [values[0] + 10 * index for index in range(len(values))]


def test_a_question_that_is_refused_is_asked_again_later(clock):
    made = source(clock, lambda _: httpx.Response(400, text='{"status":"error","error":"parse error"}'))
    made.seek(Position("prometheus", "0", clock[0] - 1000 * SECOND))
    with pytest.raises(Transient, match="parse error"):
        made.poll(1)


@pytest.mark.parametrize("url", ["prometheus:9090", "http://", "http://user:secret@p:9090", "file:///etc/passwd"])
def test_an_address_that_cannot_be_asked_is_refused(url):
    with pytest.raises(ValidationError, match="expected an http:// or https:// URL"):
        PrometheusSettings(url=url, match=("up",))
