#!/usr/bin/env python3
"""Runs a client that we did not write against the real whence-control. Usage: run.py WHENCE_CONTROL WHENCECTL BUILD_DIR buf|xds|kills|faults

Installs the client from npm into BUILD_DIR; where that cannot be done the test is skipped (77), and says so.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

PACKAGES = {"buf": ["@bufbuild/buf@1.75.0"],
            "xds": ["@grpc/grpc-js@1.13", "@grpc/proto-loader@0.7", "@grpc/grpc-js-xds@1.13"],
            "kills": ["@grpc/grpc-js@1.13", "@grpc/proto-loader@0.7"],
            "faults": ["@grpc/grpc-js@1.13", "@grpc/proto-loader@0.7"]}
HERE = pathlib.Path(__file__).resolve().parent
PROTOS = str(HERE / "../../proto")
SHORT_ROUNDS = "4"


def skip(why):
    print("SKIPPED:", why)
    sys.exit(77)


def install(folder, packages):
    if not shutil.which("npm"):
        skip("there is no npm")
    folder.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)] + packages
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    except subprocess.TimeoutExpired:
        skip("npm did not answer in time")
    if done.returncode != 0:
        skip("npm cannot install " + " ".join(packages) + ": " + done.stderr.strip()[-300:])


def start(control, data):
    """The process and its gRPC address, once it is ready."""
    process = subprocess.Popen([control, "--data-dir", data, "--listen", "127.0.0.1:0", "--http", "none",
                                "--log-level", "off"], stdout=subprocess.PIPE, text=True)
    address = re.search(r"grpc (127\.0\.0\.1:\d+)", process.stdout.readline())
    if not address:
        process.kill()
        sys.exit("whence-control did not come up")
    return process, address.group(1)


def buf(folder, control, ctl, data):
    """As README.md shows it: by reflection, without any proto file of ours."""
    process, address = start(control, data)
    try:
        readme = (HERE / "../../README.md").read_text(encoding="utf-8")
        if "buf curl --protocol grpc --http2-prior-knowledge" not in readme or "ConfigService/Apply" not in readme:
            sys.exit("README.md no longer shows how to push a policy with buf curl")
        policy = ("apiVersion: whence.dev/v1\nkind: IpPolicy\nmetadata: {name: by-reflection, namespace: shop}\n"
                  "spec: {action: DENY, rules: [{from: [{source: {remoteIpBlocks: [192.0.2.0/24]}}]}]}\n")
        import base64
        import json
        request = json.dumps({"files": [{"name": "policy.yaml", "content": base64.b64encode(policy.encode()).decode()}]})
        command = [str(folder / "node_modules/.bin/buf"), "curl", "--protocol", "grpc", "--http2-prior-knowledge", "-d",
                   request, f"http://{address}/whence.v1.ConfigService/Apply"]
        pushed = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if pushed.returncode != 0 or json.loads(pushed.stdout).get("revision") != "1":
            sys.exit(f"buf curl: {pushed.returncode} {pushed.stdout} {pushed.stderr}")
        got = subprocess.run([ctl, "--control-plane", address, "get", "ippolicy", "by-reflection", "-n", "shop", "-o",
                              "yaml"], capture_output=True, text=True, timeout=30)
        if got.returncode != 0 or "192.0.2.0/24" not in got.stdout:
            sys.exit(f"whencectl get: {got.stdout} {got.stderr}")
    finally:
        process.kill()
        process.wait()
    print("buf curl pushed a policy by reflection")


def xds(folder, control, ctl, data):
    """The script starts, kills and changes the control plane itself."""
    done = subprocess.run(["node", str(HERE / "xds_client.js"), str(folder), control, ctl, data], timeout=120)
    sys.exit(done.returncode)


def kills(folder, control, ctl, data):
    """A few rounds; a long run is started by hand."""
    if not shutil.which("sqlite3"):
        skip("there is no sqlite3")
    done = subprocess.run(["node", str(HERE / "../soak/kills.js"), str(folder), PROTOS, control, SHORT_ROUNDS], timeout=120)
    sys.exit(done.returncode)


def faults(folder, control, ctl, data):
    """On a small file system of its own, in a mount namespace of its own: it is filled to the brim."""
    if not shutil.which("sqlite3"):
        skip("there is no sqlite3")
    script = 'mount -t tmpfs -o size=96m tmpfs "$5" || exit 77; exec node "$0" "$@"'
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        skip("a mount namespace needs root")
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, str(HERE / "../soak/faults.js"), str(folder), PROTOS, control,
                           ctl, data], timeout=250)
    sys.exit(done.returncode)


def main():
    control, ctl, build, which = sys.argv[1:]
    folder = pathlib.Path(build) / "npm" / which
    install(folder, PACKAGES[which])
    with tempfile.TemporaryDirectory() as data:
        {"buf": buf, "xds": xds, "kills": kills, "faults": faults}[which](folder, control, ctl, data)


main()
