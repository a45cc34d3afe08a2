#!/usr/bin/env bash
# Installs the npm packages of a folder, and links its programs beside them, into target/tools/NAME: node-packages.sh NAME
# FOLDER. No package scripts are run. Where the packages include Node itself, it is target/tools/NAME/node.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source=$root/$2
target=$root/target/tools/$1
# The folder has a copy of the versions that it was installed from: if they differ, it is installed again.
if cmp -s "$source/package-lock.json" "$target/package-lock.json"; then
    ln -sf "$source"/*.mjs "$target"
    exit 0
fi
"$root/scripts/install-packages.sh" nodejs npm
mkdir -p "$(dirname "$target")"
work=$(mktemp -d "$target.XXXXXXXX")
trap 'rm -rf "$work"' EXIT
cp "$source/package.json" "$source/package-lock.json" "$work"
# In the folder: with --prefix, some versions of npm take the folder itself for a package that the lock file lacks.
(cd "$work" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) >/dev/null
# Beside the packages, where node looks for them from a program.
ln -s "$source"/*.mjs "$work"
# npm installs the one for this machine, of those that package.json names.
for node in "$work"/node_modules/node-linux-*/bin/node; do
    [[ ! -x $node ]] || ln -sr "$node" "$work/node"
done
chmod 755 "$work"
rm -rf "$target"
mv -T "$work" "$target"
