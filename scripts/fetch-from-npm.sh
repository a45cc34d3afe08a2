#!/usr/bin/env bash
# Fetches files of published npm packages into a folder and verifies their checksums. A folder that has all of them is left
# as it is. No package scripts are run, and nothing is installed.
#
#   scripts/fetch-from-npm.sh FOLDER <<<'FILE  PACKAGE@VERSION  PATH IN THE PACKAGE  SHA-256'
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${1:?usage: ${0##*/} FOLDER, with a list of files on standard input}
files=$(cat)

verify() { # FOLDER
    local file sum
    while read -r file _ _ sum; do
        [[ -z $file ]] || echo "$sum  $1/$file"
    done <<<"$files" | sha256sum --check --quiet
}

verify "$target" >/dev/null 2>&1 && exit 0

"$root/scripts/install-packages.sh" npm
mkdir -p "$(dirname "$target")"
work=$(mktemp -d "$target.XXXXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/packages" "$work/files"
while read -r file package path _; do
    [[ -n $file ]] || continue
    folder=$work/packages/$package
    if [[ ! -d $folder ]]; then
        mkdir -p "$folder"
        npm pack --loglevel=error --ignore-scripts --pack-destination "$folder" "$package" </dev/null >/dev/null
    fi
    tar -xzOf "$folder"/*.tgz "package/$path" >"$work/files/$file"
done <<<"$files"
verify "$work/files" || { echo "The checksums of the fetched files differ from the pinned ones for $target" >&2 && exit 1; }

# Replaces the folder as a whole, after verification. If two runs do this at once, one finds the folder of the other.
if [[ -e $target ]]; then
    mv -T "$target" "$work/old"
fi
mv -T "$work/files" "$target" 2>/dev/null || verify "$target"
