#!/usr/bin/env bash
# The web page: `web.sh build` builds it into web/dist, from where the build of Apex takes it, unless nothing has changed since;
# `web.sh check` checks the generated types of its operations, its code, its types, its tests and the licences of its packages.
# No package scripts are run.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
web=$root/web
# What is installed, and what the page was built from.
installed=$web/node_modules/.apex-installed
built=$web/dist/.built

# Packages that are only needed to check the page are left out of a build.
install_packages() { # build | check
    local wanted
    wanted=$(sha256sum "$web/package-lock.json" | cut -d ' ' -f 1)
    case $(cat "$installed" 2>/dev/null || true) in
        "$wanted check" | "$wanted $1") return ;;
    esac
    "$root/scripts/install-packages.sh" nodejs npm
    local omit=()
    [[ $1 == check ]] || omit=(--omit=dev)
    rm -f "$installed"
    (cd "$web" && npm ci "${omit[@]}" --ignore-scripts --no-audit --no-fund --loglevel=error) >/dev/null
    echo "$wanted $1" >"$installed"
}

# Node of the packages, where there is one for this machine: Debian's may be older than what they take.
use_node() {
    local node
    for node in "$web"/node_modules/node-linux-*/bin; do
        [[ ! -x $node/node ]] || PATH=$node:$PATH
    done
    PATH=$web/node_modules/.bin:$PATH
    export PATH
}

sources() {
    (cd "$web" && find src scripts index.html package-lock.json vite.config.ts tsconfig.json ../samples/claude-code.jsonl -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
}

case ${1:-} in
    build)
        now=$(sources)
        if [[ -e $web/dist/index.html && $(cat "$built" 2>/dev/null || true) == "$now" ]]; then
            exit 0
        fi
        install_packages build
        use_node
        (cd "$web" && vite build --logLevel warn)
        echo "$now" >"$built"
        ;;
    check)
        install_packages check
        use_node
        cd "$web"
        work=$(mktemp -d)
        trap 'rm -rf "$work"' EXIT
        APEX_WEB_GENERATED=$work/ graphql-codegen --config codegen.ts --silent
        diff -r src/graphql/generated "$work" >&2 || {
            echo "web/src/graphql/generated is not what schema.graphql and the operations give: run scripts/web.sh generate" >&2
            exit 1
        }
        npm run --silent lint
        npm run --silent types
        npm run --silent test
        npm run --silent licences
        ;;
    generate)
        install_packages check
        use_node
        cd "$web"
        graphql-codegen --config codegen.ts --silent
        ;;
    *)
        echo "usage: ${0##*/} build|check|generate" >&2
        exit 2
        ;;
esac
