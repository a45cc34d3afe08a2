#!/usr/bin/env bash
# Measures the overview of the web page with Lighthouse, on the data of the demo: lighthouse.sh BINARY. The demo has a database of its own,
# which is deleted, and listens on a free port.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
binary=$(realpath "$1")
tools=$root/target/tools/lighthouse
# PostgreSQL runs as another user if this is root, who must be able to enter the folder.
work=$(mktemp -d /var/tmp/apex-lighthouse.XXXXXXXX)
chmod 755 "$work"
demo=
finish() {
    if [[ -n $demo ]] && kill -TERM "$demo" 2>/dev/null; then
        wait "$demo" || true
    fi
    rm -rf "$work"
}
trap finish EXIT

env -u APEX_DATABASE_URL "$binary" --home "$work/home" demo --listen 127.0.0.1:0 --rate 5 >"$work/log" 2>&1 &
demo=$!
address=
for _ in {1..600}; do
    address=$(grep -oE 'http://127\.0\.0\.1:[0-9]+' "$work/log" | head -n 1 || true)
    [[ -z $address ]] || break
    kill -0 "$demo" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
    sleep 0.2
done
[[ -n $address ]] || { echo "the demo did not say its address within 2 minutes:" >&2; cat "$work/log" >&2; exit 1; }
# The simulated fleet has something to show.
sleep 10
node=$tools/node
[[ -x $node ]] || node=node
"$node" --preserve-symlinks --preserve-symlinks-main "$tools/lighthouse.mjs" "$address/"
