#!/usr/bin/env bash
# Writes beside the tag of every image that deploy/ uses the digest that the tag stands for now, so that the same bytes are
# built and run until this is run again. Asks the registries with docker, skopeo or crane, whichever is here.
#
#   scripts/pin-images.sh [FOLDER]     FOLDER: deploy
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=${1:-$root/deploy}
files=("$folder/Dockerfile" "$folder/compose.yaml")

digest_of() { # IMAGE:TAG
    if command -v docker >/dev/null; then
        docker buildx imagetools inspect "$1" --format '{{.Manifest.Digest}}'
    elif command -v skopeo >/dev/null; then
        skopeo inspect --no-tags --format '{{.Digest}}' "docker://$1"
    else
        crane digest "$1"
    fi
}

if ! command -v docker >/dev/null && ! command -v skopeo >/dev/null && ! command -v crane >/dev/null; then
    echo "Nothing here can ask a registry for digests: install docker with buildx, skopeo or crane" >&2
    exit 1
fi
# `FROM image:tag AS name` and `image: image:tag`, with or without the digest of an earlier run. The image `apex` is the
# one that is built here, and has no tag.
images=$(sed -nE 's/^(FROM|[[:space:]]+image:)[[:space:]]+([^[:space:]@]+:[^[:space:]@]+)(@sha256:[0-9a-f]+)?([[:space:]].*)?$/\2/p' \
    "${files[@]}" | sort -u)
[[ -n $images ]] || { echo "No image is named in ${files[*]}" >&2 && exit 1; }
# All digests before the first file is changed.
pins=()
for image in $images; do
    digest=$(digest_of "$image")
    [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || { echo "The registry gave no digest for $image: $digest" >&2 && exit 1; }
    echo "$image@$digest"
    name=${image//./\\.}
    pins+=(-e "s|([[:space:]])$name(@sha256:[0-9a-f]+)?([[:space:]]\|\$)|\1$image@$digest\3|")
done
sed -i -E "${pins[@]}" "${files[@]}"
