#!/usr/bin/env python3
"""A large IpSet through whencectl, whence-control and whence-agent, as they are: bytes on each hop, time until a change is in
force (an HTTP request that was let through is answered 403), memory of the agent.

    distribution.py --bin build/release/bin                 # a million IPv4 CIDRs
    distribution.py --bin build/release/bin --mixed         # half of them IPv6

All on loopback, in a folder of its own; both connections go through relays that count bytes. Fails if a change is not in force
within its bound, moves more than kilobytes, or takes the agent too much memory.

At the end a policy and its set change together, again and again, under load: in each revision they deny /never, and in any
mixture of two they let it in. Fails if it is answered with anything but 403, or arrives at the origin.
"""
import argparse
import http.client
import http.server
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROUTE = """---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: origin, namespace: shop}}
spec:
  gateways: [edge]
  hosts: ["*"]
  http: [{{route: [{{destination: {{host: 127.0.0.1, port: {{number: {port}}}}}}}]}}]
"""

# What is denied is the same, whether the set holds us and is meant, or does not and its opposite is.
TOGETHER = """apiVersion: whence.dev/v1
kind: IpSet
metadata: {{name: big, namespace: shop}}
spec: {{file: {file}}}
---
apiVersion: whence.dev/v1
kind: IpPolicy
metadata: {{name: deny, namespace: shop}}
spec:
  action: DENY
  rules:
  - from: [{{source: {{{sets}: [big]}}}}]
    to: [{{operation: {{paths: [/never]}}}}]
"""

DOCUMENTS = """apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge, namespace: shop}}
spec:
  selector: {{app: edge}}
  servers:
  - port: {{number: {port}, protocol: HTTP, name: http}}
    hosts: ["*"]
---
apiVersion: whence.dev/v1
kind: IpPolicy
metadata: {{name: deny, namespace: shop}}
spec:
  action: DENY
  rules:
  - from: [{{source: {{ipSets: [big]}}}}]
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Relay:
    """Listens for one program and connects to another; counts what passes."""

    def __init__(self, target):
        self.target, self.up, self.down = target, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            try:
                far = socket.create_connection(self.target)
            except OSError:  # it has ended before who connects to it
                near.close()
                continue
            threading.Thread(target=self.pump, args=(near, far, "up"), daemon=True).start()
            threading.Thread(target=self.pump, args=(far, near, "down"), daemon=True).start()

    def pump(self, source, sink, name):
        try:
            while data := source.recv(1 << 16):
                setattr(self, name, getattr(self, name) + len(data))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def take(self):
        counted, self.up, self.down = (self.up, self.down), 0, 0
        return counted


def memory(pid):
    with open(f"/proc/{pid}/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return int(fields["VmRSS"].split()[0]) / 1024, int(fields["VmHWM"].split()[0]) / 1024


def reset_peak(pid):
    with open(f"/proc/{pid}/clear_refs", "w") as clear:
        clear.write("5")


def status_of(port):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/")
        return connection.getresponse().status
    except OSError:
        return None


def wait_for(port, status, seconds):
    begin = time.monotonic()
    while status_of(port) != status:
        if time.monotonic() - begin > seconds:
            sys.exit(f"no {status} within {seconds} s; it is {status_of(port)}")
        time.sleep(0.005)


def make_set(count, mixed):
    """Text lines. None of them holds 127.0.0.1."""
    generator, seen = random.Random(7), set()
    while len(seen) < count:
        if mixed and len(seen) % 2:
            parts = [0x2001, 0xdb8] + [generator.getrandbits(16) for _ in range(2)]
            seen.add(":".join("%x" % p for p in parts) + "::/64")
        else:
            octets = [generator.randrange(1, 120)] + [generator.randrange(256) for _ in range(3)]
            seen.add(".".join(map(str, octets)) + "/32")
    return sorted(seen)


class Origin:
    """Answers 200 and remembers what arrived."""

    def __init__(self):
        self.arrived = []
        arrived = self.arrived

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                arrived.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Load:
    """Asks for /never and /always by turns on kept connections, until it is stopped."""

    def __init__(self, port):
        self.answers, self.wrong, self.stopped = 0, [], False
        self.threads = [threading.Thread(target=self.ask, args=(port,)) for _ in range(4)]
        for thread in self.threads:
            thread.start()

    def ask(self, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        while not self.stopped:
            for path, status in (("/never", 403), ("/always", 200)):
                connection.request("GET", path)
                response = connection.getresponse()
                response.read()
                self.answers += 1
                if response.status != status:
                    self.wrong.append((path, response.status))

    def stop(self):
        self.stopped = True
        for thread in self.threads:
            thread.join()


def change_together(ctl, save, port, lines, times):
    """No answer is of a mixture of two revisions."""
    origin = Origin()
    without, with_us = save("without", lines), save("with", lines + ["127.0.0.1"])
    steps = [save(f"together{i}", [TOGETHER.format(file=file, sets=sets)])
             for i, (file, sets) in enumerate(((with_us, "ipSets"), (without, "notIpSets")))]
    ctl("apply", "-f", steps[1], "-f", save("route", [ROUTE.format(port=origin.port)]))
    wait_for(port, 200, 10)
    load = Load(port)
    revisions = [ctl("apply", "-f", steps[i % 2]).splitlines()[-1] for i in range(times)]
    wait_for_revision(ctl, revisions[-1].split()[-1])
    load.stop()
    print(f"\n{times} revisions of a policy with its set, {load.answers} answers meanwhile: {len(load.wrong)} wrong, "
          f"{origin.arrived.count('/never')} arrived that are denied")
    if load.wrong or "/never" in origin.arrived or load.answers < 100 or "/always" not in origin.arrived:
        sys.exit(f"a mixture of two revisions decided: {load.wrong[:5]}")


def wait_for_revision(ctl, revision):
    deadline = time.monotonic() + 20
    while f'"ackedRevision": "{revision}"' not in ctl("agents", "-o", "json"):
        if time.monotonic() > deadline:
            sys.exit(f"the agent does not come to revision {revision}")
        time.sleep(0.02)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--mixed", action="store_true")
    options = parser.parse_args()
    children = []
    with tempfile.TemporaryDirectory(prefix="whence-ipset-") as folder:
        try:
            run(options, folder, children)
        finally:
            for child in reversed(children):
                child.terminate()
            for child in reversed(children):
                child.wait()


def run(options, folder, children):
    control_port, port = free_port(), free_port()
    program = lambda name: os.path.join(options.bin, name)

    def start(*arguments):
        log = open(os.path.join(folder, "log"), "a")
        child = subprocess.Popen(arguments, stdout=log, stderr=log)
        children.append(child)
        return child

    def ctl(*arguments):
        done = subprocess.run([program("whencectl"), "--control-plane", operators.address, *arguments],
                              capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stdout + done.stderr)
        return done.stdout

    def save(name, lines):
        path = os.path.join(folder, name)
        with open(path, "w") as file:
            file.write("\n".join(lines) + "\n")
        return path

    start(program("whence-control"), "--data-dir", folder + "/control", "--listen", f"127.0.0.1:{control_port}", "--http", "none")
    operators, agents = Relay(("127.0.0.1", control_port)), Relay(("127.0.0.1", control_port))
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", control_port)).close()
            break
        except OSError:
            if time.monotonic() > deadline:
                sys.exit("the control plane does not come up")
            time.sleep(0.05)

    agent = start(program("whence-agent"), "run", "--role", "gateway", "--namespace", "shop", "--name", "edge", "--labels", "app=edge",
                  "--control-plane", agents.address, "--pod-ip", "127.0.0.1", "--state-dir", folder + "/agent", "--admin", "off",
                  "--metrics", "off", "--health", "off", "--workers", "1")
    ctl("ipset", "load", "big", save("one", ["192.0.2.1"]), "-n", "shop")
    ctl("apply", "-f", save("documents", [DOCUMENTS.format(port=port)]))
    wait_for(port, 404, 20)  # let in, but there is no route
    time.sleep(0.5)
    small = memory(agent.pid)[0]
    reset_peak(agent.pid)

    lines = make_set(options.count, options.mixed)
    first, changed = save("first", lines + ["127.0.0.1"]), save("changed", lines[10:] + ["198.18.%d.0/24" % i for i in range(10)])
    operators.take(), agents.take()
    results = []
    bound = 2 + options.count / 50_000
    for name, path, status in (("the whole set", first, 403), ("ten less, ten more", changed, 404), ("and back", first, 403)):
        begin = time.monotonic()
        ctl("ipset", "load", "big", path, "-n", "shop")
        applied = time.monotonic() - begin
        wait_for(port, status, bound)
        in_force = time.monotonic() - begin
        if name == "the whole set":
            rss, peak = memory(agent.pid)
        time.sleep(0.3)  # the acknowledgement counts as well
        results.append((name, applied, in_force, sum(operators.take()), sum(agents.take())))
    print("| change | applied s | in force s | KB between whencectl and control plane | KB between control plane and agent |\n"
          "|---|---|---|---|---|")
    for name, applied, in_force, upload, stream in results:
        print(f"| {name} | {applied:.2f} | {in_force:.2f} | {upload / 1000:.1f} | {stream / 1000:.1f} |")
    later, later_peak = memory(agent.pid)
    print(f"\nagent: RSS {small:.1f} MiB with one CIDR, {rss:.1f} with {options.count} (+{rss - small:.1f}; at its peak +{peak - small:.1f}), "
          f"after two changes {later:.1f} (peak +{later_peak - small:.1f})")
    print(f"control plane: RSS {memory(children[0].pid)[0]:.0f} MiB, config.db "
          f"{sum(os.path.getsize(os.path.join(folder, 'control', f)) for f in os.listdir(folder + '/control') if f.startswith('config.db')) / 1e6:.1f} MB")
    for name, _, _, upload, stream in results[1:]:
        if upload > 300_000 or stream > 20_000:
            sys.exit(f"{name}: {upload} bytes up, {stream} to the agent: not kilobytes")
    # Two compiled sets, and what a change takes beside them.
    if not options.mixed and later_peak - small > 16 + options.count * 48e-6:
        sys.exit("the agent takes more memory for a change than it is given")
    change_together(ctl, save, port, lines, 12)


main()
