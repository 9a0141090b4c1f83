import asyncio
import json
import threading
import time

import httpx
import polars as pl
import pytest
from structlog.testing import capture_logs

from vedette.core.errors import BadRecord, Transient, VedetteError
from vedette.web.batching import Line, Patience
from vedette.web.inference import Limits, routes

ANOMALIES = {"series": "BYTES", "timestamp": "INT64", "value": "FP64"}
SCORES = {"yhat": "FP64", "anomaly_score": "FP64"}


class Echo:
    """Says of each row its value, and how many rows its call had."""

    family, inputs, outputs = "anomalies", ANOMALIES, SCORES

    def __init__(self, name="cpu", version="7"):
        self.name, self.version = name, version
        self.calls = []

    def predict(self, frame):
        self.calls.append(frame)
        return frame.select(yhat=pl.col("value") * 2, anomaly_score=pl.lit(float(frame.height)))


class Words(Echo):
    family, inputs, outputs = "classes", {"text": "BYTES"}, {"label": "BYTES", "probability": "FP64"}

    def predict(self, frame):
        self.calls.append(frame)
        return frame.select(label=pl.col("text").str.to_uppercase(), probability=pl.lit(0.5))


class Next(Echo):
    """Two rows for each series: one more than its last value, and two more."""

    family, outputs = "forecasts", {"series": "BYTES", "timestamp": "INT64", "yhat": "FP64"}

    def predict(self, frame):
        self.calls.append(frame)
        last = frame.group_by("series", maintain_order=True).last()
        ahead = [last.select("series", pl.col("timestamp") + i, yhat=pl.col("value") + i) for i in (1, 2)]
        return pl.concat(ahead).sort("series", "timestamp")


class Odd(Echo):
    """Raises where a value is 13, as it is told; says NaN and infinity of others."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def predict(self, frame):
        if (frame["value"] == 13).any():
            raise self.error
        return frame.select(yhat=pl.lit(float("nan")), anomaly_score=pl.lit(float("inf")))


class Stuck(Echo):
    """Answers as `inner` does, but not before `go` is set."""

    def __init__(self, inner=None):
        super().__init__("stuck", "1")
        self.inner = inner or Echo()
        self.go = threading.Event()

    def predict(self, frame):
        self.go.wait(20)
        return self.inner.predict(frame)


def asked_while_stuck(inner, patience, *frames):
    """The answers to `frames`, that came while another call kept the line."""
    stuck = Stuck(inner)
    line = Line(stuck, patience)
    first = line.ask(frame(row("first")))
    while line._waiting:
        time.sleep(0.001)
    answers = [line.ask(each) for each in frames]
    stuck.go.set()
    assert first.result(20).height == 1
    for each in answers:
        each.exception(20)
    return answers


def tensors(rows, **more):
    names = list(rows[0])
    datatypes = ANOMALIES | {"text": "BYTES"}
    inputs = [
        {"name": name, "shape": [len(rows)], "datatype": datatypes.get(name, "FP64"), "data": [row[name] for row in rows]}
        for name in names
    ]
    return {"inputs": inputs} | more


def row(series="web", timestamp=1, value=1.5):
    return {"series": series, "timestamp": timestamp, "value": value}


def frame(*rows):
    return pl.DataFrame(list(rows), schema={"series": pl.String, "timestamp": pl.Int64, "value": pl.Float64})


@pytest.fixture
def deploy(serve):
    """Deploys versions in a made-up pipeline; gives a client of it."""

    def start(*served):
        view, client = serve()
        view.serving.all = list(served)
        return client

    return start


def infer(client, document, name="cpu", **asked):
    return client.post(f"/v2/models/{name}/infer", json=document, **asked)


def test_tensors_in_tensors_out_with_the_version_that_answered(deploy):
    reply = infer(deploy(Echo()), tensors([row(), row("db", 2, 3.0)], id="42"))
    assert reply.json() == {
        "model_name": "cpu",
        "model_version": "7",
        "id": "42",
        "outputs": [
            {"name": "yhat", "shape": [2], "datatype": "FP64", "data": [3.0, 6.0]},
            {"name": "anomaly_score", "shape": [2], "datatype": "FP64", "data": [2.0, 2.0]},
        ],
    }


def test_a_version_is_asked_by_its_number_and_the_one_that_speaks_without(deploy):
    client = deploy(Echo(version="6"), Echo(version="7"))
    assert infer(client, tensors([row()])).json()["model_version"] == "7"
    assert client.post("/v2/models/cpu/versions/6/infer", json=tensors([row()])).json()["model_version"] == "6"
    assert client.post("/v2/models/cpu/versions/5/infer", json=tensors([row()])).status_code == 404
    assert client.get("/v2/models/cpu").json() == {
        "name": "cpu",
        "versions": ["6", "7"],
        "platform": "vedette_anomalies",
        "inputs": [{"name": name, "datatype": datatype, "shape": [-1]} for name, datatype in ANOMALIES.items()],
        "outputs": [{"name": name, "datatype": datatype, "shape": [-1]} for name, datatype in SCORES.items()],
    }


def test_only_the_outputs_that_are_asked_for_are_given(deploy):
    client = deploy(Echo())
    reply = infer(client, tensors([row()], outputs=[{"name": "anomaly_score"}]))
    assert [each["name"] for each in reply.json()["outputs"]] == ["anomaly_score"]
    reply = infer(client, tensors([row()], outputs=[{"name": "yhat9"}]))
    assert (reply.status_code, reply.json()["field"]) == (400, "yhat9")


def test_columns_may_be_nested_integers_for_floats_and_times_as_text(deploy):
    echo = Echo()
    document = {
        "inputs": [
            {"name": "value", "shape": [2, 1], "datatype": "INT32", "data": [[1], [2]]},
            {"name": "series", "shape": [2, 1], "datatype": "BYTES", "data": ["a", "b"]},
            {"name": "timestamp", "shape": [2], "datatype": "BYTES", "data": ["1970-01-01T00:00:01Z", "1970-01-01T02:00:02+02:00"]},
        ]
    }
    assert infer(deploy(echo), document).status_code == 200
    assert echo.calls[0].equals(frame(row("a", 1_000_000, 1.0), row("b", 2_000_000, 2.0)))


def changed(column, **change):
    document = tensors([row(), row("db")])
    document["inputs"] = [each | change if each["name"] == column else each for each in document["inputs"]]
    return document


@pytest.mark.parametrize(
    ("document", "field", "position"),
    [
        ({}, "", None),
        ([], "", None),
        ({"inputs": []}, "series", None),
        ({"inputs": [{"name": "value"}]}, "inputs[0]", 0),
        ({"inputs": [], "more": 1}, "", None),
        (changed("value", name="valeu"), "valeu", None),
        (changed("value", datatype="BYTES"), "value", None),
        (changed("value", datatype="FP99" * 99), "value", None),
        (changed("value", data=[1.0, "x"]), "value", 1),
        (changed("value", data=[True, 1.0]), "value", 0),
        (changed("value", data=[[1.0], [1.0]]), "value", 0),
        (changed("value", data=[1.0]), "value", None),
        (changed("value", data=[1.0, 2.0, 3.0]), "value", None),
        (changed("value", data=3), "value", None),
        (changed("value", shape=[1, 2]), "value", None),
        (changed("value", shape=[]), "value", None),
        (changed("value", shape=[-2]), "inputs[2].shape[0]", 2),
        (changed("value", shape=[2, 1], data=[[1.0, 2.0], [3.0]]), "value", 0),
        (changed("series", data=["a", None]), "series", 1),
        (changed("series", data=["a", "b" * 70_000]), "series", 1),
        (changed("series", shape=[3], data=["a", "b", "c"]), "timestamp", None),
        (changed("timestamp", data=[1, 1 << 63]), "timestamp", 1),
        (changed("timestamp", data=[1, 1.5]), "timestamp", 1),
        (changed("timestamp", datatype="BYTES", data=["2026-01-01T00:00:00Z", "yesterday"]), "timestamp", 1),
        ({"inputs": tensors([row()])["inputs"] * 2}, "series", None),
    ],
)
def test_what_does_not_fit_is_refused_by_field_and_position(deploy, document, field, position):
    echo = Echo()
    reply = infer(deploy(echo), document)
    assert (reply.status_code, reply.json()["field"], reply.json()["position"]) == (400, field, position), reply.json()
    assert reply.json()["error"]
    assert echo.calls == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"inputs": NaN}', b"[" * 100_000, b'{"inputs":[' * 5000])
def test_what_is_no_json_is_refused(deploy, body):
    client = deploy(Echo())
    for path in ("/v2/models/cpu/infer", "/invocations"):
        assert client.post(path, content=body, headers={"Content-Type": "application/json"}).status_code == 400


def test_numbers_that_are_none_go_out_as_null(deploy):
    reply = infer(deploy(Odd(None)), tensors([row()]))
    assert [each["data"] for each in reply.json()["outputs"]] == [[None], [None]]


def test_a_missing_number_comes_in_as_null(deploy):
    echo = Echo()
    assert infer(deploy(echo), tensors([row(value=None)])).json()["outputs"][0]["data"] == [None]
    assert echo.calls[0]["value"].to_list() == [None]


def test_more_than_is_borne_is_refused(serve):
    view, client = serve()
    view.serving.all = [Echo()]
    client.app.router.routes[:0] = routes(lambda: view.serving, Limits(rows=3, bytes=2000))
    assert infer(client, tensors([row()] * 3)).status_code == 200
    assert infer(client, tensors([row()] * 4)).status_code == 413
    assert client.post("/invocations", json={"dataframe_records": [row()] * 4}).status_code == 413
    assert infer(client, tensors([row("x" * 3000)])).status_code == 413

    async def endless():
        while True:
            yield b" " * 500

    assert client.post("/v2/models/cpu/infer", content=endless()).status_code == 413


@pytest.mark.parametrize(("header", "value"), [("inference-header-content-length", "7"), ("content-encoding", "gzip")])
def test_the_binary_extension_and_codings_are_refused_in_words(deploy, header, value):
    reply = infer(deploy(Echo()), {}, headers={header: value})
    assert (reply.status_code, reply.json()["field"]) == (415, header)


def test_forecasts_have_as_many_rows_as_they_have(deploy):
    reply = infer(deploy(Next()), tensors([row("a", 1, 1.0), row("a", 2, 5.0), row("b", 2, 9.0)]))
    assert {each["name"]: each["data"] for each in reply.json()["outputs"]} == {
        "series": ["a", "a", "b", "b"],
        "timestamp": [3, 4, 3, 4],
        "yhat": [6.0, 7.0, 10.0, 11.0],
    }


ROWS = [row("a", 1, 1.0), row("b", 2, None)]
PREDICTIONS = [{"yhat": 2.0, "anomaly_score": 2.0}, {"yhat": None, "anomaly_score": 2.0}]


@pytest.mark.parametrize(
    "document",
    [
        {
            "dataframe_split": {
                "columns": ["value", "series", "timestamp"],
                "index": [0, 1],
                "data": [[1.0, "a", 1], [None, "b", 2]],
            }
        },
        {"dataframe_records": ROWS},
        {"instances": ROWS},
        {"instances": [["a", 1, 1.0], ["b", 2, None]]},
        {"inputs": {"series": ["a", "b"], "timestamp": [1, 2], "value": [1, None]}},
        {"inputs": ROWS, "params": {}},
        "timestamp,series,value\r\n1,a,1.0\r\n2,b,\r\n",
        "\ufefftimestamp,series,value\n1970-01-01T00:00:00.000001,a,1\n1970-01-01T00:00:00.000002Z,b,",
    ],
)
def test_a_table_may_be_written_as_mlflow_has_it(deploy, document):
    echo = Echo()
    client = deploy(echo)
    sent = {"json": document} if isinstance(document, dict) else {"content": document, "headers": {"Content-Type": "text/csv"}}
    reply = client.post("/invocations", **sent)
    assert reply.json() == {"predictions": PREDICTIONS, "model_name": "cpu", "model_version": "7"}
    assert echo.calls[0].equals(frame(*ROWS))


def test_one_column_needs_no_names(deploy):
    client = deploy(Words())
    for document in ({"instances": ["disk full", "ok"]}, {"inputs": ["disk full", "ok"]}):
        labels = [each["label"] for each in client.post("/invocations", json=document).json()["predictions"]]
        assert labels == ["DISK FULL", "OK"]


@pytest.mark.parametrize(
    ("document", "field", "position"),
    [
        ({}, "", None),
        ({"instances": []}, "", None),
        ({"instances": ROWS, "inputs": ROWS}, "", None),
        ({"instances": ROWS, "params": {"top": 3}}, "params", None),
        ({"instances": ROWS, "signature_name": "x"}, "", None),
        ({"instances": [*ROWS, {"series": "c", "value": 1.0}]}, "timestamp", 2),
        ({"instances": [ROWS[0], ROWS[1] | {"more": 1}]}, "more", 1),
        ({"instances": [ROWS[0], 7]}, "", 0),
        ({"dataframe_split": {"columns": ["series", "timestamp", "value"], "data": [["a", 1, 1.0], ["b", 1]]}}, "", 1),
        ({"dataframe_split": {"columns": ["series", "series"], "data": [["a", "b"]]}}, "columns", None),
        ({"dataframe_split": {"columns": ["series", "timestamp"], "data": [["a", 1]]}}, "value", None),
        ({"inputs": {"series": ["a"], "timestamp": [1], "value": [1.0, 2.0]}}, "value", None),
        ({"inputs": {"series": ["a"], "timestamp": [1], "value": ["x"]}}, "value", 0),
        ({"inputs": {"series": ["a"], "timestamp": [1], "value": 3.0}}, "inputs[...]", None),
        ("", "", None),
        ("series,timestamp,value\n", "", None),
        ("series,timestamp,value\na,1,x\n", "value", 0),
        ('series,timestamp,value\n"a,1,2\n', "", None),
    ],
)
def test_a_table_that_is_none_is_refused_by_field_and_position(deploy, document, field, position):
    client = deploy(Echo())
    sent = {"json": document} if isinstance(document, dict) else {"content": document, "headers": {"Content-Type": "text/csv"}}
    reply = client.post("/invocations", **sent)
    assert (reply.status_code, reply.json()["field"], reply.json()["position"]) == (400, field, position), reply.json()


def test_a_type_that_is_not_taken_is_415(deploy):
    reply = deploy(Echo()).post("/invocations", content="x", headers={"Content-Type": "application/x-protobuf"})
    assert (reply.status_code, reply.json()["field"]) == (415, "content-type")


def test_a_model_is_chosen_by_query_or_header_or_is_the_only_one(deploy):
    client = deploy(Echo("cpu"), Echo("disk", "1"), Echo("disk", "2"))
    sent = {"json": {"instances": ROWS}}
    assert client.post("/invocations", **sent).json()["field"] == "model"
    assert client.post("/invocations?model=cpu", **sent).json()["model_name"] == "cpu"
    assert client.post("/invocations?model=disk&version=1", **sent).json()["model_version"] == "1"
    assert client.post("/invocations", headers={"Vedette-Model": "disk"}, **sent).json()["model_version"] == "2"
    assert client.post("/invocations?model=none", **sent).status_code == 404
    assert deploy().post("/invocations", **sent).status_code == 404


def test_health_is_told_in_both_protocols(deploy):
    client = deploy(Echo())
    for path in (
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/cpu/ready",
        "/v2/models/cpu/versions/7/ready",
        "/ping",
        "/health",
    ):
        assert client.get(path).status_code == 200, path
    assert client.get("/v2").json() == {"name": "vedette", "version": client.get("/version").text, "extensions": []}
    client = deploy()
    assert [client.get(path).status_code for path in ("/v2/health/live", "/v2/health/ready", "/ping")] == [200, 503, 503]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("a secret"), 500),
        (pl.exceptions.PanicException("a secret"), 500),
        (SystemExit(1), 500),
        (BadRecord("too long", field="value"), 400),
        (Transient("it learns"), 503),
    ],
)
def test_a_model_that_raises_is_told_in_words_and_answers_the_next(deploy, error, status):
    client = deploy(Odd(error))
    with capture_logs() as told:
        reply = infer(client, tensors([row(value=13)]))
    assert (reply.status_code, "secret" in reply.text) == (status, False)
    assert [each["event"] for each in told] == (["a model failed"] if status == 500 else [])
    assert infer(client, tensors([row()])).status_code == 200


def test_a_model_that_answers_something_else_is_found_out(deploy):
    class Short(Echo):
        def predict(self, frame):
            return super().predict(frame)[1:]

    class Bare(Echo):
        def predict(self, frame):
            return super().predict(frame).drop("yhat")

    for served in (Short(), Bare()):
        reply = infer(deploy(served), tensors([row()]))
        assert (reply.status_code, "cpu@7 answered" in reply.json()["error"]) == (500, True)


def together(client, count, document, name="cpu"):
    """The answers to `count` requests that are sent at once; `document` gives each."""

    async def ask():
        transport = httpx.ASGITransport(client.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:4680") as asked:
            calls = (asked.post(f"/v2/models/{name}/infer", json=document(i)) for i in range(count))
            return await asyncio.gather(*calls)

    return asyncio.run(ask())


def test_those_who_ask_at_once_share_calls_and_get_their_own_rows(serve):
    view, client = serve()
    echo = Echo()
    view.serving.all = [echo]
    client.app.router.routes[:0] = routes(lambda: view.serving, patience=Patience(linger=0.2))
    replies = together(client, 60, lambda i: tensors([row(f"s{i}", value=float(i))] * (i % 3 + 1)))
    for i, reply in enumerate(replies):
        assert reply.json()["outputs"][0]["data"] == [i * 2.0] * (i % 3 + 1)
    assert len(echo.calls) < 60


def test_forecasts_that_share_a_call_are_told_apart_by_series(deploy):
    ahead = Next()
    replies = together(deploy(ahead), 30, lambda i: tensors([row(f"s{i}", 1, float(i))]))
    assert [reply.json()["outputs"][2]["data"] for reply in replies] == [[i + 1.0, i + 2.0] for i in range(30)]


def test_two_that_name_the_same_series_never_share_a_call():
    echo = Echo()
    answers = asked_while_stuck(echo, Patience(), *(frame(row(name)) for name in ("a", "b", "a", "c")))
    assert [answer.result().height for answer in answers] == [1, 1, 1, 1]
    assert [call["series"].to_list() for call in echo.calls[1:]] == [["a", "b"], ["a", "c"]]


def test_no_call_has_more_rows_than_it_may_but_one_that_came_so():
    echo = Echo()
    sizes = [1, 2, 2, 9, 1]
    answers = asked_while_stuck(echo, Patience(rows=4), *(frame(*[row(f"s{i}")] * size) for i, size in enumerate(sizes)))
    assert [answer.result().height for answer in answers] == sizes
    assert [call.height for call in echo.calls[1:]] == [3, 2, 9, 1]


def test_one_that_the_model_cannot_take_spoils_no_answer_of_others():
    with capture_logs():
        answers = asked_while_stuck(Odd(ValueError("x")), Patience(), *(frame(row(f"s{i}", value=float(i))) for i in range(12, 15)))
    assert isinstance(answers[1].exception(), VedetteError)
    assert [answers[i].result().height for i in (0, 2)] == [1, 1]


def test_a_line_that_is_full_takes_nobody_more():
    stuck = Stuck()
    line = Line(stuck, Patience(waiting_rows=3))
    first = line.ask(frame(row()))
    while line._waiting:
        time.sleep(0.001)
    waiting = [line.ask(frame(row())) for _ in range(3)]
    with pytest.raises(Transient, match="3 rows wait"):
        line.ask(frame(row()))
    stuck.go.set()
    assert [each.result(5).height for each in (first, *waiting)] == [1] * 4
    assert line.ask(frame(row())).result(5).height == 1


def test_a_model_that_is_stuck_holds_up_nobody_else(serve):
    view, client = serve()
    stuck = Stuck()
    view.serving.all = [stuck, Echo()]
    client.app.router.routes[:0] = routes(lambda: view.serving, patience=Patience(seconds=1.0))

    async def ask():
        transport = httpx.ASGITransport(client.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:4680") as asked:
            held = asyncio.create_task(asked.post("/v2/models/stuck/infer", json=tensors([row()])))
            await asyncio.sleep(0.02)
            begin = time.monotonic()
            others = [await asked.post("/v2/models/cpu/infer", json=tensors([row()])) for _ in range(5)]
            took = time.monotonic() - begin
            late = await held
            await asyncio.sleep(0.05)
            again = await asked.post("/v2/models/stuck/infer", json=tensors([row()]))
            ready = await asked.get("/v2/health/ready")
            return others, took, late, again, ready

    others, took, late, again, ready = asyncio.run(ask())
    assert [each.status_code for each in others] == [200] * 5
    assert took < 1.0
    assert (late.status_code, late.headers["retry-after"]) == (503, "5")
    assert "took longer than 1 second" in late.json()["error"]
    assert "has not answered" in again.json()["error"]
    assert ready.status_code == 503
    stuck.go.set()
    for _ in range(100):
        if client.get("/v2/health/ready").status_code == 200:
            break
        time.sleep(0.01)
    assert infer(client, tensors([row()]), "stuck").status_code == 200


def test_an_idle_line_lets_go_of_its_thread_and_starts_again(monkeypatch):
    monkeypatch.setattr("vedette.web.batching.IDLE", 0.02)
    line = Line(Echo(), Patience())
    for _ in range(2):
        assert line.ask(frame(row())).result(5).height == 1
        while line.alive:
            time.sleep(0.005)


def test_a_version_that_is_replaced_is_not_asked_again(serve):
    view, client = serve()
    first, second = Echo(), Words("cpu", "7")
    view.serving.all = [first]
    assert infer(client, tensors([row()])).status_code == 200
    view.serving.all = [second]
    assert infer(client, tensors([{"text": "x"}])).json()["outputs"][0]["data"] == ["X"]
    assert len(first.calls) == 1


def test_hostile_names_are_spelt_out_in_refusals(deploy, payloads):
    client = deploy(Words())
    for payload in payloads:
        reply = client.post("/invocations", json={"inputs": {payload: ["x"]}})
        assert (reply.status_code, reply.headers["content-type"]) == (400, "application/json")
        assert json.loads(reply.text)["error"].startswith("there is no such column")


def test_a_browser_of_another_site_asks_nothing(deploy):
    echo = Echo()
    reply = infer(deploy(echo), tensors([row()]), headers={"Origin": "https://evil.example"})
    assert (reply.status_code, echo.calls) == (403, [])
