"""The proxy is killed again and again, at any moment, under load: by clients
whose bytes look like frames, and a worker that gives them back.

Half a frame that is read as something else would show here: as a frame of a
session that the worker never had, as bytes outside of frames, or as an answer
that is not what the client sent.
"""

import json
import os
import random
import select
import socket
import struct
import threading
import time

from proxy_harness import Proxy, frame, wait_until

KILLS = 50
CLIENTS = 4
# What a worker would take for a session, a client for an answer, and the proxy
# for a command, if they began to read in the wrong place.
TO_WORKER = json.dumps({"_sessionId": "forged", "_sessionType": "new",
                        "protocol": "http", "path": "/forged"}).encode()
FORGED = (b"\x05" + struct.pack(">I", len(TO_WORKER)) + TO_WORKER + b"\x03" +
          frame({"_command": "write", "_session": "forged", "x": "forged"}) +
          frame({"_command": "closeConnection", "_session": "forged"}))


class EchoWorker:
    """Gives every body back, in pieces and some time later, so that sessions
    are open when the proxy dies; checks every frame that it gets."""

    def __init__(self, pipes, problems):
        self.stdin, self.stdout = pipes.stdin, pipes.stdout
        self.problems = problems
        self.bodies = {}  # Of the sessions that are open.
        self.closed_here = set()
        self.closed_by_proxy = 0
        self.answers = []  # (when it is due, the session)
        self.chance = random.Random(pipes.key["generation"])
        self.stop_read, self.stop_write = os.pipe()
        os.set_blocking(self.stdout, False)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        buffer = b""
        while True:
            ready, _, _ = select.select([self.stdin, self.stop_read], [], [],
                                        self.until_due())
            if self.stop_read in ready or not self.answer():
                return
            if self.stdin not in ready:
                continue
            buffer += os.read(self.stdin, 65536)
            while len(buffer) >= 5:
                size = struct.unpack(">I", buffer[1:5])[0] + 6
                if buffer[0] != 5 or size > 1 << 20:
                    self.problems.append(f"no frame: {buffer[:100]!r}")
                    return
                if len(buffer) < size:
                    break
                separator = buffer.index(b"\x03", 5)
                self.take(json.loads(buffer[5:separator]),
                          buffer[separator + 1:size])
                buffer = buffer[size:]

    def take(self, head, payload):
        session = head["_sessionId"]
        if head.get("_sessionType") == "new":
            if session in self.bodies or head["path"] != "/echo":
                self.problems.append(f"a session that is none: {head}")
            self.bodies[session] = b""
            return
        if head.get("_event") == "connectionClosed":
            # What we closed may have been under way when the proxy died.
            if self.bodies.pop(session, None) is not None:
                self.closed_by_proxy += 1
            elif session in self.closed_here:
                self.closed_here.remove(session)  # Once only.
            else:
                self.problems.append(f"closed, and was not open: {head}")
            return
        if session not in self.bodies:
            self.problems.append(f"of no session that is open: {head}")
            return
        self.bodies[session] += payload
        if head["_type"] == "data":
            due = time.monotonic() + self.chance.choice([0, 0.001, 0.01])
            self.answers.append((due, session))
            self.answers.sort()

    def until_due(self):
        if not self.answers:
            return None
        return max(0, self.answers[0][0] - time.monotonic())

    def answer(self):
        """False if it is to stop."""
        while self.answers and self.until_due() == 0:
            session = self.answers.pop(0)[1]
            body = self.bodies.pop(session, None)
            if body is None:  # Closed meanwhile.
                continue
            self.closed_here.add(session)
            pieces = [frame({"_command": "write", "_session": session},
                            body[i:i + 30000])
                      for i in range(0, len(body), 30000)]
            pieces.append(frame({"_command": "closeConnection",
                                 "_session": session}))
            if not self.write(b"".join(pieces)):
                return False
        return True

    def write(self, data):
        while data:
            _, _, _ = select.select([self.stop_read], [self.stdout], [])
            if select.select([self.stop_read], [], [], 0)[0]:
                return False
            try:
                data = data[os.write(self.stdout, data):]
            except BlockingIOError:
                pass
        return True

    def stop(self):
        os.write(self.stop_write, b"x")
        self.thread.join()
        os.close(self.stop_read)
        os.close(self.stop_write)


class Load:
    """Clients that send bodies of forged frames and compare the answers."""

    def __init__(self, address, seed, problems):
        self.address, self.problems = address, problems
        self.answered, self.broken = 0, 0
        self.lock = threading.Lock()
        self.stopping = False
        self.threads = [threading.Thread(target=self.run, args=(seed + i,))
                        for i in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def run(self, seed):
        chance = random.Random(seed)
        while not self.stopping:
            try:
                with socket.create_connection(self.address, 10) as sock:
                    while not self.stopping:
                        self.exchange(sock, chance)
            except (ConnectionError, EOFError):
                with self.lock:
                    self.broken += 1
            except TimeoutError:
                self.problems.append("a client got no answer")
                return

    def exchange(self, sock, chance):
        body = FORGED * chance.choice([1, 10, 100, chance.randint(1, 3000)])
        body = body[chance.randint(0, len(FORGED)):]
        sock.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n"
                     b"\r\n" % len(body) + body)
        reader = sock.makefile("rb")
        status = reader.readline()
        if not status:
            raise EOFError
        headers = {}
        for line in iter(reader.readline, b"\r\n"):
            if not line:
                raise EOFError
            name, value = line.split(b": ", 1)
            headers[name.lower()] = value.strip()
        answer = self.body(reader, headers)
        if not status.startswith(b"HTTP/1.1 200"):
            self.problems.append(f"answered {status!r}")
        elif answer != body:
            self.problems.append(f"{len(answer)} bytes for {len(body)}")
        with self.lock:
            self.answered += 1

    @staticmethod
    def body(reader, headers):
        if b"content-length" in headers:
            return Load.exactly(reader, int(headers[b"content-length"]))
        answer = b""
        while True:
            line = reader.readline()
            if not line.endswith(b"\r\n"):
                raise EOFError
            size = int(line, 16)
            answer += Load.exactly(reader, size)
            Load.exactly(reader, 2)
            if size == 0:
                return answer

    @staticmethod
    def exactly(reader, size):
        data = reader.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()


def recycle(proxy, pipes, problems):
    """A new process in place of one whose link is torn."""
    pipes.release()
    proxy.workers.remove(pipes)
    fresh = proxy.attach(instance=pipes.key["instance"])
    return fresh, EchoWorker(fresh, problems)


def test_fifty_kills_under_load_forge_no_frame():
    chance = random.Random(4711)
    problems, torn, closed = [], 0, 0
    with Proxy(keeps_pipes=True) as proxy:
        workers = []
        for instance in range(2):
            pipes = proxy.attach(instance=instance)
            pipes.hello()
            workers.append((pipes, EchoWorker(pipes, problems)))
        load = Load(proxy.default, 1, problems)
        for kill in range(KILLS):
            before = load.answered
            wait_until(lambda: load.answered > before or problems, "progress")
            select.select([], [], [], chance.uniform(0, 0.02))
            proxy.kill()
            proxy.start()
            for i, (pipes, worker) in enumerate(workers):
                if proxy.records.torn(pipes.key):
                    torn += 1
                    closed += worker.closed_by_proxy
                    worker.stop()
                    workers[i] = recycle(proxy, pipes, problems)
                else:
                    pipes.attach()
            proxy.take_over_done()
        load.stop()
        wait_until(lambda: not any(worker.bodies for _, worker in workers),
                   "every session has ended")
        wait_until(lambda: proxy.records.session_ids() == [], "no record")
        for _, worker in workers:
            closed += worker.closed_by_proxy
            worker.stop()
        assert proxy.counters.worker("frames_bad") == 0
        assert proxy.counters.worker("stray_bytes") == 0
    print(f"{KILLS} kills: {load.answered} answers, {load.broken} connections "
          f"broken, {torn} of {2 * KILLS} links torn, {closed} sessions closed")
    assert problems == []
