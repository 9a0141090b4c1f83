#!/usr/bin/env bash
# The real servers that `make test-servers` tests against: Debian's own packages. No service is started here;
# the tests start what they need on free loopback ports, and end it.
set -euo pipefail

PACKAGES=(prometheus prometheus-alertmanager prometheus-node-exporter rsyslog chromium)

missing() { for each in "${PACKAGES[@]}"; do dpkg -s "$each" >/dev/null 2>&1 || printf '%s ' "$each"; done; }

case "${1:-}" in
install)
  wanted=$(missing)
  if [ -z "$wanted" ]; then
    echo "All there: ${PACKAGES[*]}"
    exit 0
  fi
  run=()
  if [ "$(id -u)" -ne 0 ]; then run=(sudo); fi
  # Packages must not start their services: they would take ports, and be watched by nobody.
  export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
  "${run[@]}" apt-get update -qq
  # shellcheck disable=SC2086 -- one word a package is meant
  "${run[@]}" apt-get install -y -qq --no-install-recommends $wanted >/dev/null
  echo "Installed: $wanted"
  ;;
*)
  echo "usage: deploy/servers.sh install" >&2
  exit 2
  ;;
esac
