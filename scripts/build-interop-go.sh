#!/usr/bin/env bash
# Builds the go-libp2p peer of the interop tests and prints the path of the program.
# Exit codes: 3 no Go on this machine, 4 its modules are neither cached nor reachable, 1 anything else.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
command -v go >/dev/null || { echo "Go is not installed" >&2; exit 3; }
cd "$root/test/interop/go"
go mod download >&2 || { echo "the Go modules cannot be downloaded" >&2; exit 4; }
out="$root/node_modules/.cache/sahara-interop/go-peer"
mkdir -p "$(dirname "$out")"
go build -trimpath -o "$out" . >&2
echo "$out"
