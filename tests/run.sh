#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test. As root on Debian 12: `tests/run.sh [preset]`, default release.
#
# Pure tests have to pass. Those with processes, sockets and clocks in them may meet a machine that is busy elsewhere: what fails
# there is shown with its output, runs once more, and has to pass then.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
deploy/install-packages.sh
cmake --preset "$preset"
cmake --build --preset "$preset"
if [[ $preset == asan || $preset == tsan ]]; then exec ctest --preset "$preset" --timeout 300; fi
ctest --preset "$preset" -L '^unit$' --timeout 300
ctest --preset "$preset" -L '^(integration|lab)$' --timeout 300 --repeat until-pass:2
