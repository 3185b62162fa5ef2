# Sourced by the other scripts: install imagegate from the folder that this script is in, unless it is there already.
if ! command -v imagegate > /dev/null; then
  source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
  place=$source/.ci-venv
  if [ ! -x "$place/bin/imagegate" ]; then
    python3 -m venv "$place"
    "$place/bin/pip" install --quiet --require-hashes -r "$source/requirements/cli.txt"
    "$place/bin/pip" install --quiet --no-deps "$source"
  fi
  PATH=$place/bin:$PATH
fi
