#!/usr/bin/env python3
"""Carries out the last stage of an image's Dockerfile without Docker: a minimal Debian 12 root takes the place of debian:12-slim.

usage: image_steps.py SOURCE_DIR PACKAGES_DIR WORK_DIR whence-control|whence-agent

Needs root, debootstrap and a Debian mirror (some 60 MB). COPY, RUN, USER and ENTRYPOINT are read from the Dockerfile, so what it says is
what is tried; only COPY --from=build is taken from PACKAGES_DIR, where `cpack -G DEB -B PACKAGES_DIR` has put the packages. Prints what
the stage adds to the root. By hand: it is too much for each run of the tests.
"""
import glob
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

SOURCE, PACKAGES, WORK, TARGET = sys.argv[1:5]
INSIDE = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}


def stage():
    """The target's instructions: [(word, rest)]."""
    text = pathlib.Path(SOURCE, "deploy/images/Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    begin = lines.index(f"FROM debian:12-slim AS {TARGET}") + 1
    end = next((i for i in range(begin, len(lines)) if lines[i].startswith("FROM ")), len(lines))
    return [tuple(line.split(" ", 1)) for line in lines[begin:end]]


def size(root):
    return int(subprocess.run(["du", "-sxk", root], capture_output=True, text=True, check=True).stdout.split()[0])


def main():
    root = os.path.join(WORK, TARGET)
    base = os.path.join(WORK, "base")
    os.makedirs(WORK, exist_ok=True)
    if not os.path.exists(base):
        subprocess.run(["debootstrap", "--variant=minbase", "bookworm", base], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(f"rm -rf {shlex.quote(base)}/var/cache/apt/* {shlex.quote(base)}/var/lib/apt/lists/*", shell=True, check=True)
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(["cp", "-a", base, root], check=True)
    for name in ("/etc/resolv.conf", "/etc/hosts"):
        shutil.copy(name, root + name)
    # How this machine gets at a mirror, if there is something to know about it.
    for config in glob.glob("/etc/apt/apt.conf.d/99*"):
        shutil.copy(config, root + config)
    before, user = size(root), "0:0"
    for word, rest in stage():
        if word == "COPY":
            sources = rest.split()[1:-1]
            for pattern in sources:
                for found in glob.glob(os.path.join(PACKAGES, os.path.basename(pattern))):
                    shutil.copy(found, root + rest.split()[-1])
        elif word == "RUN":
            subprocess.run(["unshare", "-m", "chroot", root, "sh", "-ec", rest], check=True, env=INSIDE)
        elif word == "USER":
            user = rest
        elif word == "ENTRYPOINT":
            uid, gid = user.split(":")
            program = re.findall(r'"([^"]*)"', rest)
            print(shlex.join(program), "as", user)
            subprocess.run(["chroot", f"--userspec={uid}:{gid}", root, *program, "--version"], check=True, env=INSIDE)
    print(f"{TARGET}: {(size(root) - before) / 1024:.1f} MiB on top of {before / 1024:.0f}")


main()
