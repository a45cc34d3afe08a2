#!/usr/bin/env bash
# Runs every test of the workspace, as `cargo test --workspace` does, with one suite beside the others: `relay` takes minutes, in
# which it mostly waits for brokers. Its output is printed once the others have ended. Fails if any of them failed.
#
#   scripts/with-services.sh scripts/test-suites.sh
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
beside=relay
# Tests wait for servers and timers for a part of their time.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$(($(nproc) + 1))}
# The whole workspace each time: with the same features, nothing is compiled twice.
cargo_test=(cargo test --workspace --locked --no-fail-fast)

# Prints the other test targets as arguments of cargo, without those that take features which are not on by default.
other_suites() {
    cargo metadata --locked --no-deps --format-version 1 | python3 -c '
import json, sys

targets = [target for package in json.load(sys.stdin)["packages"] for target in package["targets"]]
suites = {target["name"] for target in targets if target["kind"] == ["test"] and target["test"] and not target.get("required-features")}
suites.remove(sys.argv[1])
print("\n".join(f"--test={name}" for name in sorted(suites)))' "$beside"
}

log=$(mktemp)
job=
# If this ends early, both end: cargo itself, and the tests that it has started, which are in the process group of this script.
# shellcheck disable=SC2317 # reached through the trap
finish() {
    trap '' INT TERM
    rm -f "$log"
    [[ -z $job ]] || kill -s TERM 0
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"${cargo_test[@]}" --no-run
others=$(other_suites)
mapfile -t others <<<"$others"

"${cargo_test[@]}" --test "$beside" </dev/null >"$log" 2>&1 &
job=$!
status=0
"${cargo_test[@]}" --lib --bins "${others[@]}" || status=$?
"${cargo_test[@]}" --doc || status=$?
wait "$job" || status=$?
job=
echo "Suite $beside, which ran beside the others:"
cat "$log"
exit "$status"
