#!/usr/bin/env bash
# Checks all dependencies for known vulnerabilities with cargo-deny, whose binary is the argument, against the RustSec
# advisory database, a Git repository that changes daily. If the database cannot be fetched, nothing is checked and a
# message says so; with ADVISORIES=required the script fails.
set -euo pipefail

deny=${1:?usage: ${0##*/} CARGO-DENY}
database=${ADVISORY_DATABASE:-https://github.com/RustSec/advisory-db}

if ! problem=$(GIT_TERMINAL_PROMPT=0 timeout 60 git ls-remote --exit-code "$database" HEAD 2>&1 >/dev/null); then
    echo "NOT CHECKED: the advisory database at $database cannot be fetched: ${problem:-no answer within 60 s}" >&2
    echo "It is not known whether a dependency has a vulnerability. Run this again where the database can be reached." >&2
    [[ ${ADVISORIES:-} != required ]]
    exit
fi
make --no-print-directory "$deny"
exec "$deny" --locked check advisories
