"""Runs verbs."""

import pytest

from vedette.cli import main


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Runs a verb in an empty folder; exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def verb(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(each) for each in arguments])
        out = capsys.readouterr()
        return ended.value.code or 0, out.out, out.err

    return verb
