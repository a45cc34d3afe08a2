#!/usr/bin/env bash
# Runs one command with a private PostgreSQL and Kafka around it, and stops both whatever happens to
# the command: a failing test, Ctrl-C, or a CI job that is cancelled.
#
#   scripts/with-services.sh cargo test --workspace
#   scripts/with-services.sh --without-kafka COMMAND…    PostgreSQL alone
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=$root/.services/run # not .services itself: that is for servers started by hand
without=()
[[ ${1:-} != --without-kafka ]] || { without=("$1") && shift; }
(($#)) || { echo "usage: ${0##*/} [--without-kafka] COMMAND…" >&2 && exit 2; }

# One run at a time in a checkout: starting anew would pull the servers from under the other one.
# Nobody else inherits the lock (9>&-), so it ends with this process, however that ends.
mkdir -p "$dir"
exec 9>"$dir/lock"
flock -n 9 || { echo "${0##*/}: another run is using $dir" >&2 && exit 1; }

# The command goes first, with its children, then the servers that it was using.
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

# Job control gives the command a process group of its own, so that a signal reaches its children.
set -m
"$@" <&0 9>&- &
job=$!
set +m
status=0
wait "$job" || status=$?
exit "$status"
