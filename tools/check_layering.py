#!/usr/bin/env python3
"""Fails when a source file includes a folder that its own folder may not use.

ARCHITECTURE.md explains the table; this file enforces it. Run by ctest.
"""

import pathlib
import re
import sys

# Folder -> folders or single headers it may include, besides itself.
# A file belongs to the longest folder name that prefixes its path.
ALLOWED = {
    "base": [],
    "ipc": ["base"],
    "proxy": ["base", "ipc", "apm/internal"],
    "agent/keeper": ["base", "apm/internal"],
    "agent/config": ["base"],
    "agent/supervisor": ["base"],
    "agent/events": ["base"],
    "agent/logs": ["base"],
    "agent/store": ["base", "agent/config"],
    "agent/listeners": ["base", "agent/config/listen_address.h"],
    "agent/control": ["base", "apm/v1", "agent", "agent/config", "agent/events", "agent/logs",
                      "agent/supervisor"],
    # The composition: the only place that sees every module of the agent.
    "agent": ["base", "apm/internal", "agent/config", "agent/control",
              "agent/events", "agent/listeners", "agent/logs", "agent/store", "agent/supervisor",
              "proxy/counters.h", "proxy/link_records.h"],
    "exporters": ["base", "agent/supervisor/stats.h", "proxy/counters.h"],
    "ctl": ["base", "apm/v1"],
    # Generated from proto/.
    "apm/internal": [],
    "apm/v1": [],
}

INCLUDE = re.compile(r'^\s*#include "([^"]+)"', re.MULTILINE)
SKIPPED = ("build/", "tests/")


def folder_of(path):
    prefixes = [f for f in ALLOWED if path.startswith(f + "/")]
    return max(prefixes, key=len, default=path.split("/")[0])


def violations(root):
    for source in sorted(root.rglob("*")):
        path = source.relative_to(root).as_posix()
        owner = folder_of(path)
        if (source.suffix not in (".cc", ".h") or owner not in ALLOWED
                or path.startswith(SKIPPED)):
            continue
        for include in INCLUDE.findall(source.read_text()):
            used = folder_of(include)
            if used != owner and not {used, include} & set(ALLOWED[owner]):
                yield f"{path}: {owner}/ may not include {used}/ ({include})"


if __name__ == "__main__":
    found = list(violations(pathlib.Path(sys.argv[1])))
    print("\n".join(found))
    sys.exit(1 if found else 0)
