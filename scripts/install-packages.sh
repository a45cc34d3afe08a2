#!/usr/bin/env bash
# Installs the Debian packages named on the command line that are missing, so that a fresh checkout needs no manual setup.
# Silent when nothing is missing. Programs that were installed in another way, such as a JDK, count as present.
set -euo pipefail

# The first line of `java -version` reads: openjdk version "17.0.15" 2025-04-15
java_is_recent() {
    local version
    version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p') || return 1
    [[ -n $version && $version -ge 17 ]]
}

is_present() {
    case $1 in
        postgresql) compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null ;;
        *-jre-headless) java_is_recent ;;
        maven) command -v mvn >/dev/null ;;
        nodejs) command -v node >/dev/null ;;
        python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
        protobuf-compiler) command -v protoc >/dev/null ;;
        zlib1g-dev) [[ -e /usr/include/zlib.h ]] ;;
        *) command -v "$1" >/dev/null || dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q '^install ok installed' ;;
    esac
}

missing=()
for package in "$@"; do
    is_present "$package" || missing+=("$package")
done
((${#missing[@]})) || exit 0

install=(apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}")
if ((EUID == 0)); then
    as_root=(env DEBIAN_FRONTEND=noninteractive)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n env DEBIAN_FRONTEND=noninteractive)
else
    as_root=()
fi
if ((${#as_root[@]} == 0)) || ! command -v apt-get >/dev/null; then
    echo "These Debian packages are missing and cannot be installed without root or sudo: ${missing[*]}" >&2
    echo "Install them, then run this again:  sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi

# Debian's package would create a cluster and start it on port 5432. Apex starts its own clusters, so this is disabled
# before the package is installed, unless the machine already has a configuration.
cluster_config=/etc/postgresql-common/createcluster.conf
if [[ " ${missing[*]} " == *' postgresql '* && ! -e $cluster_config ]]; then
    printf '%s\n' '# Written by install-packages.sh of Apex, which starts its own clusters.' \
        'create_main_cluster = false' | "${as_root[@]}" sh -c "mkdir -p ${cluster_config%/*} && cat > $cluster_config"
fi

echo "Installing Debian packages: ${missing[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The package lists may be absent or too old: refresh them only if the first attempt fails.
if ! "${as_root[@]}" "${install[@]}" >"$log" 2>&1; then
    "${as_root[@]}" apt-get update -qq >"$log" 2>&1 || true
    if ! "${as_root[@]}" "${install[@]}" >>"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "Could not install: ${missing[*]}" >&2
        exit 1
    fi
fi
