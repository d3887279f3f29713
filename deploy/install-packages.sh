#!/usr/bin/env bash
# Installs the packages of packages.txt that are missing. Needs root only if there are any.
set -euo pipefail
here=$(dirname "$0")
mapfile -t wanted < <(grep -vE '^\s*(#|$)' "$here/packages.txt")
mapfile -t missing < <(for p in "${wanted[@]}"; do
  dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || echo "$p"
done)
[ "${#missing[@]}" -eq 0 ] && exit 0
echo "installing ${#missing[@]} packages: ${missing[*]}"
sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo
$sudo apt-get update -qq
# No recommends: the build needs compilers and headers, not their documentation. Services must not start by themselves.
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"
