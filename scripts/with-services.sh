#!/usr/bin/env bash
# Runs a command with a private PostgreSQL and Kafka, and stops both when the command ends for whatever reason: a failed
# test, Ctrl-C, or a canceled CI job.
#
#   scripts/with-services.sh cargo test --workspace
#   scripts/with-services.sh --without-kafka COMMAND…    PostgreSQL only
#   scripts/with-services.sh --without-sync COMMAND…     PostgreSQL does not wait until the disk has what it writes
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=$root/.services/run # .services itself is for servers that were started manually
without=()
while [[ ${1:-} == --without-* ]]; do
    without+=("$1") && shift
done
(($#)) || { echo "usage: ${0##*/} [--without-kafka] [--without-sync] COMMAND…" >&2 && exit 2; }

# One run at a time per checkout: a second one would stop the servers of the first. Child processes do not inherit the
# lock (9>&-), so it is released when this process ends.
mkdir -p "$dir"
exec 9>"$dir/lock"
flock -n 9 || { echo "${0##*/}: another run uses $dir: wait until it has finished" >&2 && exit 1; }

# Stops the command and its children first, then the servers.
# shellcheck disable=SC2317 # reached through the trap
finish() {
    trap '' INT TERM
    local signal
    for signal in TERM KILL; do
        { [[ -n $job ]] && kill -s "$signal" -- "-$job"; } 2>/dev/null || break
        for _ in {1..50}; do
            kill -s 0 -- "-$job" 2>/dev/null || break
            sleep 0.1
        done
    done
    "$root/scripts/test-services.sh" stop "$dir" 9>&-
}
job=
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"$root/scripts/test-services.sh" start "$dir" "${without[@]}" 9>&-
# shellcheck disable=SC1091 # written by the line above
source "$dir/env"

# Job control puts the command into its own process group, so that a signal reaches its children.
set -m
"$@" <&0 9>&- &
job=$!
set +m
status=0
wait "$job" || status=$?
exit "$status"
