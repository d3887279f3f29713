#!/usr/bin/env python3
"""Runs the walk-through of deploy/README.md in the lab and compares what is printed with what the text shows.

usage: walkthrough_test.py SOURCE_DIR PROGRAM_DIR [--write]

Every block of ```console is one: lines that begin with "$ " are commands, those behind them what they print. Times, ports of
clients, counts of milliseconds and the like differ from run to run and are compared as such. With --write the text gets what was
printed. Exit code 77: no root.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import time

SOURCE, PROGRAMS = sys.argv[1], os.path.abspath(sys.argv[2])
README = pathlib.Path(SOURCE, "deploy/README.md")
LAB = f"walk-{os.getpid()}"
PATIENCE = 20
VARIES = [(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"), (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "ID"), (r"\b\d+(\.\d+)? ?(ms|us|s ago|s)\b", "SPAN"),
          (r"\bports? \d{5}\b", "port N"), (r'"peerPort":\d+', '"peerPort":N'),
          (r"of \S+@\S+ \(", "of SOMEBODY ("),
          # How often the lab asks before it says that it is up is a matter of luck.
          (r"\b\d+ (records|accesses)\b", "N records"), (r"(deny|allow|of) \d+\b", r"\1 N"), (r"(?m)^\d+ ", "N "),
          (r"\brecords?:? \d+( \d+)*", "record N"), (r"(?m)[ -]+$", ""), (r"[ -]{2,}", " ")]
MOMENT = r"\b(logs|top|doctor|agents|sqlite3|explain --diff)\b"  # shows what others report, a moment later


def steps(block):
    """[(command, output)] of a block."""
    found = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found and found[-1][0].endswith("\\"):
            found[-1] = (found[-1][0] + "\n" + line, [])
        elif found:
            found[-1][1].append(line)
    return [(command, "\n".join(lines).rstrip()) for command, lines in found]


def normal(text):
    for pattern, word in VARIES:
        text = re.sub(pattern, word, text)
    return "\n".join(line.rstrip() for line in text.replace(LAB, "demo").splitlines()).strip()


def run(command):
    command = command.replace("--name demo", "--name " + LAB).replace("/demo/", f"/{LAB}/")
    done = subprocess.run(["bash", "-c", command], cwd=SOURCE, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PATH": PROGRAMS + ":" + os.environ["PATH"], "COLUMNS": "200"})
    return (done.stderr + done.stdout).replace(LAB, "demo").rstrip()


def seen(command, wanted):
    """What it prints, at the latest when it has had time to become what is wanted: records arrive a moment later."""
    end = time.monotonic() + (0 if " up " in command else PATIENCE)
    while True:
        printed = run(command)
        if normal(printed) == normal(wanted) or time.monotonic() > end or not re.search(MOMENT, command):
            return printed
        time.sleep(0.3)


def settle(printed):
    """After a change, until every agent runs it: a reader is slower than they are."""
    revision = re.search(r"(?m)^revision (\d+)$", printed)
    end = time.monotonic() + PATIENCE
    while revision and time.monotonic() < end:
        agents = json.loads(run("whence-lab exec --name demo control -- whencectl agents -o json"))["agents"]
        if all(int(agent.get("ackedRevision", 0)) >= int(revision.group(1)) for agent in agents):
            return
        time.sleep(0.1)


def main():
    if os.geteuid() != 0:
        print("SKIPPED: the lab needs root")
        sys.exit(77)
    text = README.read_text(encoding="utf-8")
    failed = count = 0
    try:
        for block in re.findall(r"```console\n(.*?)```", text, re.S):
            whole = ""
            for command, wanted in steps(block):
                if "--write" in sys.argv and re.search(MOMENT, command):
                    time.sleep(3)
                printed = run(command) if "--write" in sys.argv else seen(command, wanted)
                settle(printed)
                count += 1
                whole += f"$ {command}\n" + (printed + "\n" if printed else "")
                if normal(printed) != normal(wanted) and "--write" not in sys.argv:
                    failed += 1
                    print(f"$ {command}\n--- the text\n{normal(wanted)}\n--- now\n{normal(printed)}\n")
            text = text.replace(block, whole)
    finally:
        run("whence-lab down --name demo")
    if "--write" in sys.argv:
        README.write_text(text, encoding="utf-8")
    if count == 0:
        sys.exit("the text shows no commands")
    print(f"{count} commands, {failed} of them print something else")
    sys.exit(1 if failed else 0)


main()
