"""Starts a private agent for a test, and ends it.

    with Agent(config) as agent:
        agent.ctl("restart", "web")
        agent.http("web", "/hello")

Each agent has its own state folder, abstract socket and ports. Waiting is by
event (`ping --wait`, `start`, a read), bounded by DEADLINE, never by a sleep.
What a test starts here it ends here, by pid.
"""

import contextlib
import http.client
import itertools
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("APM_BIN_DIR", ROOT / "build/release/bin"))
WORKERS = pathlib.Path(__file__).parent / "workers"
DEADLINE = 30.0  # Seconds; generous, as a machine under load must pass too.

_numbers = itertools.count()


class CommandFailed(AssertionError):
    pass


class Completed:
    """What a finished apmctl printed and returned."""

    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"exit {self.code}\nstdout: {self.out}\nstderr: {self.err}"


class Agent:
    """A running apm-keeper with everything below it."""

    def __init__(self, config="", *, options=(), user=None, bin_dir=None, env=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="apm-test-"))
        os.chmod(self.folder, 0o755)
        self.state = self.folder / "state"
        self.socket = f"@apm-test-{os.getpid()}-{next(_numbers)}"
        self.config = self.folder / "apm.conf"
        self.config.write_text(config)
        self.log = self.folder / "keeper.log"
        self.bin = pathlib.Path(bin_dir or BIN)
        self.options = list(options)
        self.user = user
        self.env = dict(os.environ, **(env or {}))
        self.env.pop("APM_SOCKET", None)
        self.keeper = None

    # ---- life ----

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, failure, *_):
        if failure is not None:
            print(f"---- log of the agent {self.socket}\n{self.read_log()}")
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, wait=True):
        if self.user is not None:
            os.chown(self.folder, self.user, self.user)
            os.chown(self.config, self.user, self.user)
        command = [self.bin / "apm-keeper", "--config", self.config, "--socket", self.socket,
                   "--state-dir", self.state, *self.options]
        with open(self.log, "ab") as log:
            self.keeper = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           env=self.env, user=self.user, group=self.user,
                                           extra_groups=None if self.user is None else [])
        if wait:
            self.ctl("ping", "--wait", f"{DEADLINE:.0f}s")

    def stop(self):
        """SIGTERM, as an operator would; returns the exit status."""
        if self.keeper is None:
            return None
        if self.keeper.poll() is None:
            self.keeper.send_signal(signal.SIGTERM)
        try:
            return self.keeper.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.keeper.kill()
            self.keeper.wait()
            raise AssertionError(f"the keeper did not end after SIGTERM\n{self.read_log()}")
        finally:
            self.keeper = None

    def read_log(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    # ---- commands ----

    def ctl(self, *args, check=True, user=None, groups=None, timeout=DEADLINE):
        command = [self.bin / "apmctl", "--socket", self.socket, "--timeout", f"{DEADLINE:.0f}s", *map(str, args)]
        process = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                 timeout=timeout + 10, env=self.env, user=user, group=user,
                                 extra_groups=groups, cwd=self.folder)
        done = Completed(process)
        if check and done.code != 0:
            raise CommandFailed(f"apmctl {' '.join(map(str, args))}: {done!r}\n{self.read_log()}")
        return done

    def workers(self):
        listed = self.ctl("list", "--output", "json").json["workers"]
        return {worker["name"]: worker for worker in listed}

    def worker(self, name):
        return self.workers()[name]

    def info(self, name):
        return self.ctl("info", name, "--output", "json").json

    def pids(self, name):
        return [instance["pid"] for instance in self.worker(name)["instances"]]

    def logs(self, name, *args, check=True):
        return self.ctl("logs", name, *args, check=check).out

    def wait_for(self, condition, what, within=DEADLINE):
        """Until `condition()` is true: for what no command waits for."""
        give_up = time.monotonic() + within
        while time.monotonic() < give_up:
            result = condition()
            if result:
                return result
            select.select([], [], [], 0.02)
        raise AssertionError(f"{what} did not happen within {within:.0f} s\n{self.read_log()}")

    # ---- clients ----

    def address(self, name, index=0):
        """Where a worker listens: (host, port), or a socket path, as `list` says."""
        url = self.worker(name)["servers"][index]
        place = url.split("://", 1)[-1]
        if place.startswith("unix:"):
            return place[len("unix:"):]
        host, port = place.rsplit(":", 1)
        return host.strip("[]"), int(port)

    def connect(self, name, index=0):
        place = self.address(name, index)
        if isinstance(place, str):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(DEADLINE)
            connection.connect("\0" + place[1:] if place.startswith("@") else place)
            return connection
        return socket.create_connection(place, timeout=DEADLINE)

    @contextlib.contextmanager
    def client(self, name, index=0):
        """A keep-alive HTTP client."""
        connection = http.client.HTTPConnection("test")
        connection.sock = self.connect(name, index)
        try:
            yield connection
        finally:
            connection.close()

    def http(self, name, path="/", *, method="GET", headers=None, body=None, index=0):
        """One request; returns (status, headers, body)."""
        with self.client(name, index) as client:
            client.request(method, path, body=body, headers=headers or {})
            answer = client.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()


def free_port():
    """A port that was free a moment ago: for programs that cannot report theirs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
