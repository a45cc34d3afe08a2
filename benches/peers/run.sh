#!/usr/bin/env bash
# Fetches the peers at their pinned versions, builds the driver and runs it; see README.md in this folder. Fetched and built
# files are in target/peers.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
built=$root/target/peers
mkdir -p "$built/node"

# Node resolves modules relative to the script, so the scripts are copied to the folder with the modules.
cp "$here"/node/* "$built/node/"
if ! cmp -s "$here/node/package-lock.json" "$built/node/node_modules/.peers-lock"; then
    (cd "$built/node" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error)
    cp "$here/node/package-lock.json" "$built/node/node_modules/.peers-lock"
fi

if ! cmp -s "$here/python/requirements.txt" "$built/venv/requirements.txt"; then
    python3 -m venv --clear "$built/venv"
    "$built/venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
        -r "$here/python/requirements.txt"
    cp "$here/python/requirements.txt" "$built/venv/requirements.txt"
fi

# From the crate's folder, because the crate is not a member of the surrounding workspace.
cd "$here"
export CARGO_TARGET_DIR=$built
nice -n 5 cargo build --release --locked -j "${JOBS:-2}"
exec env PEERS_NODE="$built/node" PEERS_PYTHON="$built/venv/bin/python" \
    "$root/scripts/with-services.sh" --without-kafka "$built/release/peers"
