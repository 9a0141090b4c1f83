"""Syslog: messages of any form and size (R26, R32), and senders that hang or hurry."""

import asyncio
from concurrent.futures import Future
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vedette.collect.intake import Intake
from vedette.collect.jsonlines import restore
from vedette.collect.limits import Limits
from vedette.collect.series import SeriesTable
from vedette.collect.syslog import Messages
from vedette.collect.syslog_server import Framing, SyslogServer, SyslogSettings
from vedette.core.errors import ConfigError, Transient
from vedette.core.types import Receipt
from vedette.security import Redaction, RedactionSettings

NOW = int(datetime(2026, 11, 24, 4, tzinfo=UTC).timestamp() * 1e6)


def rows(*messages):
    return Messages("network", SeriesTable(), {}).rows(messages, [None] * len(messages), NOW)


def test_rfc_5424_with_structured_data():
    line = (
        rb'<165>1 2026-11-24T03:59:58.123+00:00 web-1 nginx 42 ID47 [origin ip="10.0.0.1"][meta note="a \"b\" \] c"] '
        b"\xef\xbb\xbfserved it"
    )
    row = rows(line).row(0, named=True)
    assert row["body"] == "served it"
    assert row["at"] == datetime(2026, 11, 24, 3, 59, 58, 123000, tzinfo=UTC)
    assert row["severity"] == 10
    assert row["attributes"] == {
        "syslog.facility": "local4",
        "process.pid": "42",
        "syslog.msgid": "ID47",
        "origin.ip": "10.0.0.1",
        "meta.note": 'a "b" ] c',
    }


def test_the_two_templates_of_rsyslog():
    traditional = b"<34>Nov 24 03:59:58 web-1 su[230]: 'su root' failed for lonvick"
    protocol23 = b"<34>1 2026-11-24T03:59:58.003Z web-1 su 230 - - 'su root' failed for lonvick"
    found = rows(traditional, protocol23)
    assert found["body"].to_list() == ["'su root' failed for lonvick"] * 2
    assert found["severity"].to_list() == [18, 18]
    assert found["series"].n_unique() == 1
    assert [each.microsecond for each in found["at"]] == [0, 3000]
    assert found["attributes"].to_list() == [{"syslog.facility": "auth", "process.pid": "230"}] * 2


def test_nil_fields_are_absent():
    row = rows(b"<13>1 - - - - - - only this").row(0, named=True)
    assert row["body"] == "only this"
    assert row["attributes"] == {"syslog.facility": "user"}
    assert row["at"] == row["observed_at"]


def test_a_year_end_is_read_backwards():
    row = rows(b"<13>Dec 31 23:59:59 host app: x").row(0, named=True)
    assert row["at"] == datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_what_fits_nothing_is_kept_as_it_came():
    found = rows(b"no header at all", b"<13>1 2026", b"\xff\xfe raw")
    assert found["body"].to_list() == ["no header at all", "<13>1 2026", "\\xff\\xfe raw"]
    assert all(each["vedette.syslog"] == "unparsed" for each in found["attributes"].to_list())
    assert found["attributes"][2]["vedette.encoding"] == "backslashreplace"


@given(st.lists(st.binary(max_size=400), max_size=8))
def test_no_message_is_refused_or_lost(messages):
    assert rows(*messages).height == len(messages)


TEXTS = st.text(st.characters(codec="ascii", exclude_characters="\n\r\0"), min_size=1, max_size=40).filter(
    lambda text: not text[0].isdigit()
)


@given(st.lists(st.tuples(TEXTS, st.booleans()), max_size=6), st.integers(1, 50))
def test_where_the_stream_is_cut_does_not_matter(messages, size):
    messages = [(f"<13>{text}" if counted else text, counted) for text, counted in messages]
    stream = b"".join(b"%d %s" % (len(text), text.encode()) if counted else text.encode() + b"\n" for text, counted in messages)
    framing = Framing(limit=1000)
    found = [each for at in range(0, len(stream), size) for each in framing.feed(stream[at : at + size])] + framing.finish()
    assert [each.text.decode() for each in found] == [text for text, _ in messages]


def test_a_giant_frame_is_cut_and_the_next_is_whole():
    framing = Framing(limit=256)
    found = []
    for _ in range(1000):
        found += framing.feed(b"x" * 1000)
    found += framing.feed(b"\n<13>next\n")
    assert [(len(each.text), each.cut) for each in found] == [(256, 1_000_000), (8, None)]


class Journal:
    """Keeps deliveries; refuses the first `refusals` of them."""

    def __init__(self, refusals=0):
        self.deliveries, self.refusals, self.notes = [], refusals, []
        self.changed = asyncio.Event()

    def append(self, delivery, position=None):
        done = Future()
        if self.refusals:
            self.refusals -= 1
            done.set_exception(Transient("full", retry_after=0.01))
        else:
            self.deliveries.append(delivery)
            self.changed.set()
            done.set_result(Receipt(len(self.deliveries)))
        return done

    def positions(self, source):
        return ()

    def note(self, source, **counts):
        self.notes.append(counts)


def test_a_count_is_one_only_before_a_priority():
    framing = Framing(limit=100)
    found = framing.feed(b"42 is the answer\n9 <13>two\n\n") + framing.feed(b"9 <13>three") + framing.finish()
    assert [each.text for each in found] == [b"42 is the answer", b"<13>two", b"<13>three"]


def test_a_header_that_is_only_half_there():
    found = rows(
        b"<13>Nov 24 03:59:58 web-1 last message repeated 3 times",
        b"<13>Nov  4 03:59:58 sudo: by a local logger",
        b"<30>1 - web-1 app - - -",
        b"<200>1 - web-1 app - - - no such priority",
        b"<30>1 - " + b"h" * 300 + b" app - - - too long a host",
        b"<30>1 - web-1 app - - - done at 2020-02-02 00:00:00",
    ).to_dicts()
    assert found[0]["body"] == "last message repeated 3 times"
    assert (found[1]["body"], found[1]["at"].day) == ("by a local logger", 4)
    assert found[2]["body"] == ""
    assert [row["attributes"].get("vedette.syslog") for row in found] == [None, None, None, "unparsed", "unparsed", None]
    assert found[5]["at"] == found[5]["observed_at"]


def test_structured_data_can_neither_take_our_names_nor_grow_without_bound():
    many = b"[a " + b" ".join(b'n%d="v"' % n for n in range(500)) + b"]"
    mine = b'[vedette syslog="x"][process pid="666"]'
    first, second, plain = rows(*(b"<13>1 - h a 42 - %s text" % data for data in (many, mine)), b"<13>1 - h a 42 - - text")[
        "attributes"
    ].to_list()
    assert len(first) <= Limits().labels + 2
    assert second == {"syslog.facility": "user", "process.pid": "42", "vedette.syslog": "x"}
    assert plain == {"syslog.facility": "user", "process.pid": "42"}


def test_streams_are_told_apart_by_host_and_program():
    table = SeriesTable()
    messages = Messages("network", table, {"site": "a"})
    found = messages.rows([b"<13>1 - h1 a - - - x", b"<13>1 - h2 a - - - x", b"<13>1 - h1 a - - - y", b"z"], [None] * 4, NOW)
    assert found["series"][0] == found["series"][2]
    definitions = table.definitions(found["series"].unique(maintain_order=True))
    assert definitions["labels"].to_list() == [
        {"site": "a", "host": "h1", "service": "a"},
        {"site": "a", "host": "h2", "service": "a"},
        {"site": "a"},
    ]


def test_text_that_is_not_unicode_can_be_restored():
    row = rows(b"<13>Nov 24 03:59:58 h app: caf\xe9 \\").row(0, named=True)
    assert row["attributes"]["vedette.encoding"] == "backslashreplace"
    assert restore(row["body"]) == b"caf\xe9 \\"


@pytest.mark.parametrize("address", ["0.0.0.0:514", "[::]:514", "10.0.0.1:514", "logs.example.org:514", "127.0.0.1", "127.0.0.1:x"])
def test_an_address_that_others_reach_is_refused_by_name(address):
    with pytest.raises(ValidationError, match=r"127\.0\.0\.1"):
        SyslogSettings(udp=address)


def served(journal, settings, talk, limits=None):
    """Run `talk(tcp, udp)` against a server; the bodies that were logged, sorted."""
    table = SeriesTable()
    intake = Intake(journal, table, Redaction(RedactionSettings()))

    async def run():
        async with SyslogServer("network", settings, intake, table, limits or Limits(), lambda: NOW) as server:
            await talk(*server.addresses)

    asyncio.run(run())
    return sorted(body for delivery in journal.deliveries for body in delivery.frames["logs"]["body"])


BOTH = SyslogSettings(tcp=":0", udp="127.0.0.1:0")


async def logged(journal, lines):
    while sum(delivery.frames["logs"].height for delivery in journal.deliveries) < lines:
        journal.changed.clear()
        await journal.changed.wait()


async def send(address, udp):
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=address)
    for each in udp:
        transport.sendto(each)
    transport.close()


@pytest.mark.parametrize("refusals", [0, 3])
def test_what_is_sent_over_tcp_and_udp_is_logged_once_even_when_the_log_was_full(refusals):
    journal = Journal(refusals)

    async def talk(tcp, udp):
        _, writer = await asyncio.open_connection(*tcp)
        writer.write(b"<13>1 - h a - - - password=hunter2\n17 <13>1 - h a - - -<13>half")
        writer.close()
        await writer.wait_closed()
        await send(udp, [b"<13>1 - h a - - - by datagram\n"])
        await logged(journal, 4)

    assert served(journal, BOTH, talk) == ["", "<13>half", "by datagram", "password=[secret]"]


def test_messages_of_many_senders_share_a_delivery():
    journal = Journal()

    async def talk(tcp, _udp):
        writers = [(await asyncio.open_connection(*tcp))[1] for _ in range(50)]
        for n, writer in enumerate(writers):
            writer.write(b"<13>Nov 24 03:59:58 h app: %d\n" % n)
        await logged(journal, 50)
        for writer in writers:
            writer.close()
            await writer.wait_closed()

    assert served(journal, BOTH, talk) == sorted(map(str, range(50)))
    assert len(journal.deliveries) < 25


def test_while_the_log_is_full_nothing_more_is_read_and_what_was_read_is_kept_on_closing():
    journal = Journal(refusals=20)
    line = b"<13>Nov 24 03:59:58 h app: " + b"x" * 1000 + b"\n"

    async def talk(tcp, _udp):
        _, writer = await asyncio.open_connection(*tcp)
        writer.write(line * 10_000)
        await asyncio.sleep(0.05)
        assert writer.transport.get_write_buffer_size() > 0
        writer.transport.abort()

    bodies = served(journal, BOTH, talk)
    assert 0 < len(bodies) < 10_000
    assert not journal.notes


def test_datagrams_beyond_what_may_wait_are_shed_and_counted(monkeypatch):
    monkeypatch.setattr("vedette.collect.syslog_server.UDP_BYTES", 100)
    journal = Journal(refusals=10)

    async def talk(_tcp, udp):
        await send(udp, [b"<13>Nov 24 03:59:58 h app: %d" % n for n in range(50)])
        await asyncio.sleep(0.02)

    kept = served(journal, BOTH, talk)
    assert len(kept) + sum(note["shed"] for note in journal.notes) == 50
    assert kept


@pytest.mark.parametrize(("settings", "sent"), [({"idle_seconds": 0.05}, b"<13>whole\n"), ({"message_seconds": 0.05}, b"<13>drip")])
def test_a_silent_and_a_dripping_connection_are_closed_and_what_came_is_kept(settings, sent):
    journal = Journal()

    async def talk(tcp):
        reader, writer = await asyncio.open_connection(*tcp)
        writer.write(sent)
        assert await reader.read() == b""
        writer.close()

    assert served(journal, SyslogSettings(tcp="127.0.0.1:0", **settings), talk) == [sent.decode().strip()]


def test_a_port_that_is_taken_is_a_fault_of_the_configuration():
    async def talk(tcp):
        server = SyslogServer("more", SyslogSettings(tcp=f"127.0.0.1:{tcp[1]}"), None, SeriesTable(), Limits(), lambda: NOW)
        with pytest.raises(ConfigError, match=r"sources\.more"):
            await server.__aenter__()

    served(Journal(), SyslogSettings(tcp="127.0.0.1:0"), talk)
