"""Starts the real apm-proxy and plays the rest of the world: keeper, agent,
worker and clients.

    with Proxy() as proxy:
        worker = proxy.attach()
        client = proxy.connect()
        client.send(GET)
        session = worker.expect_session()
        session.write(b"hello", {"content-type": "text/plain"})
        session.close()
        assert client.response().body == b"hello"

Everything waits for an event, with one deadline; nothing sleeps.
"""

import array
import base64
import itertools
import json
import os
import resource
import select
import socket
import struct
import subprocess
import tempfile
import time

from apm.internal.v1 import keeper_pb2, proxy_pb2
from shared_records import Counters, LinkRecords

DEADLINE = 10.0
BINARY = os.path.join(os.environ["APM_BIN_DIR"], "apm-proxy")


def proxy_environment():
    """A sanitizer build runs without its sandbox: no_sandbox.cc."""
    preload = os.environ.get("APM_PROXY_PRELOAD")
    return {**os.environ, **({"LD_PRELOAD": preload} if preload else {})}


def wait_until(condition, what):
    """Polls a condition that has no descriptor to wait for (a counter)."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"timed out: {what}"
        select.select([], [], [], 0.005)


class Channel:
    """An end of base/os/channel: one protobuf message a packet."""

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(DEADLINE)

    def send(self, message, fds=()):
        packet = b"\0" + message.SerializeToString()
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                    array.array("i", fds))] if fds else []
        self.sock.sendmsg([packet], control)

    def receive(self, message_type):
        try:
            packet = self.sock.recv(65537)
        except ConnectionResetError:
            packet = b""
        assert packet, "the channel was closed"
        message = message_type()
        message.ParseFromString(packet[1:])
        return message


class WorkerSession:
    """One session as a worker sees it."""

    def __init__(self, worker, head):
        self.worker, self.head, self.id = worker, head, head["_sessionId"]

    def write(self, payload=b"", headers=None, **keys):
        self.worker.send({"_session": self.id, "_command": "write",
                          **(headers or {}), **keys}, payload)

    def write_raw(self, payload):
        self.worker.send({"_session": self.id, "_command": "writeRaw"}, payload)

    def close(self, code=None, reason=None):
        head = {"_session": self.id, "_command": "closeConnection"}
        if code is not None:
            head["code"] = code
        if reason is not None:
            head["_reason"] = reason
        self.worker.send(head)

    def answer(self, payload=b"", headers=None):
        """Write and close in one write(2), as connectors do."""
        self.worker.send_bytes(
            frame({"_session": self.id, "_command": "write",
                   **(headers or {})}, payload) +
            frame({"_session": self.id, "_command": "closeConnection"}))


def frame(head, payload=b""):
    text = json.dumps(head).encode()
    return (b"\x05" + struct.pack(">I", len(text) + 1 + len(payload)) + text +
            b"\x03" + payload)


class FakeWorker:
    """A worker's end of its pipes, one frame at a time."""

    def __init__(self, proxy, worker_id, instance, generation):
        self.proxy = proxy
        self.key = dict(worker_id=worker_id, instance=instance,
                        generation=generation)
        self.stdin, to_worker = os.pipe()
        from_worker, self.stdout = os.pipe()
        self.stray = None
        self.buffer = b""
        self.traits = None  # What the proxy reported of its hello.
        self.kept = (to_worker, from_worker)  # As the keeper does.
        self.attach()
        if not proxy.keeps_pipes:
            self.forget_pipes()

    def attach(self):
        """What the agent says of the process to a proxy, old or new."""
        if self.stray is not None:
            os.close(self.stray)
        self.stray, stray = os.pipe()
        self.proxy.command(
            attach_worker=proxy_pb2.AttachWorker(
                **self.key, link_record=self.proxy.records.number(self.key),
                traits=self.traits),
            fds=[*self.kept, stray])
        os.close(stray)

    def forget_pipes(self):
        for fd in self.kept:
            os.close(fd)
        self.kept = ()

    def _fill(self, deadline=DEADLINE):
        ready, _, _ = select.select([self.stdin], [], [], deadline)
        assert ready, "timed out waiting for a frame from the proxy"
        data = os.read(self.stdin, 1 << 20)
        assert data, "the proxy closed the worker's stdin"
        self.buffer += data

    def read_frame(self):
        while len(self.buffer) < 5:
            self._fill()
        assert self.buffer[0] == 5
        size = struct.unpack(">I", self.buffer[1:5])[0] + 6
        while len(self.buffer) < size:
            self._fill()
        whole, self.buffer = self.buffer[:size], self.buffer[size:]
        separator = whole.index(b"\x03", 5)
        return json.loads(whole[5:separator]), whole[separator + 1:]

    def expect_session(self):
        head, payload = self.read_frame()
        assert head.get("_sessionType") == "new", head
        assert payload == b""
        return WorkerSession(self, head)

    def expect_data(self, session, kind="data"):
        head, payload = self.read_frame()
        assert head["_sessionId"] == session.id, head
        assert head["_type"] == kind, head
        return head, payload

    def expect_event(self, session, event="connectionClosed"):
        head, _ = self.expect_data(session, "event")
        assert head["_event"] == event, head
        return head

    def nothing_more(self):
        """Nothing was sent that has not been read: a later frame is next."""
        client = self.proxy.connect()
        client.send(b"GET /nothing-more HTTP/1.1\r\nHost: a\r\n\r\n")
        session = self.expect_session()
        assert session.head["path"] == "/nothing-more"
        session.answer()
        client.response()
        client.close()

    def send(self, head, payload=b""):
        self.send_bytes(frame(head, payload))

    def send_bytes(self, data):
        end = time.monotonic() + DEADLINE
        while data:
            _, ready, _ = select.select([], [self.stdout], [],
                                        max(0, end - time.monotonic()))
            assert ready, "the proxy does not read the worker"
            data = data[os.write(self.stdout, data[:65536]):]

    def hello(self, concurrency=64, features=()):
        self.send({"_command": "hello", "connector": "test/1.0",
                   "concurrency": concurrency, "features": list(features)})
        report = self.proxy.report("worker_hello")
        self.traits = report.traits
        return report

    def ready(self):
        """The agent vouches for this process, which has said nothing yet."""
        self.proxy.command(worker_ready=proxy_pb2.WorkerReady(**self.key))

    def read_stray(self, size):
        data = b""
        while len(data) < size:
            ready, _, _ = select.select([self.stray], [], [], DEADLINE)
            assert ready, f"stray output so far: {data!r}"
            part = os.read(self.stray, 65536)
            assert part, f"stray output ended after {data!r}"
            data += part
        return data

    def die(self):
        """What the proxy sees of an exit: both pipes close."""
        for name in ("stdout", "stdin"):
            fd = getattr(self, name)
            if fd is not None:
                os.close(fd)
                setattr(self, name, None)

    def release(self):
        self.die()
        self.forget_pipes()
        os.close(self.stray)


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


class Client:
    """A client that speaks HTTP by hand."""

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(DEADLINE)
        self.buffer = b""

    def send(self, data):
        self.sock.sendall(data)

    def get(self, path="/", headers=""):
        self.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n".encode())

    def _fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(self.buffer)
        self.buffer += data

    def take(self, size):
        while len(self.buffer) < size:
            self._fill()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def until(self, marker):
        while marker not in self.buffer:
            self._fill()
        at = self.buffer.index(marker) + len(marker)
        return self.take(at)

    def rest(self):
        """Everything until the proxy closes."""
        try:
            while True:
                self._fill()
        except EOFError:
            data, self.buffer = self.buffer, b""
            return data

    def closed(self):
        """The proxy closed the connection, in order or not."""
        try:
            return self.rest() == b""
        except ConnectionResetError:
            return True

    def head(self):
        lines = self.until(b"\r\n\r\n")[:-4].split(b"\r\n")
        version, status = lines[0].split(b" ")[:2]
        assert version == b"HTTP/1.1", lines[0]
        headers = {}
        for line in lines[1:]:
            name, value = line.split(b": ", 1) if b": " in line else (
                line.rstrip(b":"), b"")
            headers.setdefault(name.decode().lower(), []).append(value.decode())
        return Response(int(status), {k: ", ".join(v) for k, v in
                                      headers.items()}, b"")

    def chunk(self):
        size = int(self.until(b"\r\n")[:-2], 16)
        data = self.take(size)
        assert self.take(2) == b"\r\n"
        return data

    def response(self, to_head=False):
        answer = self.head()
        if to_head or answer.status in (204, 304) or answer.status < 200:
            return answer
        if answer.headers.get("transfer-encoding") == "chunked":
            answer.body = b"".join(iter(self.chunk, b""))
        elif "content-length" in answer.headers:
            answer.body = self.take(int(answer.headers["content-length"]))
        else:
            answer.body = self.rest()
        return answer

    def close(self):
        self.sock.close()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.sock.close()

    # WebSocket.

    def upgrade(self, path="/", headers=""):
        key = base64.b64encode(b"0123456789abcdef").decode()
        self.send((f"GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                   "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                   f"Sec-WebSocket-Key: {key}\r\n{headers}\r\n").encode())

    def ws_send(self, payload, opcode=1, final=True, masked=True):
        self.send(self.ws_frame(payload, opcode, final, masked))

    @staticmethod
    def ws_frame(payload, opcode=1, final=True, masked=True):
        if isinstance(payload, str):
            payload = payload.encode()
        head = bytes([(0x80 if final else 0) | opcode])
        mask_bit = 0x80 if masked else 0
        if len(payload) < 126:
            head += bytes([mask_bit | len(payload)])
        elif len(payload) < 65536:
            head += bytes([mask_bit | 126]) + struct.pack(">H", len(payload))
        else:
            head += bytes([mask_bit | 127]) + struct.pack(">Q", len(payload))
        if masked:
            mask = b"\x11\x22\x33\x44"
            head += mask
            payload = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
        return head + payload

    def ws_receive(self):
        """(opcode, payload) of the next frame; of a close (8, code, reason)."""
        first, second = self.take(2)
        assert first & 0x80 and not second & 0x80
        size = second
        if size == 126:
            size = struct.unpack(">H", self.take(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.take(8))[0]
        payload = self.take(size)
        opcode = first & 0x0F
        if opcode == 8:
            code = struct.unpack(">H", payload[:2])[0] if payload else None
            return 8, code, payload[2:]
        return opcode, payload


class Proxy:
    """The proxy under test, with one worker (id 1) on one TCP listener."""

    def __init__(self, route=None, limits=None, http=True, websocket=False,
                 unix=False, max_connections=0, access_log=False, files=None,
                 keeps_pipes=False, records=None):
        self.folder = tempfile.TemporaryDirectory(prefix="apm-proxy-test-")
        self.log = open(os.path.join(self.folder.name, "log"), "w+b")
        self.workers, self.clients, self.processes = [], [], []
        self.listeners = {}
        self.generations = itertools.count(1)
        self.route = dict(id=1, name="web", counter_slot=0,
                          access_log=access_log, **(route or {}))
        self.limits, self.max_connections = limits or {}, max_connections
        self.keeps_pipes = keeps_pipes  # To take the links over: kill().
        self.files = files
        self.incarnation = 6
        self.counters = Counters()
        self.records = records or LinkRecords()
        self.start()
        self.default = self.listen(http=http, websocket=websocket, unix=unix)
        if access_log:
            self.access_log_path = os.path.join(self.folder.name, "access.log")
            with open(self.access_log_path, "ab") as file:
                self.agent.send(proxy_pb2.ToProxy(
                    access_log=proxy_pb2.AccessLog(worker_id=1)),
                    [file.fileno()])

    def start(self):
        """A new proxy, told everything but its links."""
        self.incarnation += 1
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        files = self.files
        self.process = subprocess.Popen(
            [BINARY, "--keeper-fd", str(theirs.fileno())],
            pass_fds=[theirs.fileno()], stderr=self.log,
            stdin=subprocess.DEVNULL, env=proxy_environment(),
            preexec_fn=files and (lambda: resource.setrlimit(
                resource.RLIMIT_NOFILE, (files, files))))
        theirs.close()
        self.keeper = Channel(ours)
        self.new_agent()
        self.introduce()
        for listener, sock in self.listeners.values():
            self.command(add_listener=listener, fds=[sock.fileno()])

    def introduce(self):
        self.command(counters=proxy_pb2.Counters(slots=self.counters.slots),
                     fds=[self.counters.fd])
        self.send_link_records(self.records)
        self.send_snapshot()

    def send_link_records(self, records):
        self.command(
            link_records=proxy_pb2.LinkRecords(links=records.links.count,
                                               sessions=records.sessions.count),
            fds=[records.links.fd, records.sessions.fd])

    def kill_at_rest(self):
        """The proxy dies when it has done what it was about to do."""
        wait_until(lambda: not any(self.records.torn(worker.key)
                                   for worker in self.workers), "at rest")
        self.kill()

    def kill(self):
        """The proxy dies at once, wherever it is."""
        self.process.kill()
        self.process.wait()
        self.keeper.sock.close()
        self.agent.sock.close()

    def take_over(self, workers=None):
        """A new proxy gets the links of the dead one, as the agent does it."""
        self.start()
        for worker in self.workers if workers is None else workers:
            worker.attach()
        self.take_over_done()

    def take_over_done(self):
        self.command(take_over_done=proxy_pb2.TakeOverDone())

    def new_agent(self):
        """What the keeper does when an agent has started (again)."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.agent = Channel(ours)
        self.keeper.send(keeper_pb2.AgentChannel(
            proxy_incarnation=self.incarnation, agent_incarnation=1),
            [theirs.fileno()])
        theirs.close()
        try:
            self.ready = self.report("ready")
        except AssertionError:
            print("--- the proxy's log\n" + self.log_text())
            raise

    def send_snapshot(self, workers=None):
        self.agent.send(proxy_pb2.ToProxy(snapshot=proxy_pb2.Snapshot(
            version=1, max_connections=self.max_connections,
            workers=[proxy_pb2.WorkerRoute(**route)
                     for route in (workers or [self.route])],
            limits=proxy_pb2.ClientLimits(**self.limits))))

    def listen(self, listener_id=1, worker_id=1, http=True, websocket=False,
               unix=False):
        if unix:
            sock = socket.socket(socket.AF_UNIX)
            address = os.path.join(self.folder.name, f"{listener_id}.sock")
            sock.bind(address)
        else:
            sock = socket.socket()
            sock.bind(("127.0.0.1", 0))
            address = sock.getsockname()
        sock.listen(128)
        sock.setblocking(False)
        listener = proxy_pb2.AddListener(
            id=listener_id, worker_id=worker_id, http=http,
            websocket=websocket, unix=unix, address="http://test")
        self.command(add_listener=listener, fds=[sock.fileno()])
        self.listeners[listener_id] = listener, sock  # As the keeper does.
        return address

    def attach(self, instance=0, worker_id=1):
        return self.attach_key(dict(worker_id=worker_id, instance=instance,
                                    generation=next(self.generations)))

    def attach_key(self, key):
        self.workers.append(FakeWorker(self, **key))
        return self.workers[-1]

    def attach_process(self, argv, instance=0, worker_id=1, env=None):
        """A real worker: a program behind real pipes."""
        stdin, to_worker = os.pipe()
        from_worker, stdout = os.pipe()
        stray_out, stray = os.pipe()
        process = subprocess.Popen(argv, stdin=stdin, stdout=stdout,
                                   stderr=self.log,
                                   env={**os.environ, **(env or {})})
        self.processes.append(process)
        key = dict(worker_id=worker_id, instance=instance,
                   generation=next(self.generations))
        self.command(attach_worker=proxy_pb2.AttachWorker(
            **key, link_record=self.records.number(key)),
            fds=[to_worker, from_worker, stray])
        for fd in (stdin, to_worker, from_worker, stdout, stray):
            os.close(fd)
        process.stray = stray_out
        return process

    def connect(self, address=None):
        address = address or self.default
        sock = socket.socket(socket.AF_UNIX if isinstance(address, str)
                             else socket.AF_INET)
        sock.settimeout(DEADLINE)
        sock.connect(address)
        client = Client(sock)
        self.clients.append(client)
        return client

    def command(self, fds=(), **body):
        self.agent.send(proxy_pb2.ToProxy(**body), fds)

    def report(self, kind):
        """The next report of that kind; others before it are dropped."""
        while True:
            message = self.agent.receive(proxy_pb2.FromProxy)
            if message.WhichOneof("body") == kind:
                return getattr(message, kind)

    def expect_counter(self, name, value, slot=0):
        wait_until(lambda: self.counters.worker(name, slot) == value,
                   f"{name} == {value}, is {self.counters.worker(name, slot)}")

    def log_text(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def access_lines(self, count):
        def lines():
            with open(self.access_log_path) as file:
                return file.read().splitlines()
        wait_until(lambda: len(lines()) >= count, "access log lines")
        return lines()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.keeper.sock.close()  # The keeper has gone.
        try:
            code = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        for client in self.clients:
            client.close()
        for worker in self.workers:
            worker.release()
        for process in self.processes:  # Their pipes are closed: they end.
            os.close(process.stray)
            try:
                process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for _, sock in self.listeners.values():
            sock.close()
        self.agent.sock.close()
        os.close(self.counters.fd)
        self.records.close()
        if kind is not None or code != 0:
            print("--- the proxy's log\n" + self.log_text())
        self.log.close()
        self.folder.cleanup()
        if kind is None:
            assert code == 0, f"the proxy ended with {code}"
