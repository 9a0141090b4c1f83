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

models:                          # each learns, is judged, comes to speak step by step, and is trained anew
  metrics:                       # whose series it is not, the detector as it is shipped looks at
    family: anomalies
    # match: {name: 'node_.*', labels: {job: node}}   # regular expressions of the whole; everything by default
    # window_days: 28            # what it learns from
    # search: {trials: 16, seconds: 600, processes: 0}
    # most_alarms: 0.5           # false alarms a series and week that the search may not pass
    # gates:                     # what a version must reach; each takes the place of the usual one on its figure
    #   - {metric: false_alarms_per_series_week, max_absolute: 0.5}
    #   - {metric: event_f1, min_relative_change: 0.0}       # no worse than the champion
    # rollout: {automatic: true, shadow_hours: 24, canary_shares: [0.1, 0.5], canary_hours: 24, probation_hours: 72}
    # retrain: {automatic: true, first_days: 7, every_days: 7, cooldown_hours: 24, verdicts: 5, budget_seconds: 7200}
    # monitor: {share: 0.2, cap: 1.5, age_seconds: 2419200, unseen: 0.3}
  # disks:                       # looks ahead; a forecast that crosses the limit becomes an incident
  #   family: forecasts
  #   match: {name: node_filesystem_avail_bytes}
  #   step_seconds: 3600
  #   horizon: 168
  #   limit: 5000000000
  #   limit_side: below
  #   gates: [{metric: mase, max_absolute: 0.9}]
  # tickets:                     # learns from events that have the label, and puts it on those that come
  #   family: classes
  #   events: ticket
  #   text: [title, annotation:description]
  #   features: [service]
  #   label: team
  #   writes: vedette_team
  #   gates: [{metric: macro_f1, min_absolute: 0.7}]

# hearing: {confirmed: 2, beyond: 1.3, days: 30, per_person: 50}   # how far operators' answers reach
# registry: {tracking_uri: 'http://127.0.0.1:5000', two_people: false, keep: 20}

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
