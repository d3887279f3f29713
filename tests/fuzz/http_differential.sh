#!/usr/bin/env bash
# http_differential.sh WHENCE_HTTP_FORWARDED VECTORS COUNT SEED
# What the agent sends upstream for mutated vectors must mean to Node's parser what it means to us.
set -euo pipefail
command -v node >/dev/null || { echo "SKIPPED: no node"; exit 77; }
"$1" "$2" "$3" "$4" | node "$(dirname "$0")/http_differential.mjs"
