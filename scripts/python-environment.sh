#!/usr/bin/env bash
# Creates a Python virtual environment in target/tools/NAME with the packages of a file:
# python-environment.sh NAME FILE [INTERPRETER]
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
requirements=$root/$2
python=$root/target/tools/$1
# The environment has a copy of the requirements that it was created from: if they differ, it is created again.
cmp -s "$requirements" "$python/requirements.txt" && exit 0
rm -rf "$python"
"${3:-python3}" -m venv "$python"
"$python/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
cp "$requirements" "$python/requirements.txt"
