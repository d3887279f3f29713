#!/usr/bin/env python3
"""The dashboard in deploy/grafana against the real programs and a real Prometheus.

Starts a whence-control, a whence-agent and a Prometheus that scrapes them. Every scrape passes promtool; every metric that the
dashboard names is in a scrape; every query of it is one that Prometheus takes, and those without a rate over what never happened
have an answer. Exits with 77, skipped, where Debian's package prometheus is not installed.
"""
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

DOCUMENT = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  selector: {app: gateway}
  servers:
  - {port: {number: %d, name: http, protocol: HTTP}, hosts: ["*"]}
---
apiVersion: whence.dev/v1
kind: IpPolicy
metadata: {name: closed, namespace: shop}
spec:
  action: DENY
  rules: [{from: [{source: {remoteIpBlocks: [127.0.0.0/8]}}]}]
"""
PROMETHEUS = """
global: {scrape_interval: 1s}
scrape_configs:
- {job_name: whence, static_configs: [{targets: ["127.0.0.1:%d", "127.0.0.1:%d"]}]}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def await_true(what, condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.05)
    sys.exit(f"not within {seconds} s: {what}")


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def status_of(url):
    try:
        get(url)
        return 200
    except urllib.error.HTTPError as error:
        return error.code


def check_scrape(url):
    text = get(url)
    result = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True)
    if result.returncode != 0:
        sys.exit(f"{url}: promtool: {result.stdout}{result.stderr}")
    return {re.split(r"[{ ]", line)[0] for line in text.splitlines() if line and not line.startswith("#")}


def main():
    programs, dashboard = pathlib.Path(sys.argv[1]), json.loads(pathlib.Path(sys.argv[2]).read_text())
    if not shutil.which("promtool") or not shutil.which("prometheus"):
        print("skipped: Debian's package prometheus is not installed")
        return 77
    directory = pathlib.Path(tempfile.mkdtemp(prefix="whence-dashboard-"))
    control_http, agent_http, listen, prometheus = (free_port() for _ in range(4))
    target = f"unix:{directory}/grpc"
    log = open(directory / "log", "wb")
    children = []

    def start(*arguments):
        children.append(subprocess.Popen([str(a) for a in arguments], stdout=log, stderr=log))

    try:
        start(programs / "whence-control", "--data-dir", directory / "data", "--listen", target, "--http",
              f"127.0.0.1:{control_http}")
        (directory / "documents.yaml").write_text(DOCUMENT % listen)
        await_true("documents are applied", lambda: subprocess.run(
            [programs / "whencectl", "--control-plane", target, "apply", "-f", directory / "documents.yaml"], stdout=log,
            stderr=log).returncode == 0)
        start(programs / "whence-agent", "run", "--control-plane", target, "--role", "gateway", "--name", "gateway", "--namespace",
              "shop", "--labels", "app=gateway", "--pod-ip", "127.0.0.1", "--interception", "none", "--state-dir",
              directory / "state", "--admin", "off", "--health", "off", "--metrics", f"127.0.0.1:{agent_http}")
        await_true("the gateway denies", lambda: status_of(f"http://127.0.0.1:{listen}/") == 403)
        await_true("the decision is counted", lambda: 'policy="shop/closed"' in get(f"http://127.0.0.1:{agent_http}/metrics"))
        names = check_scrape(f"http://127.0.0.1:{control_http}/metrics") | check_scrape(f"http://127.0.0.1:{agent_http}/metrics")
        (directory / "prometheus.yml").write_text(PROMETHEUS % (control_http, agent_http))
        start("prometheus", f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/tsdb",
              f"--web.listen-address=127.0.0.1:{prometheus}")

        def ask(expression):
            url = f"http://127.0.0.1:{prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
            try:
                return json.loads(get(url))
            except urllib.error.HTTPError as error:
                return json.loads(error.read())

        await_true("Prometheus is ready", lambda: status_of(f"http://127.0.0.1:{prometheus}/-/ready") == 200, 60)
        await_true("Prometheus has scraped both thrice", lambda: len(
            [r for r in ask('count_over_time(up{job="whence"}[1m]) >= 3')["data"]["result"]]) == 2, 60)
        faults, queries = [], 0
        for panel in dashboard["panels"]:
            for query in panel.get("targets", []):
                queries += 1
                expression = query["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
                for name in re.findall(r"whence_[a-z_]+", expression):
                    if name not in names:
                        faults.append(f"{panel['title']}: no program has {name}")
                answer = ask(expression)
                if answer["status"] != "success":
                    faults.append(f"{panel['title']}: {expression}: {answer.get('error')}")
                elif not answer["data"]["result"]:
                    faults.append(f"{panel['title']}: {expression}: no series")
        print(f"{queries} queries, {len(names)} metrics")
        print("\n".join(faults))
        return 1 if faults or not queries else 0
    finally:
        for child in children:
            child.send_signal(signal.SIGKILL)
            child.wait()
        shutil.rmtree(directory, ignore_errors=True)


sys.exit(main())
