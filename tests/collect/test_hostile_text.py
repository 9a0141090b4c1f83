"""Text that is hostile to whoever reads or shows it comes through every door as it was sent, or reversibly (R32)."""

import json
from hashlib import sha256

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from vedette.collect.files import FileSettings, FileSource
from vedette.collect.jsonlines import restore
from vedette.collect.limits import Limits
from vedette.collect.otlp import Otlp
from vedette.collect.pieces import Piece
from vedette.collect.push import Push, PushSettings
from vedette.collect.series import SeriesTable
from vedette.collect.syslog import Messages

NOW = 1_767_225_600_000_000
#: What it is -> its bytes; none holds a line feed, for that is what ends a line.
TEXTS = {
    "invalid bytes": b"a \xff\xfe b",
    "half a character": b"caf\xc3",
    "an overlong slash": b"\xc0\xaf",
    "a lone surrogate": b"\xed\xa0\x80 x",
    "backslashes beside them": b"C:\\x41\\ \xff \\",
    "NUL": b"a\x00b",
    "a mark within": b"a\xef\xbb\xbfb",
    "colours": b"\x1b[31mred\x1b[0m \x1b]0;title\x07",
    "bidi": "user \u202egnp.exe".encode(),
    "line separators": "one\u2028two\u2029three\x85four\x0bfive\x0csix".encode(),
    "four bytes": "\U0001f40e\U0010ffff".encode(),
    "combining": "e\u0301\u200d\u200b\ufeff".encode(),
    "markup": b"<script>alert(1)</script> {{7*7}} ${jndi:ldap://x}",
    "a formula": b"=cmd|' /C calc'!A0",
}


def through_push(raw, _folder):
    return Push("p", PushSettings(), SeriesTable(), Limits()).text(Piece(raw + b"\n"), NOW).frames["logs"]


def through_file(raw, folder):
    (folder / "a.log").write_bytes(raw + b"\n")
    settings = FileSettings(paths=(str(folder / "a.log"),), from_start=True)
    source = FileSource(settings, SeriesTable(), lambda: NOW, Limits(), zone="UTC")
    try:
        return source.poll(10).items.frames["logs"]
    finally:
        source.close()


def through_syslog(raw, _folder):
    return Messages("network", SeriesTable(), {}).rows([b"<13>1 - h app - - - " + raw], [None], NOW)


DOORS = {"push": through_push, "file": through_file, "syslog": through_syslog}


def sent(logs):
    """The bytes that a row says it was made of."""
    body, attributes = logs["body"][0], logs["attributes"].to_list()[0]
    return restore(body) if attributes.get("vedette.encoding") == "backslashreplace" else body.encode()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("what", TEXTS)
def test_the_bytes_of_a_line_can_be_had_back(tmp_path, door, what):
    raw = TEXTS[what]
    logs = DOORS[door](raw, tmp_path)
    assert logs.height == 1
    assert sha256(sent(logs)).digest() == sha256(raw).digest()
    body = logs["body"][0]
    assert json.loads(json.dumps(body)) == body
    body.encode()


@pytest.mark.parametrize("what", [each for each, raw in TEXTS.items() if raw.decode("utf-8", "replace").encode() == raw])
def test_otlp_keeps_text_as_it_is(what):
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=NOW * 1000)
    record.body.string_value = TEXTS[what].decode()
    got = Otlp(SeriesTable(), Limits()).logs(request.SerializeToString(), now=NOW).frames["logs"]
    assert got["body"][0].encode() == TEXTS[what]


@pytest.mark.parametrize("text", ["\\ud800", "a\\udfffb", "\\ud83d", "\\ude00\\ud83d"])
def test_lone_surrogates_of_json_are_kept_escaped_and_marked(text):
    line = b'{"message": "%s", "why": "%s"}\n' % (text.encode(), text.encode())
    row = Push("p", PushSettings(), SeriesTable(), Limits()).json(Piece(line), NOW).frames["logs"].to_dicts()[0]
    assert row["attributes"]["vedette.encoding"] == "backslashreplace"
    assert "ud" in row["body"]
    row["body"].encode()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-8-sig"])
def test_a_file_with_a_mark_is_read_in_its_encoding(tmp_path, encoding):
    text = "gr\u00fc\u00dfe \U0001f40e\nnext\n"
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff", "utf-8-sig": b""}[encoding]
    (tmp_path / "a.log").write_bytes(mark + text.encode(encoding))
    settings = FileSettings(paths=(str(tmp_path / "a.log"),), from_start=True)
    source = FileSource(settings, SeriesTable(), lambda: NOW, Limits(), zone="UTC")
    assert source.poll(10).items.frames["logs"]["body"].to_list() == ["gr\u00fc\u00dfe \U0001f40e", "next"]
    source.close()
