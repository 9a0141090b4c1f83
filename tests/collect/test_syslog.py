import asyncio
from concurrent.futures import Future
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette.collect.intake import Intake
from vedette.collect.limits import Limits
from vedette.collect.series import SeriesTable
from vedette.collect.syslog import Messages
from vedette.collect.syslog_server import Framing, SyslogServer, SyslogSettings
from vedette.core.errors import Transient
from vedette.core.types import Receipt
from vedette.security import Redaction, RedactionSettings

NOW = int(datetime(2026, 11, 24, 4, tzinfo=UTC).timestamp() * 1e6)
WINDOW = Limits().window(NOW)


def rows(*messages):
    return Messages("network", SeriesTable(), {}).rows(messages, [None] * len(messages), NOW, WINDOW)


def test_rfc_5424_with_structured_data():
    line = (
        rb'<165>1 2026-11-24T03:59:58.123+00:00 web-1 nginx 42 ID47 [origin ip="10.0.0.1"][meta note="a \"b\" \] c"] '
        b"\xef\xbb\xbfserved it"
    )
    row = rows(line).row(0, named=True)
    assert row["body"] == "served it"
    assert row["at"] == datetime(2026, 11, 24, 3, 59, 58, 123000, tzinfo=UTC)
    assert row["severity"] == 10
    assert row["attributes"] == {"process.pid": "42", "syslog.msgid": "ID47", "ip": "10.0.0.1", "note": 'a "b" ] c'}


def test_the_two_templates_of_rsyslog():
    traditional = b"<34>Nov 24 03:59:58 web-1 su[230]: 'su root' failed for lonvick"
    protocol23 = b"<34>1 2026-11-24T03:59:58.003Z web-1 su 230 - - 'su root' failed for lonvick"
    found = rows(traditional, protocol23)
    assert found["body"].to_list() == ["'su root' failed for lonvick"] * 2
    assert found["severity"].to_list() == [18, 18]
    assert found["series"].n_unique() == 1
    assert [each.microsecond for each in found["at"]] == [0, 3000]
    assert found["attributes"].to_list() == [{"process.pid": "230"}] * 2


def test_nil_fields_are_absent():
    row = rows(b"<13>1 - - - - - - only this").row(0, named=True)
    assert row["body"] == "only this"
    assert row["attributes"] == {}
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

    def append(self, delivery, position=None):
        done = Future()
        if self.refusals:
            self.refusals -= 1
            done.set_exception(Transient("full", retry_after=0.01))
        else:
            self.deliveries.append(delivery)
            done.set_result(Receipt(len(self.deliveries)))
        return done

    def positions(self, source):
        return ()

    def note(self, source, **counts):
        self.notes.append(counts)


@pytest.mark.parametrize("refusals", [0, 3])
def test_what_is_sent_over_tcp_and_udp_is_logged_once_even_when_the_log_was_full(refusals):
    journal, table = Journal(refusals), SeriesTable()
    settings = SyslogSettings(tcp="127.0.0.1:0", udp="127.0.0.1:0")
    intake = Intake(journal, table, Redaction(RedactionSettings()))

    async def run():
        async with SyslogServer("network", settings, intake, table, Limits(), lambda: NOW) as server:
            tcp, udp = server.addresses
            _, writer = await asyncio.open_connection(*tcp)
            writer.write(b"<13>1 - h a - - - password=hunter2\n17 <13>1 - h a - - -<13>half")
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=udp)
            transport.sendto(b"<13>1 - h a - - - by datagram")
            transport.close()
            await asyncio.sleep(0.3)

    asyncio.run(run())
    bodies = sorted(body for delivery in journal.deliveries for body in delivery.frames["logs"]["body"])
    assert bodies == ["", "<13>half", "by datagram", "password=[secret]"]
