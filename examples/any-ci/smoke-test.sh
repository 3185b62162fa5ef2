#!/usr/bin/env bash
# Ask a deployed application whether it is healthy; if it is not, go back to the release before. Needs the power
# `rollback`. Variables: HEALTH_URL, APP, STAGE, ATTEMPTS (30, ten seconds apart).
# Exit code: 0 it is healthy, 1 it was not, and deployers were told to go back, 2 nobody could tell them.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/install.sh"

if curl --fail --silent --show-error --location --max-time 10 --output /dev/null \
  --retry "${ATTEMPTS:-30}" --retry-delay 10 --retry-all-errors "$HEALTH_URL"; then
  echo "healthy: $HEALTH_URL"
  exit 0
fi
imagegate rollback "$APP" "$STAGE" --reason "not healthy after its deployment: $HEALTH_URL" --yes || exit 2
exit 1
