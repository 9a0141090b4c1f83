import re
from pathlib import Path

import pytest

import vedette
from vedette.cli.main import cli

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
ROOMS = sorted(each.name for each in Path(vedette.__file__).parent.iterdir() if (each / "__init__.py").exists())
ELSEWHERE = {"core": "architecture", "app": "architecture"}
#: The tutorial's blocks need each other, and have a test of their own.
RUN = [page for page in PAGES if page.name != "models-tutorial.md" and "```python" in page.read_text(encoding="utf-8")]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(#[^)]*)?\)|`(docs/[\w./-]+)`")


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for relative, _, from_root in LINK.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / from_root if from_root else page.parent / relative).exists(), relative or from_root


def test_every_page_can_be_found_from_the_readme():
    reached, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        reached.add(page)
        links = [from_root and ROOT / from_root or page.parent / relative for relative, _, from_root in LINK.findall(page.read_text())]
        ahead += {each.resolve() for each in links if each.suffix == ".md"} - reached
    assert set(PAGES) <= reached


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_every_example_runs(page):
    for text in BLOCK.findall(page.read_text(encoding="utf-8")):
        exec(compile(text, str(page), "exec"), {})  # noqa: S102 -- it is our own page
