#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the image for an assignment.
set -euo pipefail
cd "${AUTOGRADER_ROOT:-/autograder}/source"

find_python() {
  for version in 3.13 3.12 3.11; do
    if "python$version" -c "import ensurepip, venv" 2> /dev/null; then
      echo "python$version"
      return
    fi
  done
}

python=$(find_python)
if [ -z "$python" ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # Ubuntu 24.04 has the first, 22.04 the second.
  apt-get install -qq -y --no-install-recommends python3.12 python3.12-venv ||
    apt-get install -qq -y --no-install-recommends python3.11 python3.11-venv
  python=$(find_python)
fi
"$python" -I autograde/environment.py .venv
# The answer runs as another user, who must not look into these.
chmod 700 solutions
