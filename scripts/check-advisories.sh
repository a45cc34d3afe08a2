#!/usr/bin/env bash
# Checks all dependencies for known vulnerabilities with cargo-deny, whose binary is the argument, against the database of
# RustSec. The database is a Git repository that changes by the day. Where it cannot be fetched nothing is checked, and
# this says so; with ADVISORIES=required that is a failure.
set -euo pipefail

deny=${1:?usage: ${0##*/} CARGO-DENY}
database=${ADVISORY_DATABASE:-https://github.com/RustSec/advisory-db}

if ! problem=$(GIT_TERMINAL_PROMPT=0 timeout 60 git ls-remote --exit-code "$database" HEAD 2>&1 >/dev/null); then
    echo "NOT CHECKED: the advisories at $database cannot be fetched from here: ${problem:-no answer within 60 s}" >&2
    echo "Whether a dependency has a known vulnerability is unknown. Run this again where that address can be reached." >&2
    [[ ${ADVISORIES:-} != required ]]
    exit
fi
make --no-print-directory "$deny"
exec "$deny" --locked check advisories
