#!/usr/bin/env bash
# Fetches the official JSON Schema of AsyncAPI 3.0.0 into target/asyncapi; a test validates our document against it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$root/scripts/fetch-from-npm.sh" "$root/target/asyncapi" <<'EOF'
3.0.0.json  @asyncapi/specs@6.11.1  schemas/3.0.0.json  d4571a420e6ffb7fcc7066c95a6db1202f299a3c51daa103d0706bf30f95e626
EOF
