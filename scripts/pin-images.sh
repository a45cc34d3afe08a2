#!/usr/bin/env bash
# Writes the current digest beside the tag of every image in deploy/, so that the same image is used until this is run
# again. Queries the registries with docker, skopeo or crane, whichever is installed.
#
#   scripts/pin-images.sh [FOLDER]     default: deploy
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
    echo "No program that can query a registry is installed: install docker with buildx, skopeo or crane" >&2
    exit 1
fi
# Matches `FROM image:tag AS name` and `image: image:tag`, with or without the digest of an earlier run. The image `apex` is
# built here and has no tag.
images=$(sed -nE 's/^(FROM|[[:space:]]+image:)[[:space:]]+([^[:space:]@]+:[^[:space:]@]+)(@sha256:[0-9a-f]+)?([[:space:]].*)?$/\2/p' \
    "${files[@]}" | sort -u)
[[ -n $images ]] || { echo "No image was found in ${files[*]}" >&2 && exit 1; }
# Query all digests before changing any file.
pins=()
for image in $images; do
    digest=$(digest_of "$image")
    [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || { echo "The registry returned no digest for $image: $digest" >&2 && exit 1; }
    echo "$image@$digest"
    name=${image//./\\.}
    pins+=(-e "s|([[:space:]])$name(@sha256:[0-9a-f]+)?([[:space:]]\|\$)|\1$image@$digest\3|")
done
sed -i -E "${pins[@]}" "${files[@]}"
