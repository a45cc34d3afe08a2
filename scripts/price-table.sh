#!/usr/bin/env bash
# Renews the price table in the shipped price book: writes ingest/src/prices/shipped/genai-prices.json.gz from the Python
# package genai-prices, in the version that scripts/price-table.requirements.txt names. To renew the prices, change the
# version and the date there and run this. Prints what the table has; the same version always gives the same file.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
shipped=$root/ingest/src/prices/shipped
"$root/scripts/python-for-prices.sh"
python=$root/target/tools/python-prices/bin/python
dated=$(sed -n 's/^# Retrieved on \([0-9-]*\)\.$/\1/p' "$root/scripts/price-table.requirements.txt")
"$python" "$root/scripts/price-table.py" --dated "$dated" --providers "$root/scripts/price-table.providers.txt" >"$shipped/genai-prices.json"
"$python" - "$shipped/LICENSE.genai-prices" <<'PYTHON'
import importlib.metadata, shutil, sys
files = importlib.metadata.files("genai-prices")
licence = next(file for file in files if file.name == "LICENSE")
shutil.copy(licence.locate(), sys.argv[1])
PYTHON
# Without the name and the time of the file, so that the result depends on its content alone.
gzip --best --no-name --force "$shipped/genai-prices.json"
ls -l "$shipped/genai-prices.json.gz" >&2
