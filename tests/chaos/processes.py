"""What runs on this host, as /proc says: the one witness that is not ours.

Workers of a test carry a mark in their environment, which every process that
comes out of them inherits, wherever it goes.
"""

import os
import pathlib
import uuid

MARK = "APM_CHAOS_MARK"


def new_mark():
    return uuid.uuid4().hex


def alive(pid):
    return state(pid) not in ("", "Z", "X")


def state(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return text.rsplit(")", 1)[1].split()[0]


def name(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def marked(mark):
    """The living processes that carry `mark`."""
    return {int(entry) for entry in os.listdir("/proc")
            if entry.isdigit() and carries(entry, f"{MARK}={mark}") and alive(entry)}


def carries(pid, variable):
    """Whether "NAME=value" is in the environment that a process was started with."""
    try:
        environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
    return variable.encode() in environment.split(b"\0")


def children(pid):
    try:
        return {int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    except (FileNotFoundError, ProcessLookupError):
        return set()
