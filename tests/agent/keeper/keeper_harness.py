"""Runs a real apm-keeper whose agent and proxy are played by the test."""

import contextlib
import fcntl
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import tempfile

from apm.internal.v1 import keeper_pb2 as pb

DEADLINE_S = 20  # Of each wait: far beyond what is needed.
BIN = pathlib.Path(os.environ["APM_BIN_DIR"])
HERE = pathlib.Path(__file__).parent
MAX_INLINE_BYTES = 64 << 10
NOBODY = 65534


class Closed(Exception):
    """The other end of a channel has gone."""


class Channel:
    """One end of base/os/channel."""

    def __init__(self, fd):
        self.socket = socket.socket(fileno=fd)
        self.socket.settimeout(DEADLINE_S)

    def send_bytes(self, message, fds=()):
        if len(message) <= MAX_INLINE_BYTES:
            socket.send_fds(self.socket, [b"\0" + message], fds)
            return
        memfd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.write(memfd, message)
        fcntl.fcntl(memfd, fcntl.F_ADD_SEALS,
                    fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
        socket.send_fds(self.socket, [b"\1"], [memfd, *fds])
        os.close(memfd)

    def receive_bytes(self):
        packet, fds, _, _ = socket.recv_fds(self.socket, MAX_INLINE_BYTES + 1, 253)
        if not packet:
            raise Closed
        if packet[0] == 1:
            memfd = fds.pop(0)
            packet = b"\1" + os.pread(memfd, os.fstat(memfd).st_size, 0)
            os.close(memfd)
        return packet[1:], fds

    def close(self):
        self.socket.close()


class FakeService:
    """The test's hand on one run of the fake agent or proxy."""

    def __init__(self, control):
        self.control = control
        about, fds, _, _ = socket.recv_fds(control, 1 << 16, 1)
        self.about = json.loads(about)
        self.pid = self.about["pid"]
        self.channel = Channel(fds[0])

    def kill(self):
        """kill -9, and nothing of it remains."""
        os.kill(self.pid, signal.SIGKILL)
        self.close()

    def exit(self, status):
        self.control.send(str(status).encode())
        # Not before it has read that.
        assert self.control.recv(1) == b""
        self.close()

    def close(self):
        self.channel.close()
        self.control.close()


class Agent(FakeService):
    """What a test says to the keeper and hears from it."""

    def send(self, fds=(), **body):
        self.channel.send_bytes(pb.ToKeeper(**body).SerializeToString(), fds)

    def expect(self, kind):
        """The next message, which must be of this kind; with its descriptors."""
        data, fds = self.channel.receive_bytes()
        message = pb.FromKeeper.FromString(data)
        assert message.WhichOneof("body") == kind, message
        return getattr(message, kind), fds

    def spawn(self, key, argv, stdio=None, **spec):
        """Sends Spawn; without `stdio`, returns a file to read its output."""
        argv = [os.fsencode(argument) for argument in argv]
        if argv:
            spec.setdefault("executable", argv[0])
        output, ours = None, None
        if stdio is None:
            output, ours = os.pipe()
            null = os.open("/dev/null", os.O_RDONLY)
            stdio = [null, ours, ours]
        self.send(stdio, spawn=pb.Spawn(
            key=key, spec=pb.ExecSpec(argv=argv, **spec)))
        if output is None:
            return None
        os.close(ours)
        os.close(null)
        return open(output, "rb")

    def run(self, *args, **kwargs):
        """Spawns /bin/cat or the like to its end and returns its output."""
        with self.spawn(*args, **kwargs) as output:
            text = output.read()
        self.expect("spawned")
        exited, _ = self.expect("exited")
        self.send(ack_exit=pb.AckExit(key=exited.key))
        return text

    def reexec(self):
        """The keeper's program is replaced, or the answer says why not."""
        self.send(reexec=pb.Reexec())
        return self.expect("reexeced")[0]

    def sync(self):
        """Returns when the keeper has dealt with all that happened before:
        the first answer may be older than a signal of the same turn."""
        for _ in range(2):
            self.send(fetch_fd=pb.FetchFd(name="no such name"))
            self.expect("stored_fd")


class Keeper:
    """apm-keeper in a folder of its own, with fake siblings."""

    def __init__(self, folder, *args, user=None, **popen):
        self.folder = folder
        self.bin = folder / "bin"
        self.state = folder / "state"
        self.pid_file = self.state / "apm.pid"
        self.bin.mkdir(exist_ok=True)
        for program in ("apm-keeper", "apm-exec"):
            shutil.copy(BIN / program, self.bin / program)
        for program in ("apm-agent", "apm-proxy"):
            shutil.copy(HERE / "fake_service.py", self.bin / program)
            (self.bin / program).chmod(0o755)
        path = str(folder / "test.sock")
        pathlib.Path(path).unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.settimeout(DEADLINE_S)
        self.listener.bind(path)
        self.listener.listen()
        if user is not None:
            for item in (folder, path):
                os.chown(item, user, -1)
        self.log = open(folder / "log", "w+b")
        self.process = subprocess.Popen(
            [self.bin / "apm-keeper", f"--state-dir={self.state}", *args],
            env={**os.environ, "APM_TEST_SOCKET": path}, user=user,
            stdout=self.log, stderr=self.log, **popen)
        self.pid = self.process.pid
        self.accepted = []
        self.waiting = []  # Accepted, but not asked for yet.

    def accept(self, program):
        """The next run of `program`."""
        for i, service in enumerate(self.waiting):
            if service.about["program"] == program:
                return self.waiting.pop(i)
        while True:
            control, _ = self.listener.accept()
            control.settimeout(DEADLINE_S)
            service = Agent(control)
            self.accepted.append(service)
            if service.about["program"] == program:
                return service
            self.waiting.append(service)

    def agent(self):
        """The next agent, its Welcome, and the exits that it is told again."""
        agent = self.accept("apm-agent")
        agent.welcome, _ = agent.expect("welcome")
        return agent

    def serve(self):
        """A new keeper's agent, proxy introduced, ready to be told things."""
        self.proxy = self.accept("apm-proxy")
        agent = self.agent()
        agent.to_proxy = agent.expect("proxy_started")
        return agent

    def stop(self, agent):
        agent.send(shutdown=pb.Shutdown())
        return self.wait()

    def wait(self):
        return self.process.wait(DEADLINE_S)

    def log_text(self):
        return (self.folder / "log").read_text()

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
            # Agents that lose us end, and without an agent so does the keeper.
            for service in self.accepted:
                service.close()
            self.listener.close()
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        for service in self.accepted:
            service.close()
        self.log.close()
        self.listener.close()


@contextlib.contextmanager
def temporary_folder():
    """Unlike pytest's, reachable for other users."""
    with tempfile.TemporaryDirectory(prefix="apm-keeper-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        yield folder


def key(worker="web", instance=0, generation=1):
    return pb.ProcessKey(worker=worker, instance=instance, generation=generation)


def pidfd_ended(pidfd):
    """Waits for the end of a process that is not ours."""
    return bool(select.select([pidfd], [], [], DEADLINE_S)[0])
