"""What `deploy/` ships, as the programs that it is for read it."""

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.servers
DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.mark.parametrize(
    "command",
    [
        ("promtool", "check", "rules", "prometheus/rules.yml"),
        ("promtool", "check", "config", "senders/prometheus.yml"),
        ("amtool", "check-config", "senders/alertmanager.yml"),
        ("rsyslogd", "-N1", "-f", "senders/rsyslog.conf"),
    ],
)
def test_the_programs_find_no_fault_in_what_is_for_them(command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed; `make servers` installs it")
    found = subprocess.run(command, cwd=DEPLOY, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
