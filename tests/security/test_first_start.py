"""Safe from the first start: what would open a door is refused by the name of its setting (S13)."""

import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vedette import config
from vedette.app.stream import App
from vedette.core.errors import ConfigError

ROOT = Path(__file__).parents[2]
VEDETTE = str(Path(sys.executable).with_name("vedette"))
SECRET = "hunter2-c4nary"


def vedette(*arguments, folder, **environ):
    return subprocess.run(
        [VEDETTE, *map(str, arguments)],
        cwd=folder,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("listen", ["0.0.0.0:4680", "[::]:4680", "db1.internal:4680", "10.1.2.3:4680", "[fd00::1]:4680", "0:4680"])
@pytest.mark.parametrize("given", ["", "  token: env:TOKEN\n", "  tls: {certificate: a.crt, key: a.key}\n"])
def test_another_address_needs_certificate_and_token(tmp_path, monkeypatch, listen, given):
    monkeypatch.setenv("TOKEN", SECRET)
    path = tmp_path / "vedette.yaml"
    path.write_text(f"web:\n  listen: '{listen}'\n{given}")
    with pytest.raises(ConfigError, match=r"web\.(tls|token)") as caught:
        config.load(path)
    assert SECRET not in str(caught.value)


def test_the_command_ends_with_2_and_names_the_setting_before_anything_is_made(tmp_path):
    ended = vedette("up", "--listen", "0.0.0.0:0", "--home", tmp_path / "home", folder=tmp_path)
    assert ended.returncode == 2
    assert "web.tls" in ended.stderr
    assert "web.token" in ended.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("line", ["grpc: '0.0.0.0:4317'", "grpc: '10.0.0.1:4317'"])
def test_other_listeners_stay_on_this_machine_too(tmp_path, line):
    path = tmp_path / "vedette.yaml"
    path.write_text(f"web: {{{line}}}\n")
    with pytest.raises(ConfigError, match=r"web\.grpc"):
        config.load(path)


@pytest.mark.parametrize("port", ["tcp", "udp"])
def test_syslog_stays_on_this_machine(tmp_path, port):
    path = tmp_path / "vedette.yaml"
    path.write_text(f"sources:\n  net: {{kind: syslog, {port}: '0.0.0.0:5514'}}\n")
    with pytest.raises(ConfigError, match=rf"sources\.net.*{port}"):
        config.load(path)


@pytest.mark.parametrize(
    "text",
    [
        f"web: {{token: {SECRET}}}",
        f"receivers: [{{name: a, kind: webhook, url: 'https://example.org', secret: {SECRET}}}]",
        f"receivers: [{{name: a, kind: webhook, url: 'https://example.org', token: {SECRET}}}]",
        f"sources: {{a: {{kind: scrape, targets: ['127.0.0.1:1'], bearer: {SECRET}}}}}",
        f"sources: {{a: {{kind: prometheus, url: 'http://127.0.0.1:9090', match: ['up'], bearer: {SECRET}}}}}",
    ],
)
def test_a_secret_in_the_open_is_refused_and_not_repeated(tmp_path, text):
    path = tmp_path / "vedette.yaml"
    path.write_text(text + "\n")
    with pytest.raises(ConfigError, match="by reference") as caught:
        config.load(path)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        f"web: {{tokne: {SECRET}}}",
        f"sources: {{a: {{kind: scrape, targets: ['127.0.0.1:1'], baerer: {SECRET}}}}}",
        f"sources: {{a: {{kind: scrape, targets: 'http://ann:{SECRET}@127.0.0.1:1'}}}}",
        f"sources: {{a: {{kind: prometheus, url: 'http://ann:{SECRET}@127.0.0.1:9090'}}}}",
        f"receivers: [{{name: a, kind: webhok, url: 'https://ann:{SECRET}@example.org'}}]",
    ],
)
def test_a_secret_in_a_place_with_a_slip_is_not_repeated_either(tmp_path, text):
    path = tmp_path / "vedette.yaml"
    path.write_text(text + "\n")
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("number", [12345678, 0.12345678])
def test_a_secret_that_yaml_takes_for_a_number_is_not_repeated(tmp_path, number):
    path = tmp_path / "vedette.yaml"
    path.write_text(f"sources: {{a: {{kind: scrape, targets: ['127.0.0.1:1'], bearer: {number}}}}}\n")
    with pytest.raises(ConfigError, match="by reference") as caught:
        config.load(path)
    assert str(number) not in str(caught.value)


DECLARED = """\
web: {token: env:CANARY}
receivers: [{name: a, kind: webhook, url: 'https://example.org', secret: env:CANARY, token: env:CANARY}]
sources:
  a: {kind: scrape, targets: ['127.0.0.1:1'], bearer: env:CANARY}
  b: {kind: prometheus, url: 'http://127.0.0.1:9090', match: ['up'], bearer: env:CANARY}
"""


def test_no_dump_shows_a_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("CANARY", SECRET)
    path = tmp_path / "vedette.yaml"
    path.write_text(DECLARED)
    declared = config.load(path)
    assert declared.web.token == SECRET
    for shown in (repr(declared), str(declared), declared.model_dump_json(), repr(declared.model_dump())):
        assert SECRET not in shown


def test_no_verb_shows_a_secret(tmp_path):
    path = tmp_path / "vedette.yaml"
    for broken in ("", "surplus: 1\n", "lake: {retention_days: x}\n"):
        path.write_text(DECLARED + broken)
        for verb in (("check", path, "--json"), ("status", "--json", "--home", tmp_path / "home")):
            ended = vedette(*verb, folder=tmp_path, CANARY=SECRET)
            assert SECRET not in ended.stdout + ended.stderr


def test_a_home_is_for_its_owner_only(tmp_path):
    before = os.umask(0o022)
    try:
        with App(config.Config(), tmp_path / "home", lambda: time.time_ns() // 1000):
            time.sleep(0.1)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_no_default_credential_is_in_what_is_shipped():
    given = re.compile(
        r"""(?i)^[^#]*\b(?:password|passwd|secret|token|api_?key|bearer)["']?\s*[:=]\s*["']?(?!env:|file:|["']?\s*$)[A-Za-z0-9+/_-]{6,}["']?\s*(?:#.*)?$"""
    )
    known = re.compile(
        r"\bAKIA[A-Z0-9]{16}\b|\bghp_\w{20,}|-----BEGIN [A-Z ]*PRIVATE KEY-----\\?n|\b(?:admin|root):(?:admin|root|password)\b"
    )
    files = [
        each
        for folder in ("src", "deploy")
        for each in (ROOT / folder).rglob("*")
        if each.suffix in {".py", ".yml", ".yaml", ".json", ".conf", ".sh"}
    ]
    assert len(files) > 50
    declared = [each for each in files if each.suffix != ".py"]
    found = [(each.name, line) for each in declared for line in each.read_text(encoding="utf-8").splitlines() if given.search(line)]
    found += [(each.name, line) for each in files for line in each.read_text(encoding="utf-8").splitlines() if known.search(line)]
    assert not found
