"""The tutorial is run as it stands."""

import re
import shlex
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "models-tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# MLflow, to which every move is told, warns of itself.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.xdist_group("mlflow")]


def test_every_block_of_the_tutorial_does_what_it_says(run, tmp_path):
    said = ""
    for kind, text in BLOCK.findall(PAGE.read_text()):
        match kind:
            case "python":
                exec(compile(text, str(PAGE), "exec"), {})  # noqa: S102 -- it is our own page
            case "yaml":
                (tmp_path / "vedette.yaml").write_text(text)
            case "sh":
                said = ""
                for line in text.splitlines():
                    verb, *arguments = shlex.split(line)
                    code, out, err = run(*arguments)
                    assert (verb, code) == ("vedette", 0), f"{line}\n{out}\n{err}"
                    said += out + err
            case "text":
                assert [each for each in text.splitlines() if each not in said] == [], said
            case _:
                pytest.fail(f"nobody runs a block of {kind}")
