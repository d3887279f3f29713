#!/usr/bin/env python3
"""The programs as processes: what a shell sees of their command lines, without a control plane and without privileges.

usage: programs_test.py PROGRAM_DIR
"""
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAMS = sys.argv[1]


def run(*arguments, variables=None, **more):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WHENCE_")}
    environment.update(variables or {})
    more.setdefault("stdout", subprocess.PIPE)
    return subprocess.run([os.path.join(PROGRAMS, arguments[0]), *arguments[1:]], env=environment, text=True,
                          stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=60, **more)


class Variables(unittest.TestCase):
    """A flag wins over a variable, and a variable matters to the command that has such a flag only."""

    def test_whencectl(self):
        with tempfile.TemporaryDirectory() as directory:
            done = run("whencectl", "certs", "init", "--dir", directory + "/flag",
                       variables={"WHENCE_DIR": directory + "/variable", "WHENCE_OUTPUT": "yaml"})
            self.assertEqual(2, done.returncode, done.stderr)
            self.assertIn("--output is set by the variable WHENCE_OUTPUT", done.stderr)
            done = run("whencectl", "certs", "init", "--dir", directory + "/flag", "-o", "table",
                       variables={"WHENCE_DIR": directory + "/variable", "WHENCE_OUTPUT": "yaml",
                                  "WHENCE_PORT": "tcp://10.96.0.7:15010", "WHENCE_CERT": "of-whencectl.crt"})
            self.assertEqual(0, done.returncode, done.stderr)
            self.assertEqual(["flag"], os.listdir(directory))

    def test_agent(self):
        with tempfile.TemporaryDirectory() as directory:
            done = run("whence-agent", "validate", "-o", "json", directory,
                       variables={"WHENCE_OUTPUT": "text", "WHENCE_WORKERS": "many"})
            self.assertEqual("{", done.stdout[:1], done.stderr)
            done = run("whence-agent", "run", variables={"WHENCE_STATIC": directory, "WHENCE_WORKERS": "many"})
            self.assertEqual(2, done.returncode)
            self.assertIn("--workers is set by the variable WHENCE_WORKERS", done.stderr)

    def test_intercept(self):
        # Neither is there, so nothing is done anywhere; the message says where it looked.
        for command in "install", "remove", "show", "check":
            done = run("whence-agent", "intercept", command, "--netns", "whence-flag",
                       variables={"WHENCE_NETNS": "whence-variable"})
            self.assertEqual(1, done.returncode, done.stderr)
            self.assertIn("whence-flag", done.stderr)
            self.assertNotIn("whence-variable", done.stderr)
        done = run("whence-agent", "intercept", "remove", "--netns", "whence-flag",
                   variables={"WHENCE_MODE": "bogus", "WHENCE_ON_EXIT": "bogus"})
        self.assertEqual(1, done.returncode, done.stderr)
        done = run("whence-agent", "intercept", "show", "--dry-run", variables={"WHENCE_MODE": "bogus"})
        self.assertEqual(2, done.returncode, done.stderr)
        self.assertIn("--mode is set by the variable WHENCE_MODE", done.stderr)

    def test_control(self):
        done = run("whence-control", "--listen", "127.0.0.1", variables={"WHENCE_LISTEN": "127.0.0.1:1"})
        self.assertEqual(2, done.returncode)
        self.assertIn('--listen "127.0.0.1"', done.stderr)
        done = run("whence-control", variables={"WHENCE_LISTEN": "127.0.0.1"})
        self.assertEqual(2, done.returncode)
        self.assertIn("--listen is set by the variable WHENCE_LISTEN", done.stderr)

    def test_lab(self):
        done = run("whence-lab", "exec", "echo", "--name", "no-flag", "--", "true",
                   variables={"WHENCE_LAB_NAME": "no-variable", "WHENCE_OUTPUT": "bogus"})
        self.assertEqual(1, done.returncode, done.stderr)
        self.assertIn("no-flag", done.stderr)
        self.assertNotIn("no-variable", done.stderr)

    def test_echo(self):
        done = run("whence-echo", "--http", "none", variables={"WHENCE_HTTP": "nothing"})
        self.assertEqual(2, done.returncode)
        self.assertIn('"none"', done.stderr)


class Tls(unittest.TestCase):
    def test_says_what_is_wrong_with_whose_certificate(self):
        with tempfile.TemporaryDirectory() as directory:
            def path(name):
                return os.path.join(directory, name)
            for ca in "ca", "other":
                self.assertEqual(0, run("whencectl", "certs", "init", "--dir", path(ca)).returncode)
            for ca, *words in (["ca", "control-plane", "main", "--address", "127.0.0.1"], ["ca", "operator", "ana"],
                               ["other", "operator", "bob"]):
                self.assertEqual(0, run("whencectl", "certs", "issue", *words, "--dir", path(ca), "--out",
                                        path(words[1])).returncode)
            control = subprocess.Popen([os.path.join(PROGRAMS, "whence-control"), "--data-dir", path("data"), "--listen",
                                        "127.0.0.1:0", "--listen-tls", "127.0.0.1:0", "--cert", path("main.crt"), "--key",
                                        path("main.key"), "--ca", path("ca/ca.crt"), "--http", "none"],
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            try:
                plain, tls = re.findall(r"127\.0\.0\.1:\d+", control.stdout.readline())
                ca = ["--ca", path("ca/ca.crt")]
                ana = ["--cert", path("ana.crt"), "--key", path("ana.key")]
                for address, flags, want in (
                        (tls, [], "does it speak TLS there? give --ca"),
                        (tls, ["--ca", path("other/ca.crt")], "its certificate is not of the CA in --ca"),
                        (tls, ca, "give --cert and --key"),
                        (tls, ca + ["--cert", path("bob.crt"), "--key", path("bob.key")], "does it take --cert?"),
                        (tls, ca + ["--cert", path("ana.crt"), "--key", path("bob.key")], "bob.key"),
                        (tls.replace("127.0.0.1", "localhost"), ca + ana, "its certificate has another name"),
                        (plain, ca + ana, "it speaks no TLS there")):
                    done = run("whencectl", "--control-plane", address, *flags, "get", "all")
                    self.assertEqual(1, done.returncode, done.stderr)
                    self.assertIn(want, done.stderr)
                    self.assertNotIn("running", done.stderr)
                    self.assertEqual(1, done.stderr.count("\n"), done.stderr)
                done = run("whencectl", "--control-plane", tls, *ca, *ana, "get", "all")
                self.assertEqual(0, done.returncode, done.stderr)
            finally:
                control.terminate()
                control.wait(30)
                control.stdout.close()


class Certificates(unittest.TestCase):
    def test_says_that_a_certificate_does_not_outlive_its_ca(self):
        with tempfile.TemporaryDirectory() as directory:
            self.assertEqual(0, run("whencectl", "certs", "init", "--dir", directory + "/ca", "--days", "10").returncode)
            for days, want in ("9", ""), ("11", "since the CA itself ends then"):
                done = run("whencectl", "certs", "issue", "operator", "ana" + days, "--dir", directory + "/ca", "--days", days)
                self.assertEqual(0, done.returncode, done.stderr)
                self.assertEqual(bool(want), bool(done.stderr), done.stderr)
                self.assertIn(want, done.stderr)


class StoreCopy(unittest.TestCase):
    def test_a_source_that_is_not_there_is_not_made(self):
        with tempfile.TemporaryDirectory() as directory:
            done = run("whencectl", "store", "copy", "--from", f"sqlite:{directory}/typo", "--to", f"sqlite:{directory}/to")
            self.assertEqual(1, done.returncode)
            self.assertIn(f"--from: {directory}/typo holds no config.db", done.stderr)
            self.assertEqual([], os.listdir(directory))


class Unprivileged(unittest.TestCase):
    @unittest.skipIf(os.geteuid() != 0, "drops what root has")
    def test_intercept_says_in_one_line_what_it_needs(self):
        for command in (["install"], ["remove"], ["show"]):
            done = subprocess.run(["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin",
                                   os.path.join(PROGRAMS, "whence-agent"), "intercept", *command],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
            self.assertEqual(1, done.returncode)
            self.assertIn("needs CAP_NET_ADMIN", done.stderr)
            self.assertEqual(1, done.stderr.count("\n"), done.stderr)


class Echo(unittest.TestCase):
    def test_wrong_usage(self):
        done = run("whence-echo", "--http", "")
        self.assertEqual((2, True), (done.returncode, "nothing to listen on" in done.stderr))
        done = run("whence-echo", "--http", "none", variables={"WHENCE_QUIET": "bogus"})
        self.assertEqual((2, True), (done.returncode, 'WHENCE_QUIET "bogus"' in done.stderr))


class StandardStreams(unittest.TestCase):
    def test_what_does_not_arrive_is_a_failure(self):
        with tempfile.TemporaryDirectory() as directory:
            with open(directory + "/pod.yaml", "w") as pod:
                pod.write("kind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a}]}\n")
            with open(directory + "/set.yaml", "w") as documents:
                documents.write("apiVersion: whence.dev/v1\nkind: IpSet\nmetadata: {name: a}\nspec: {cidrs: [10.0.0.0/8]}\n")
            for arguments in (["whencectl", "--help"], ["whencectl", "--version"],
                              ["whencectl", "inject", "-f", directory + "/pod.yaml"],
                              ["whencectl", "certs", "init", "--dir", directory + "/ca"],
                              ["whence-agent", "--help"], ["whence-agent", "run", "--help"],
                              ["whence-agent", "validate", directory + "/set.yaml"],
                              ["whence-agent", "intercept", "--help"],
                              ["whence-agent", "intercept", "show", "--dry-run"],
                              ["whence-control", "--help"], ["whence-lab", "--help"],
                              ["whence-echo", "--help"], ["whence-echo", "--version"]):
                self.assertEqual(0, run(*arguments).returncode, arguments)
                if "certs" in arguments:
                    arguments[-1] += "-2"
                with open("/dev/full", "w") as full:
                    done = run(*arguments, stdout=full)
                self.assertEqual(1, done.returncode, arguments)
                self.assertEqual(arguments[0] + ": cannot write to standard output: No space left on device\n",
                                 done.stderr)

    def test_a_closed_descriptor_is_not_taken_for_a_file(self):
        # Files that are opened later would get the number, and what is printed would be written into them.
        for closed in "<&-", ">&-", "2>&-", "<&- >&- 2>&-":
            with tempfile.TemporaryDirectory() as directory:
                command = f"{PROGRAMS}/whence-control --data-dir {directory}/data --listen unix:{directory}/s --http none"
                control = subprocess.Popen(["bash", "-c", f"exec {command} {closed}"], stdout=subprocess.DEVNULL,
                                           stderr=subprocess.DEVNULL)
                until = time.monotonic() + 30
                while not os.path.exists(directory + "/s") and time.monotonic() < until:
                    time.sleep(0.02)
                time.sleep(0.2)  # its ready line comes after that
                control.terminate()
                self.assertEqual(0, control.wait(30), closed)
                found = 0
                for name in os.listdir(directory + "/data"):
                    with open(os.path.join(directory, "data", name), "rb") as file:
                        content = file.read()
                    found += content.startswith(b"SQLite format 3")
                    self.assertNotIn(b"whence-control ready", content, (closed, name))
                    self.assertNotIn(b"stopping", content, (closed, name))
                self.assertGreaterEqual(found, 2, closed)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
