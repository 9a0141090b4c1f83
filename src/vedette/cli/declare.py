"""`init` and `check`: the configuration, written and examined."""

from pathlib import Path

from vedette import config
from vedette.app.connections import unreachable
from vedette.cli.console import document, say
from vedette.core.errors import ConfigError, Rejected

COMMENTED = """\
# Vedette's configuration. Everything here has a default; with no file at all, this host and its logs are watched.
# `vedette check` says what is wrong with this file, all of it at once.

web:
  listen: 127.0.0.1:4680         # another address needs tls and token
  # token: env:VEDETTE_TOKEN     # secrets by reference only: env:NAME or file:PATH
  # tls: {certificate: /etc/vedette/tls.crt, key: /etc/vedette/tls.key}
  # grpc: 127.0.0.1:4317         # OTLP over gRPC; needs the extra `grpc`

sources:
  host: {kind: host, interval: 10}
  logs: {kind: files, paths: [/var/log/*.log, /var/log/syslog, /var/log/messages], multiline: stack}
  # nodes: {kind: scrape, job: node, targets: [127.0.0.1:9100]}
  # prom: {kind: prometheus, url: http://127.0.0.1:9090, match: ['{job="node"}']}
  # network: {kind: syslog, tcp: 127.0.0.1:5514, udp: 127.0.0.1:5514}
  # orders: {kind: push}         # takes POST /push/orders

# outbound:
#   allow: [127.0.0.0/8, 10.0.0.0/8]   # inner networks that scrapes, pulls and notifications may reach

# receivers:                     # who is told of incidents
#   - {name: pager, kind: alertmanager, url: http://127.0.0.1:9093}
#   - {name: chat, kind: webhook, url: https://hooks.example.org/vedette, secret: env:VEDETTE_WEBHOOK_SECRET}

# redaction: {email: true, cards: true, secrets: true, ip: false}
# lake: {retention_days: {metrics: 30, logs: 14}}
# log: {max_bytes: 2147483648}
"""


def init(path: Path) -> None:
    """Write the commented file; an existing one stays as it is."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(COMMENTED)
    except FileExistsError as error:
        raise Rejected(f"{path} is there already; it was left as it was. Move it away, or name another file") from error
    say(f"{path} written. Look it over, then: vedette check {path}")


def check(path: Path | None, *, online: bool, json: bool) -> None:
    """Examine the configuration, and with `online` each connection."""
    try:
        declared = config.load(path)
        faults = unreachable(declared) if online else []
    except ConfigError as error:
        if json:
            document({"passed": False, "faults": list(error.faults)})
        raise
    if json:
        document({"passed": not faults, "faults": faults, "sources": sorted(declared.sources)})
    if faults:
        raise Rejected("\n".join(faults))
    say(f"{path or 'the defaults'}: nothing is wrong. Sources: {', '.join(sorted(declared.sources)) or 'what is sent to us'}")
