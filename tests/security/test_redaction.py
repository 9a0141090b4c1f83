"""Secrets and personal data taken out of texts and columns alike (S09)."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette.security import Redaction, RedactionSettings

SECRETS = [
    ("password=hunter2", "hunter2"),
    ('{"password": "hunter2 and more"}', "hunter2"),
    ("PGPASSWORD=s3cr3t psql", "s3cr3t"),
    ("db_password: s3cr3t;", "s3cr3t"),
    ("api-key=0123456789abcdef", "0123456789abcdef"),
    ("Authorization: Bearer abc.def-ghi", "abc.def-ghi"),
    ("authorization=Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("sent bearer 0123456789abcdef0123", "0123456789abcdef0123"),
    ("postgres://app:s3cr3t@db:5432/x", "s3cr3t"),
    ("https://user:p%40ss@example.org/", "p%40ss"),
    ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJzdWIiOiIxIn0"),
    ("key AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE"),
    ("pushed with ghp_0123456789abcdefghijABCDEFGHIJ012345", "ghp_0123456789"),
    ("Set-Cookie: sid=31d4d96e407aad42; Path=/", "31d4d96e407aad42"),
    ("paid with 4111 1111 1111 1111 today", "4111"),
    ("paid with 5500005555555559", "5500005555555559"),
    ("amex 378282246310005.", "378282246310005"),
    ("from GB82 WEST 1234 5698 7654 32", "WEST"),
    ("ssn 078-05-1120", "078-05-1120"),
    ("mail to ann.o'neil+x@mail.example.org now", "@mail.example.org"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----", "MIIE"),
]
CLEAN = [
    "081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1 for block blk_38865049064139660 terminating",
    "Received block blk_-1608999687919862906 of size 91178 from /10.250.10.6",
    "1700000000123 GET /api/items/4111111111111112 200 12ms",
    "2026-11-24 02:50:36 kernel: [12345.678901] eth0: link up, 1000Mbps",
    "request 550e8400-e29b-41d4-a716-446655440000 took 3.14s",
    "key pair generated; the password was changed by its owner",
    "java.lang.IllegalStateException: token expired",
]


@pytest.mark.parametrize(("line", "planted"), SECRETS)
def test_a_secret_is_gone_from_the_line(line, planted):
    redacted = Redaction(RedactionSettings()).text(line)
    assert planted not in redacted
    assert "[" in redacted


@pytest.mark.parametrize("line", CLEAN)
def test_a_clean_line_stays_as_it_is(line):
    assert Redaction(RedactionSettings()).text(line) == line


def test_a_column_is_redacted_as_its_texts_are():
    redaction = Redaction(RedactionSettings(ip=True))
    lines = [line for line, _ in SECRETS] + CLEAN
    assert redaction.column(pl.Series(lines)).to_list() == [redaction.text(line) for line in lines]


def test_nulls_and_the_name_of_a_column_stay():
    column = pl.Series("body", ["password=x", None, "plain"])
    assert Redaction(RedactionSettings()).column(column).to_list() == ["password=[secret]", None, "plain"]
    assert Redaction(RedactionSettings()).column(column).name == "body"


def test_every_kind_is_counted():
    counts = {}
    redaction = Redaction(RedactionSettings(), lambda kind, texts: counts.update({kind: counts.get(kind, 0) + texts}))
    redaction.column(pl.Series(["a@b.org", "c@d.org", "password=x"]))
    redaction.text("e@f.org")
    assert counts == {"email": 3, "secret": 1}


@given(st.lists(st.sampled_from([*(line for line, _ in SECRETS), *CLEAN]) | st.text(max_size=8), max_size=6).map(" ".join))
def test_redacting_twice_is_redacting_once(line):
    redaction = Redaction(RedactionSettings())
    once = redaction.text(line)
    assert redaction.text(once) == once


def test_internal_addresses_are_kept_unless_asked():
    assert Redaction(RedactionSettings()).text("from 10.1.2.3") == "from 10.1.2.3"
    assert Redaction(RedactionSettings(ip=True)).text("from 10.1.2.3 and fe80::1") == "from [ip] and [ip]"
