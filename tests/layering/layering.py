#!/usr/bin/env python3
"""Fails when an include breaks the layers, and says why the edge is forbidden.

Folders are the architecture, and since includes are rooted at the repository, CMake alone cannot stop a wrong one.
Each forbidden edge carries its reason, so that the failing line teaches instead of scolding.
"""
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.M)

# (files below, include prefix or pattern, reason). The first match of a file's includes is reported; exceptions come first.
PROTO_FOLDERS = ("common/wire/", "common/document/", "common/lint/", "common/bundle/", "common/explain/")
FORBIDDEN = [
    ("common/", r"^grpcpp/|\.grpc\.pb\.h$", "the core must run under a fuzzer without a network"),
    ("common/", r"^sqlite3\.h$", "the core decides; the store remembers"),
    ("common/", r"^(sys/(socket|epoll|eventfd|timerfd)|unistd|netinet/|linux/)", "the core has no file descriptors"),
    ("common/", r"^(thread|mutex|condition_variable|future)$", "the core has no threads; its values are immutable"),
    ("common/", r"^spdlog/", "the core does not log; it returns reasons"),
    ("common/", r"^(controlplane|dataplane|tests|deploy)/", "the core knows nothing of its shells"),
    ("controlplane/", r"^(dataplane|tests)/", "the planes meet on the wire only"),
    ("dataplane/", r"^(controlplane|tests)/", "the planes meet on the wire only"),
    ("dataplane/", r"^sqlite3\.h$", "an agent keeps no database"),
    ("dataplane/proxy/", r"^grpcpp/|\.pb\.h$", "the data path knows snapshots, not messages"),
    ("dataplane/loop/", r"^(dataplane/(proxy|discovery|access_log|admin|intercept)|common/(trust|policy|http))/",
     "the loop moves events and knows nothing of proxies"),
    ("tests/lab/", r"^(controlplane|dataplane)/", "the lab runs the real programs from outside"),
]
# In common/, each folder may include those that stand before it (STYLE section 2).
CORE_ORDER = ["base", "net", "http", "proxy_protocol", "trust", "policy", "snapshot", "wire", "document", "lint", "bundle", "explain", "inject"]


def faults(root):
    for top in ("common", "controlplane", "dataplane", "tests"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix not in (".h", ".cc"):
                continue
            name = path.relative_to(root).as_posix()
            for include in INCLUDE.findall(path.read_text(encoding="utf-8")):
                for prefix, pattern, reason in FORBIDDEN:
                    if name.startswith(prefix) and re.search(pattern, include):
                        yield f"{name} -> {include}: {reason}"
                if name.startswith("common/") and include.endswith(".pb.h") and not name.startswith(PROTO_FOLDERS):
                    yield f"{name} -> {include}: protobuf stays at the border ({', '.join(PROTO_FOLDERS)})"
                here, there = name.split("/")[1], include.split("/")[1] if include.startswith("common/") else None
                if name.startswith("common/") and there:
                    if here not in CORE_ORDER or there not in CORE_ORDER:
                        yield f"{name} -> {include}: add the folder to CORE_ORDER, where its place shows what it may use"
                    elif CORE_ORDER.index(there) > CORE_ORDER.index(here):
                        yield f"{name} -> {include}: common/{there} stands above common/{here}"


def main():
    root = pathlib.Path(sys.argv[1])
    found = list(faults(root))
    for line in found:
        print(line)
    print(f"{len(found)} forbidden includes")
    return 1 if found else 0


sys.exit(main())
