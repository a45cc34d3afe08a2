#!/usr/bin/env bash
# Fetches Prometheus' promtool into target/tools/promtool. Debian's package is unpacked, not installed, so no service is
# started or enabled. Does nothing if promtool is on the PATH.
set -euo pipefail

command -v promtool >/dev/null && exit 0
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=$root/target/tools/promtool
[[ -x $target ]] && exit 0

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "promtool is missing and apt-get is not available to fetch it: install Prometheus, then run this again" >&2
    exit 1
fi
mkdir -p "$(dirname "$target")"
work=$(mktemp -d "$target.XXXXXXXX")
trap 'rm -rf "$work"' EXIT
# As the current user: the sandbox user of apt cannot write to this folder.
download=(apt-get download -qq -o APT::Sandbox::User=root prometheus)
# The package lists may be absent or too old: refresh them only if the first attempt fails.
if ! (cd "$work" && "${download[@]}") >"$work/log" 2>&1; then
    if ((EUID == 0)); then
        apt-get update -qq >>"$work/log" 2>&1 || true
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n apt-get update -qq >>"$work/log" 2>&1 || true
    fi
    (cd "$work" && "${download[@]}") >>"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
fi
dpkg-deb --fsys-tarfile "$work"/prometheus_*.deb | tar -xO ./usr/bin/promtool >"$work/promtool"
chmod +x "$work/promtool"
"$work/promtool" --version >/dev/null 2>&1
mv "$work/promtool" "$target"
