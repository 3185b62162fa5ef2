#!/usr/bin/env bash
# Build the image of this folder once, for every platform, into the folder `image` (an OCI layout), with provenance and
# an SBOM. Variables: BUILDER_ID, PLATFORMS, LABELS (one name=value in a line), CACHE (as type=registry,ref=…).
set -euo pipefail

options=(--platform "${PLATFORMS:-linux/amd64,linux/arm64}")
while IFS= read -r label; do
  if [ -n "$label" ]; then options+=(--label "$label"); fi
done <<< "${LABELS:-}"
if [ -n "${CACHE:-}" ]; then options+=(--cache-from "$CACHE" --cache-to "$CACHE,mode=max"); fi

# Emulates the processors that this machine does not have.
binfmt_image=tonistiigi/binfmt:qemu-v10.2.3@sha256:400a4873b838d1b89194d982c45e5fb3cda4593fbfd7e08a02e76b03b21166f0
docker run --rm --privileged "$binfmt_image" --install all > /dev/null
docker buildx inspect builder > /dev/null 2>&1 || docker buildx create --name builder > /dev/null
docker buildx build . --builder builder "${options[@]}" --sbom=true \
  --provenance "mode=max,builder-id=$BUILDER_ID" --output type=oci,dest=image,tar=false
