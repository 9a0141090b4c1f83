import pytest

from vedette.core.document import read
from vedette.core.errors import ConfigError
from vedette.core.settings import Settings


class Source(Settings):
    url: str
    token: int = 0


class Document(Settings):
    listen: str = "127.0.0.1:4680"
    sources: dict[str, Source] | None = None


def test_an_empty_document_is_all_defaults():
    assert read("", Document) == Document()


def test_every_fault_is_told_with_its_line_and_key():
    text = "listen: 1\nsources:\n  web:\n    url: http://a\n    colour: red\n  db: {}\n"
    with pytest.raises(ConfigError) as caught:
        read(text, Document)
    assert [fault.rsplit(" (", 1)[0] for fault in caught.value.faults] == [
        "vedette.yaml:1: listen: Input should be a valid string",
        "vedette.yaml:5: sources.web.colour: there is no such key",
        "vedette.yaml:6: sources.db.url: it is needed, and missing",
    ]


def test_a_key_given_twice_is_a_fault():
    with pytest.raises(ConfigError, match=r"vedette.yaml:2: listen: the key is given twice"):
        read("listen: a\nlisten: b\n", Document)


def test_a_broken_document_is_told_by_line():
    with pytest.raises(ConfigError, match=r"vedette.yaml:2: "):
        read("listen: a\n  b: [", Document)


def test_what_was_given_for_a_secret_is_not_shown():
    with pytest.raises(ConfigError) as caught:
        read("sources:\n  web:\n    url: a\n    token: hunter2\n", Document)
    assert "hunter2" not in str(caught.value)
