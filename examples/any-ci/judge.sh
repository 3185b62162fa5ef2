#!/usr/bin/env bash
# Scan each platform of the OCI layout `image` with two scanners, and judge it by the policy. The reports and an SBOM of
# each platform are then in `security-reports`. Variables: POLICY, IMAGE_REPOSITORY, TAGS.
# Exit code: 0 all pass, 1 one would be blocked, 2 one could not be judged.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/install.sh"

trivy_image=ghcr.io/aquasecurity/trivy:0.74.0@sha256:62b1e65e8869bc4b4c6aa4fa2b21595256c7c2f6018a9d9ad61caf87187c1969
grype_image=anchore/grype:v0.118.0@sha256:8a93fc48da96bd6ec5981279d099b69de11541dc68fdf222fb9161f8ff284af7
in_container() { docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/checkout" --workdir /checkout "$@"; }

# Which vulnerabilities are known to be exploited (CISA's KEV) or probably will be (FIRST's EPSS).
get() { curl --fail --silent --show-error --location --retry 3 --max-time 120 --output "security-reports/$1" "$2"; }
mkdir -p security-reports
get kev.json https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json
get epss.csv.gz https://epss.empiricalsecurity.com/epss_scores-current.csv.gz

options=(--policy "${POLICY:-policy.yaml}" --repository "$IMAGE_REPOSITORY")
options+=(--kev security-reports/kev.json --epss security-reports/epss.csv.gz)
for tag in $TAGS; do options+=(--tag "$tag"); done

# An index lists its platforms, and its attestations as "unknown"; the manifest of one image lists none.
platforms=$(skopeo inspect --raw oci:image |
  jq -r '[.manifests[]?.platform // empty | select(.os != "unknown") | "\(.os)/\(.architecture)"] | unique[]')
if [ -z "$platforms" ]; then
  platforms=$(skopeo inspect --config oci:image | jq -r '"\(.os)/\(.architecture)"')
fi

worst=0
for platform in $platforms; do
  reports=security-reports/${platform/\//-}
  mkdir -p "$reports"
  rm -rf platform
  skopeo --override-os "${platform%/*}" --override-arch "${platform#*/}" copy --quiet oci:image oci:platform
  skopeo inspect --config oci:platform > "$reports/config.json"
  # All severities, and what has no fix yet: what counts is for the policy to say.
  in_container --env TRIVY_CACHE_DIR=/checkout/.trivy "$trivy_image" image --input platform --scanners vuln \
    --list-all-pkgs --no-progress --format json --output "$reports/trivy.json"
  in_container "$trivy_image" convert --format spdx-json --output "$reports/sbom.spdx.json" "$reports/trivy.json"
  in_container --env GRYPE_DB_CACHE_DIR=/checkout/.grype "$grype_image" oci-dir:platform --quiet \
    --output "json=$reports/grype.json"
  echo "== $platform"
  code=0
  imagegate judge "${options[@]}" --config "$reports/config.json" \
    --findings "$reports/trivy.json" --findings "$reports/grype.json" || code=$?
  if [ "$code" -gt "$worst" ]; then worst=$code; fi
done
exit "$worst"
