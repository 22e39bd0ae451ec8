"""Runs the fake agent and the real apmctl: what test_callers.py and the tests
of apmctl share.

    with FakeAgent() as agent:
        result = agent.apmctl("list")
        assert result.returncode == 0
"""

import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

BIN = pathlib.Path(os.environ["APM_BIN_DIR"])
TESTS = pathlib.Path(os.environ["APM_TESTS_DIR"])

LOG = (
    "2026-11-21T12:00:00.123456Z err 0 listening on \x1b[31mport 3000\n"
    "2026-11-21T12:00:01.000000Z out 1 hello\n"
)

_numbers = itertools.count()


def new_socket():
    """An abstract name that nobody else has."""
    return f"@fake-agent-{os.getpid()}-{next(_numbers)}"


def new_log(folder):
    """The log of the worker web, in a folder of its own."""
    logs = folder / f"logs-{next(_numbers)}"
    logs.mkdir()
    log = logs / "web.log"
    log.write_text(LOG)
    return log


class Programs:
    """Copies of the programs where every user may run them: the build may lie
    below a folder that only its owner may enter."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="apm-programs-"))
        self.folder.chmod(0o755)
        self.apmctl = shutil.copy(BIN / "apmctl", self.folder)
        self.fake_agent = shutil.copy(TESTS / "fake_agent", self.folder)

    def remove(self):
        shutil.rmtree(self.folder)


def run_apmctl(program, socket, *arguments, env=None, **options):
    """`options` may name a user, group and extra_groups to run as."""
    environment = {"PATH": os.environ["PATH"], "APM_SOCKET": socket, "TZ": "UTC"}
    environment.update(env or {})
    prefix = options.pop("prefix", [])
    return subprocess.run(
        [*prefix, str(program), *arguments], env=environment, text=True,
        capture_output=True, timeout=30, cwd=options.pop("cwd", "/"), **options)


class FakeAgent:
    def __init__(self, programs, *groups, socket=None, uid=None, events=None, log=None):
        """`groups` are "GID:NAME"; `uid` is the daemon's user and the owner;
        `events` is what has happened, "EPOCH:COUNT"; `log` is that of an agent
        that was there before."""
        self.programs = programs
        self.socket = socket or new_socket()
        self.log = log or new_log(programs.folder)
        owner = os.geteuid() if uid is None else uid
        options = {} if uid is None else {
            "user": uid, "group": uid, "extra_groups": []}
        if events is not None:
            options["env"] = {**os.environ, "FAKE_EVENTS": events}
        self.process = subprocess.Popen(
            [programs.fake_agent, self.socket, self.log, str(owner), *groups],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            **options)
        self.started = self.process.stdout.readline() == "ready\n"

    def web_prints(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def apmctl(self, *arguments, **options):
        return run_apmctl(self.programs.apmctl, self.socket, *arguments, **options)

    def __enter__(self):
        assert self.started, self.process.stderr.read()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=10)
