#!/usr/bin/env python3
"""WebSocket through a real agent, with a client and a server that others wrote (the package `websockets`).

usage: websocket_test.py WHENCE_AGENT PACKAGE_DIR

The agent runs as a gateway on loopback from a folder of documents. Exit code 77: the package could not be installed.
"""
import importlib
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

AGENT, PACKAGES = sys.argv[1], sys.argv[2]
PACKAGE = "websockets>=12,<17"


def need_package():
    os.makedirs(PACKAGES, exist_ok=True)
    sys.path.insert(0, PACKAGES)
    try:
        import websockets.sync.client  # noqa: F401
        return
    except ImportError:
        pass
    done = subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check",
                           "--root-user-action=ignore", "--target", PACKAGES, PACKAGE],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=90)
    if done.returncode != 0:
        print("SKIPPED: cannot install", PACKAGE, "\n" + done.stdout)
        sys.exit(77)
    importlib.invalidate_caches()


need_package()
from websockets.exceptions import ConnectionClosed, InvalidStatus  # noqa: E402
from websockets.sync.client import connect  # noqa: E402
from websockets.sync.server import serve  # noqa: E402

DOCUMENTS = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge, namespace: shop}}
spec:
  selector: {{app: gateway}}
  servers: [{{port: {{number: {port}, name: http, protocol: HTTP}}, hosts: ["*"]}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: echo, namespace: shop}}
spec:
  hosts: ["*"]
  gateways: [shop/edge]
  http:
  - match: [{{uri: {{prefix: /}}}}]
    route: [{{destination: {{host: echo.shop.svc.cluster.local, port: {{number: 80}}}}}}]
---
apiVersion: v1
kind: Service
metadata: {{name: echo, namespace: shop}}
spec:
  selector: {{app: echo}}
  ports: [{{name: http, port: 80, targetPort: {target}, appProtocol: http}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: no-admin, namespace: shop}}
spec:
  action: DENY
  rules: [{{to: [{{operation: {{paths: ["/admin"]}}}}]}}]
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def echo(websocket):
    if websocket.request.path == "/headers":
        websocket.send(json.dumps(dict(websocket.request.headers.raw_items())))
    if websocket.request.path == "/bye":
        websocket.close(4001, "enough")
        return
    try:
        for message in websocket:
            websocket.send(message)
    except ConnectionClosed:
        pass


class Agent:
    def __init__(self, target):
        self.port = free_port()
        self.folder = tempfile.TemporaryDirectory()
        with open(os.path.join(self.folder.name, "all.yaml"), "w", encoding="utf-8") as file:
            file.write(DOCUMENTS.format(port=self.port, target=target))
        self.log = open(os.path.join(self.folder.name, "access.log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [AGENT, "run", "--static", self.folder.name, "--role", "gateway", "--namespace", "shop", "--name", "gw",
             "--labels", "app=gateway", "--static-workload", "shop/echo@127.0.0.1;app=echo", "--access-log", "-",
             "--admin", "off", "--metrics", "off", "--health", "off", "--workers", "2", "--drain-timeout", "1s"],
            stdout=self.log)
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise RuntimeError("the agent does not listen")
                time.sleep(0.02)

    def records(self):
        with open(self.log.name, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    def end(self):
        self.process.terminate()
        return self.process.wait(timeout=20)


class WebSocketTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = serve(echo, "127.0.0.1", 0, max_size=None,
                           select_subprotocol=lambda _, offered: "chat" if "chat" in offered else None)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.agent = Agent(cls.server.socket.getsockname()[1])

    @classmethod
    def tearDownClass(cls):
        if cls.agent.process.poll() is None:
            cls.agent.end()
        cls.server.shutdown()

    def open(self, path="/", **options):
        return connect(f"ws://127.0.0.1:{self.agent.port}{path}", max_size=None, **options)

    def test_messages_of_every_length_form_come_back(self):
        for compression in ("deflate", None):
            with self.open(compression=compression) as ws:
                for size in (0, 1, 125, 126, 65535, 65536, 3_000_000):
                    message = random.Random(size).randbytes(size)
                    ws.send(message)
                    self.assertEqual(ws.recv(timeout=20), message)
                ws.send("gr\u00fc\u00dfe")
                self.assertEqual(ws.recv(timeout=20), "gr\u00fc\u00dfe")

    def test_fragments_and_pings_pass(self):
        with self.open() as ws:
            ws.send(["in ", "three ", "pieces"])
            self.assertEqual(ws.recv(timeout=20), "in three pieces")
            self.assertTrue(ws.ping(b"are you there").wait(20))

    def test_negotiates_a_subprotocol_and_tells_the_server_its_client(self):
        with self.open("/headers", subprotocols=["other", "chat"]) as ws:
            self.assertEqual(ws.subprotocol, "chat")
            headers = {name.lower(): value for name, value in json.loads(ws.recv(timeout=20)).items()}
            self.assertIn("x-forwarded-for", headers)
            self.assertEqual(headers["connection"], "upgrade")
            self.assertIn("x-request-id", headers)

    def test_close_codes_pass(self):
        with self.open("/bye") as ws:
            with self.assertRaises(ConnectionClosed) as closed:
                ws.recv(timeout=20)
            self.assertEqual((closed.exception.rcvd.code, closed.exception.rcvd.reason), (4001, "enough"))

    def test_many_at_once(self):
        def talk(number, results):
            with self.open() as ws:
                for turn in range(20):
                    ws.send(f"{number}/{turn}")
                    results.append(ws.recv(timeout=20) == f"{number}/{turn}")
        results = []
        threads = [threading.Thread(target=talk, args=(n, results)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, [True] * 400)

    def test_policy_refuses_the_handshake(self):
        with self.assertRaises(InvalidStatus) as refused:
            self.open("/admin")
        self.assertEqual(refused.exception.response.status_code, 403)

    def test_zz_drain_ends_tunnels_at_its_deadline_and_each_has_its_record(self):
        with self.open("/last") as ws:
            ws.send("before")
            self.assertEqual(ws.recv(timeout=20), "before")
            self.assertEqual(self.agent.end(), 0)
            with self.assertRaises(ConnectionClosed):
                ws.recv(timeout=20)
        records = {record["path"]: record for record in self.agent.records() if record.get("status") == 101}
        self.assertIn("/last", records)
        self.assertIn("/bye", records)
        self.assertGreater(records["/last"]["bytes_in"], 100)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
