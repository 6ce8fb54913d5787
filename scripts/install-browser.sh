#!/usr/bin/env bash
# Installs Chromium for `npm run test:browser` where it is missing. Debian and its relatives; elsewhere, put a
# Chromium or Chrome on PATH or name it in CHROMIUM_BIN.
set -euo pipefail
for name in "${CHROMIUM_BIN:-}" chromium chromium-browser google-chrome; do
  if [ -n "$name" ] && command -v "$name" >/dev/null 2>&1; then
    echo "found $(command -v "$name")"
    exit 0
  fi
done
if ! command -v apt-get >/dev/null 2>&1; then
  echo "no Chromium here and no apt-get to install it: install Chromium, or name it in CHROMIUM_BIN" >&2
  exit 1
fi
run() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }
run apt-get update -qq
run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
command -v chromium
