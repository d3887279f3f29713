#!/usr/bin/env python3
"""The webhook of a real whence-control over real TLS: curl, Python's ssl and openssl as clients.

usage: webhook_test.py WHENCE_CONTROL WHENCECTL
"""
import base64
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

CONTROL, CTL = sys.argv[1:3]
REVIEWS = pathlib.Path(__file__).resolve().parent / "reviews"
NAME = "whence-webhook.whence-system.svc"


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, **more).stdout


def until(fact, patience=20.0):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if fact():
            return True
        time.sleep(0.05)
    return False


class Webhook(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="whence-webhook-")
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        for ca in ("ca", "other"):
            run(CTL, "certs", "init", "--dir", f"{cls.dir}/{ca}")
        cls.issue("first")
        cls.use("first")
        cls.log = open(f"{cls.dir}/log", "w", encoding="utf-8")
        cls.addClassCleanup(cls.log.close)
        cls.control = subprocess.Popen(
            [CONTROL, "--data-dir", f"{cls.dir}/data", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--webhook",
             "127.0.0.1:0", "--webhook-cert", f"{cls.dir}/now/tls.crt", "--webhook-key", f"{cls.dir}/now/tls.key",
             "--inject-image", "registry.example/whence-agent:9", "--inject-exclude-inbound-ports", "9999"],
            stdout=subprocess.PIPE, stderr=cls.log, text=True)
        cls.addClassCleanup(cls.stop)
        ready = cls.control.stdout.readline()
        cls.port = int(re.search(r"webhook 127\.0\.0\.1:(\d+)", ready).group(1))
        cls.metrics = re.search(r"http (127\.0\.0\.1:\d+)", ready).group(1)

    @classmethod
    def stop(cls):
        cls.control.terminate()
        cls.control.wait()
        cls.control.stdout.close()

    @classmethod
    def issue(cls, name, ca="ca"):
        os.makedirs(f"{cls.dir}/{name}")
        run(CTL, "certs", "issue", "control-plane", name, "--dir", f"{cls.dir}/{ca}", "--address", NAME, "--out",
            f"{cls.dir}/{name}/tls")

    @classmethod
    def use(cls, name):
        """As a kubelet replaces a Secret: a link is turned."""
        os.symlink(name, f"{cls.dir}/next")
        os.replace(f"{cls.dir}/next", f"{cls.dir}/now")

    def tls(self, ca="ca"):
        return ssl.create_default_context(cafile=f"{self.dir}/{ca}/ca.crt")

    @contextlib.contextmanager
    def connection(self, context=None):
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as plain:
            with (context or self.tls()).wrap_socket(plain, server_hostname=NAME) as secure:
                yield secure

    def answer(self, secure, data):
        secure.sendall(data)
        response = http.client.HTTPResponse(secure)
        response.begin()
        return response.status, response.read().decode()

    def post(self, secure, body, target="/inject?timeout=10s", content_type="application/json", method="POST"):
        head = f"{method} {target} HTTP/1.1\r\nHost: {NAME}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        return self.answer(secure, head.encode() + body)

    def serial(self):
        with self.connection() as secure:
            return secure.getpeercert()["serialNumber"]

    def test_curl_gets_the_patch_that_whencectl_would_make(self):
        review = REVIEWS / "deployment.json"
        out = run("curl", "-sS", "--fail-with-body", "--cacert", f"{self.dir}/ca/ca.crt", "--resolve",
                  f"{NAME}:{self.port}:127.0.0.1", "-H", "Content-Type: application/json", "--data-binary", f"@{review}",
                  f"https://{NAME}:{self.port}/inject?timeout=10s")
        response = json.loads(out)["response"]
        patch = json.loads(base64.b64decode(response["patch"]))
        pod = json.loads(review.read_text(encoding="utf-8"))["request"]["object"]
        injected = json.loads(run(CTL, "inject", "-f", "-", "--image", "registry.example/whence-agent:9",
                                  "--exclude-inbound-ports", "9999", input=json.dumps(pod)))
        added = {step["path"]: step["value"] for step in patch if step["op"] == "add"}
        for container in injected["spec"]["initContainers"]:
            self.assertIn(container, [*added.get("/spec/initContainers", []), added.get("/spec/initContainers/0")])
        self.assertIn("9999", injected["spec"]["initContainers"][0]["args"])
        self.assertEqual(injected["spec"]["initContainers"][1]["image"], "registry.example/whence-agent:9")

    def test_many_reviews_on_one_connection_and_whole_ones_sent_at_once(self):
        body = (REVIEWS / "job.json").read_bytes()
        with self.connection() as secure:
            for _ in range(20):
                status, text = self.post(secure, body)
                self.assertEqual(status, 200)
                self.assertTrue(json.loads(text)["response"]["allowed"])
            one = f"POST /inject HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            secure.sendall((one.encode() + body) * 3)
            for _ in range(3):
                response = http.client.HTTPResponse(secure)
                response.begin()
                self.assertIn("patch", json.loads(response.read())["response"])

    def test_what_is_no_review_is_said_to_be_none(self):
        for want, arguments in [(400, {"body": b"{}"}), (415, {"body": b"{}", "content_type": "text/plain"}),
                                (404, {"body": b"{}", "target": "/"}), (405, {"body": b"", "method": "PUT"})]:
            with self.connection() as secure:
                self.assertEqual(self.post(secure, **arguments)[0], want)
        with self.connection() as secure:
            self.assertEqual(self.answer(secure, b"POST /inject HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n")[0], 413)
        with self.connection() as secure:
            self.assertEqual(self.answer(secure, b"nonsense\r\n\r\n")[0], 400)

    def test_tls_1_3_only_and_to_nobody_who_trusts_another_ca(self):
        old = self.tls()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        for context in (old, self.tls("other")):
            with self.assertRaises(ssl.SSLError):
                with self.connection(context):
                    pass
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" + b"x" * 4096)
            with contextlib.suppress(ConnectionResetError):
                while plain.recv(4096):
                    pass

    def test_a_replaced_certificate_is_taken_and_a_broken_one_is_not(self):
        before = self.serial()
        with self.connection() as kept:
            self.issue("second")
            self.use("second")
            self.assertTrue(until(lambda: self.serial() != before))
            after = self.serial()
            # The connection from before goes on.
            self.assertEqual(self.post(kept, b"", target="/healthz", method="GET")[0], 200)
        self.issue("broken")
        shutil.copy(f"{self.dir}/first/tls.key", f"{self.dir}/broken/tls.key")
        self.use("broken")
        def refused():
            self.assertEqual(self.serial(), after)
            return "cannot be used" in pathlib.Path(f"{self.dir}/log").read_text(encoding="utf-8")
        self.assertTrue(until(refused))
        self.use("second")

    def test_who_says_nothing_keeps_nobody_out(self):
        """More silent connections than there may be, some of them in the middle of a request."""
        with contextlib.ExitStack() as stack:
            for i in range(300):
                plain = stack.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=30))
                if i % 50 == 0:
                    plain.sendall(b"\x16\x03\x01")
            with self.connection() as secure:
                self.assertEqual(self.post(secure, (REVIEWS / "job.json").read_bytes())[0], 200)

    def test_it_counts_and_says_when_its_certificate_ends(self):
        with self.connection() as secure:
            self.post(secure, (REVIEWS / "wrong-annotation.json").read_bytes())
        text = run("curl", "-sS", f"http://{self.metrics}/metrics")
        self.assertRegex(text, r'whence_control_webhook_reviews_total\{outcome="refused"\} [1-9]')
        self.assertRegex(text, r'certificate_expiry_timestamp_seconds\{file="webhook-cert"\} [1-9]')


class CommandLine(unittest.TestCase):
    def test_a_webhook_without_a_usable_certificate_does_not_start(self):
        with tempfile.TemporaryDirectory() as folder:
            for flags, code in [(["--webhook-cert", "a"], 2), (["--webhook", ":0"], 2),
                                (["--webhook", "127.0.0.1:0", "--webhook-cert", "none", "--webhook-key", "none"], 1)]:
                done = subprocess.run([CONTROL, "--data-dir", folder, "--listen", "127.0.0.1:0", "--http", "none", *flags],
                                      capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn("--webhook", done.stderr)


unittest.main(argv=sys.argv[:1], verbosity=1)
