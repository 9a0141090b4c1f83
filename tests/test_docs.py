from pathlib import Path

import pytest

import vedette
from vedette.cli.main import cli

DOCS = Path(__file__).parents[1] / "docs"
ROOMS = sorted(each.name for each in Path(vedette.__file__).parent.iterdir() if (each / "__init__.py").exists())
ELSEWHERE = {"core": "architecture", "app": "architecture"}


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_its_page(room):
    assert (DOCS / f"{ELSEWHERE.get(room, room)}.md").is_file()


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_opens_with_its_essay(room):
    text = (Path(vedette.__file__).parent / room / "__init__.py").read_text()
    assert text.startswith('"""')
    assert len(text.split('"""')[1].split()) >= 20


def test_every_verb_is_described():
    page = (DOCS / "cli.md").read_text()
    for command in cli.registered_commands:
        name = command.name or command.callback.__name__
        assert f"`{name}" in page or f", `{name}" in page, name
