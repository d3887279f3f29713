#!/usr/bin/env bash
# Everything from nothing, on a fresh Debian 12 machine as root: installs packages, builds the programs, runs the lab's article
# (a small cluster in network namespaces, real programs, real packets), and leaves you with three commands to try.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
  echo "deploy/demo.sh: needs root, since the lab makes network namespaces and packet rules in them: try sudo deploy/demo.sh" >&2
  exit 1
fi

step() { printf '\n\033[1m==> %s\033[0m\n' "$*"; }

step "1/3 packages"
deploy/install-packages.sh
echo "all there"

step "2/3 build (about ten minutes the first time on two cores, seconds after that)"
cmake --preset release
cmake --build --preset release --target whence-control whence-agent whencectl whence-lab whence-echo

step "3/3 the article: what the application sees, row by row"
build/release/bin/whence-lab article

cat <<'TXT'

Try next:

  build/release/bin/whence-lab up --name demo      # the same cluster, to stay; `whence-lab down --name demo` ends it
  build/release/bin/whence-lab exec --name demo control -- whencectl agents      # or apply, get, logs, explain: --help
  sqlite3 /run/whence-lab/demo/control-plane/logs.db 'select time, client_address, direct_peer, status, policy from access_log'
TXT
