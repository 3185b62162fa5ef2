#!/usr/bin/env bash
# Push the OCI layout `image` with every tag to Amazon ECR, and wait for the gate. Needs credentials of AWS.
# Variables: ECR_REGISTRY, IMAGE_REPOSITORY, TAGS, IMAGEGATE_STACK, WAIT. Afterwards the file `release.env` has IMAGE
# (REGISTRY/REPOSITORY@sha256:…), DIGEST and VERDICT (released, refused, held, open or failed).
# Exit code: that of `imagegate status --wait`, but 0 for a held image: this pipeline has done what it can.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/install.sh"

aws ecr get-login-password | skopeo login --username AWS --password-stdin "$ECR_REGISTRY"
first=
for tag in $TAGS; do
  first=${first:-$tag}
  # --all: the index with its platforms, provenance and SBOMs. The further tags copy nothing again.
  skopeo copy --all --preserve-digests --retry-times 3 --digestfile digest \
    oci:image "docker://$ECR_REGISTRY/$IMAGE_REPOSITORY:$tag"
done

code=0
imagegate status --wait --timeout "${WAIT:-45m}" "$IMAGE_REPOSITORY:$first" || code=$?
case "$code" in
  0) verdict=released ;;
  1) verdict=refused ;; # blocked, in conflict, superseded or withdrawn
  3) verdict=held ;;    # passed and signed; the next stage requires an approval
  124) verdict=open ;;  # not over yet; it goes on in AWS
  *) verdict=failed ;;
esac
{
  echo "IMAGE=$ECR_REGISTRY/$IMAGE_REPOSITORY@$(cat digest)"
  echo "DIGEST=$(cat digest)"
  echo "VERDICT=$verdict"
} | tee release.env
if [ "$code" = 3 ]; then exit 0; fi
exit "$code"
