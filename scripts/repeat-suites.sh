#!/usr/bin/env bash
# Runs a test suite several times in a row, to find tests that fail by chance: on an idle machine and beside another load.
# Prints a line for each run, and the output of those that fail. Exits with 1 if any failed.
#
#   scripts/repeat-suites.sh RUNS SUITE [TEST…]
#   scripts/repeat-suites.sh 20 system jobs:: decisions::
#
# SUITE is a test target of the root package: system, chaos, relay, … Starts PostgreSQL and Kafka for all runs, unless
# APEX_TEST_DATABASE_URL names a server.
set -euo pipefail

usage="usage: ${0##*/} RUNS SUITE [TEST…]"
[[ ${1:-} =~ ^[1-9][0-9]*$ && -n ${2:-} ]] || { echo "$usage" >&2 && exit 2; }
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
[[ -n ${APEX_TEST_DATABASE_URL:-} ]] || exec "$root/scripts/with-services.sh" "$root/scripts/${0##*/}" "$@"

cd "$root"
runs=$1 suite=$2
shift 2
cargo test --locked --quiet --test "$suite" --no-run
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0
for ((run = 1; run <= runs; run++)); do
    start=$SECONDS
    result=FAILED
    if cargo test --locked --test "$suite" -- "$@" >"$log" 2>&1; then
        result=passed
        passed=$((passed + 1))
    fi
    echo "$suite $*: run $run of $runs $result, $((SECONDS - start)) s, load $(cut -d ' ' -f 1 /proc/loadavg)"
    [[ $result == passed ]] || cat "$log"
done
echo "$suite $*: $passed of $runs runs passed"
((passed == runs))
