#!/usr/bin/env bash
# Makes a Python of its own in target/ with what the examples import; nothing of the machine's is touched.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
requirements=$root/examples/requirements.txt
python=$root/target/tools/python
# The folder carries the list that it was filled from: another list, or none, means fill again.
cmp -s "$requirements" "$python/requirements.txt" && exit 0
rm -rf "$python"
python3 -m venv "$python"
"$python/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
cp "$requirements" "$python/requirements.txt"
