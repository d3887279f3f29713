#!/usr/bin/env python3
"""Kills the control plane and the agent at random under load, and counts: every access is in the database, or in a gap.

Real programs, on loopback, without privileges: a whence-control, and a whence-agent as a gateway whose routes lead nowhere, so
that it answers by itself. Clients ask for a path of their own each time and note what they asked for and what was answered.
At the end of a round, when the agent has nothing left to report:

  no path is in the database twice, and none that nobody asked for
  answered <= stored + gaps <= asked     in all; between the two are the requests that a kill of the agent cut
  stored + gaps == answered              exactly, over a round in which only the control plane was killed

Examples:
  tests/soak/access_log_kill.py --bin build/release/bin                  # a hundred rounds
  tests/soak/access_log_kill.py --bin build/release/bin --rounds 4
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  selector: {app: gateway}
  servers:
  - {port: {number: %d, name: http, protocol: HTTP}, hosts: ["*"]}
"""


class Failed(Exception):
    pass


def await_true(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise Failed(f"not within {seconds} s: {what}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Program:
    """A process that is started, killed and started again."""

    def __init__(self, arguments, log):
        self.arguments, self.log, self.process = arguments, log, None

    def start(self):
        self.process = subprocess.Popen(self.arguments, stdout=self.log, stderr=self.log)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        if self.process:
            self.process.wait()


class Client(threading.Thread):
    """Keep-alive requests, one after the other, to a path of its own each."""

    def __init__(self, port, name, stop):
        super().__init__(daemon=True)
        self.port, self.name_, self.stop = port, name, stop
        self.asked, self.answered = [], []

    def run(self):
        number = 0
        while not self.stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=30) as s:
                    while not self.stop.is_set():
                        path = f"/{self.name_}/{number}"
                        number += 1
                        self.asked.append(path)
                        s.sendall(f"GET {path} HTTP/1.1\r\nHost: shop.example\r\n\r\n".encode())
                        if not self.read_answer(s):
                            break
                        self.answered.append(path)
            except OSError:
                time.sleep(0.002)  # nobody listens at this moment

    @staticmethod
    def read_answer(s):
        data = b""
        while b"\r\n\r\n" not in data:
            more = s.recv(4096)
            if not more:
                return False
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            more = s.recv(4096)
            if not more:
                return False
            body += more
        return True


class Soak:
    def __init__(self, options, directory):
        self.options = options
        self.random = random.Random(options.seed)
        self.listen, self.metrics = free_port(), free_port()
        self.database = directory / "data" / "logs.db"
        self.target = f"unix:{directory}/grpc"
        log = open(directory / "programs.log", "wb")
        programs = pathlib.Path(options.bin)
        self.control = Program([programs / "whence-control", "--data-dir", directory / "data", "--listen", self.target,
                                "--http", "none"], log)
        self.agent = Program([programs / "whence-agent", "run", "--control-plane", self.target, "--role", "gateway",
                              "--name", "gateway", "--namespace", "shop", "--labels", "app=gateway", "--pod-ip", "127.0.0.1",
                              "--interception", "none", "--workers", "2", "--state-dir", directory / "state", "--admin", "off",
                              "--health", "off", "--metrics", f"127.0.0.1:{self.metrics}"], log)
        self.document = directory / "gateway.yaml"
        self.document.write_text(GATEWAY % self.listen)
        self.ctl = programs / "whencectl"
        self.asked, self.answered = set(), set()
        self.accounted = 0
        self.killed = 0

    def start(self):
        self.control.start()
        await_true("the Gateway is applied", lambda: subprocess.run(
            [self.ctl, "--control-plane", self.target, "apply", "-f", self.document], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL).returncode == 0)
        self.agent.start()
        await_true("the gateway listens", self.listens)

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.listen), timeout=1).close()
            return True
        except OSError:
            return False

    def metric(self, name):
        try:
            with socket.create_connection(("127.0.0.1", self.metrics), timeout=5) as s:
                s.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
                text = b""
                while True:
                    more = s.recv(65536)
                    if not more:
                        break
                    text += more
        except OSError:
            return None
        for line in text.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        return None

    def is_drained(self):
        # The reporter looks every 200 ms: what was pushed before must have been seen.
        return all(self.metric(name) == 0 for name in (
            "whence_connections_active", "whence_access_log_memory_bytes", "whence_access_log_spool_bytes"))

    def kills(self, seconds, only_control):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(self.random.uniform(0.05, 0.5))
            victims = [self.control] if only_control else self.random.choice([[self.control], [self.agent],
                                                                              [self.control, self.agent]])
            for victim in victims:
                victim.kill()
                self.killed += 1
            time.sleep(self.random.choice([0, 0, 0.05, 0.2]))
            for victim in victims:
                victim.start()

    def round(self, number):
        only_control = number % 4 == 3
        stop = threading.Event()
        clients = [Client(self.listen, f"r{number}c{i}", stop) for i in range(self.options.clients)]
        for client in clients:
            client.start()
        self.kills(self.options.seconds, only_control)
        await_true("the gateway listens again", self.listens)
        stop.set()
        for client in clients:
            client.join()
        asked = {path for client in clients for path in client.asked}
        answered = {path for client in clients for path in client.answered}
        self.asked |= asked
        self.answered |= answered
        self.check(number, only_control, len(asked), len(answered))

    def totals(self):
        """Paths of all records, and what the gap records stand for."""
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as database:
            segments = [row[0] for row in database.execute("select number from segments")]
            union = " union all ".join(f"select path, dropped from segment_{n}" for n in segments)
            paths = [row[0] for row in database.execute(f"select path from ({union}) where dropped = 0")]
            gaps = database.execute(f"select coalesce(sum(dropped), 0) from ({union})").fetchone()[0]
        return paths, gaps

    def check(self, number, only_control, asked, answered):
        await_true("the agent has reported all", lambda: self.is_drained() and self.is_settled(), 120)
        paths, gaps = self.totals()
        stored = set(paths)
        if len(stored) != len(paths):
            raise Failed(f"{len(paths) - len(stored)} records are there twice")
        if stored - self.asked:
            raise Failed(f"records of what nobody asked for: {sorted(stored - self.asked)[:5]}")
        accounted = len(paths) + gaps
        new = accounted - self.accounted
        lost = len(self.answered - stored)
        line = {"round": number, "killed": "control plane" if only_control else "both", "kills": self.killed, "asked": asked,
                "answered": answered, "stored + gaps": new, "gaps in all": gaps, "answered, in a gap": lost}
        print(json.dumps(line), flush=True)
        if lost > gaps:
            raise Failed(f"{lost} answered requests have no record, and gaps account for {gaps}")
        if not answered <= new <= asked:
            raise Failed(f"round {number}: answered {answered} <= stored + gaps {new} <= asked {asked} does not hold")
        if only_control and asked != answered:
            raise Failed(f"round {number}: {asked - answered} requests failed, though the agent was not killed")
        self.accounted = accounted

    def is_settled(self):
        # Nothing arrives any more: two looks, a reporter's tick apart, see the same.
        before = self.metric("whence_access_records_total")
        time.sleep(0.45)
        return self.is_drained() and before == self.metric("whence_access_records_total")

    def end(self):
        self.agent.kill()
        self.control.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.environ.get("WHENCE_BIN", "build/release/bin"), help="folder of the programs")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=1.5, help="of kills, a round")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.randrange(1 << 32)
    print(f"seed {options.seed}", flush=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="whence-soak-"))
    soak = Soak(options, directory)
    try:
        soak.start()
        for number in range(options.rounds):
            soak.round(number)
        print(f"{options.rounds} rounds, {soak.killed} kills: {len(soak.asked)} asked, {len(soak.answered)} answered, "
              f"{soak.accounted} accounted for, none twice")
        return 0
    except Failed as failed:
        print(f"FAILED: {failed}", file=sys.stderr)
        sys.stderr.write((directory / "programs.log").read_text(errors="replace")[-3000:])
        return 1
    finally:
        soak.end()
        shutil.rmtree(directory, ignore_errors=True)


sys.exit(main())
