#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test. As root on Debian 12: `tests/run.sh [preset]`, default release.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
deploy/install-packages.sh
cmake --preset "$preset"
cmake --build --preset "$preset"
ctest --preset "$preset" --timeout 300
