#!/usr/bin/env bash
# Puts GraphiQL into target/graphiql, where the build embeds it into the server: its page then works
# without a network, and the repository carries nobody else's code. The files are those of the
# published packages, held to the checksums below; what is there already is not fetched again.
#
# GraphiQL 4.1.2 is the last release with a script that browsers load as it is. It brings its own
# graphql-ws client; of React it needs 18, the last one with such scripts.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=$root/target/graphiql

# FILE  PACKAGE  PATH IN THE PACKAGE  SHA-256
files='
graphiql.min.js             graphiql@4.1.2    graphiql.min.js                  867226ba8af5ce7949903fc53932f78dac9f4bfc6cc8da0fd3869b8bc6c5256b
graphiql.min.css            graphiql@4.1.2    graphiql.min.css                 30487e07635d312a63f647b140d37740a73c53332b0975bf4b1fe985ca6ec885
graphiql.LICENSE            graphiql@4.1.2    LICENSE                          4b18fbe55c4e8f9169cb702be138f4d858a2dad920c39857204ffdc9c1c9fdc4
react.production.min.js     react@18.3.1      umd/react.production.min.js      d949f1c3687aedadcedac85261865f29b17cd273997e7f6b2bfc53b2f9d4c4dd
react-dom.production.min.js react-dom@18.3.1  umd/react-dom.production.min.js  35f4f974f4b2bcd44da73963347f8952e341f83909e4498227d4e26b98f66f0d
react.LICENSE               react@18.3.1      LICENSE                          52412d7bc7ce4157ea628bbaacb8829e0a9cb3c58f57f99176126bc8cf2bfc85
'

verify() { # FOLDER
    local file sum
    while read -r file _ _ sum; do
        [[ -z $file ]] || echo "$sum  $1/$file"
    done <<<"$files" | sha256sum --check --quiet
}

verify "$target" >/dev/null 2>&1 && exit 0

"$root/scripts/install-packages.sh" npm
mkdir -p "$root/target"
work=$(mktemp -d "$target.XXXXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/packages" "$work/files"
while read -r file package path _; do
    [[ -n $file ]] || continue
    archive=$work/packages/${package/@/-}.tgz
    [[ -e $archive ]] || npm pack --loglevel=error --ignore-scripts --pack-destination "$work/packages" "$package" </dev/null >/dev/null
    tar -xzOf "$archive" "package/$path" >"$work/files/$file"
done <<<"$files"
verify "$work/files" || { echo "GraphiQL's packages are not the ones this release was made with" >&2 && exit 1; }

# Only whole and only what was verified: a build that runs meanwhile sees the old folder or the new.
rm -rf "$target"
mv "$work/files" "$target"
