#!/usr/bin/env python3
"""A bounded HTTP load at a fixed rate, and what became of every request.

    with Load(("127.0.0.1", 3000), rate=500) as load:
        ...                     # reload, kill, ...
    assert load.failed == 0, load.summary()

    load.py HOST:PORT --rate 500 --seconds 5      prints a JSON summary

Keep-alive connections, one thread, one epoll: it holds 2,000 requests a second
beside the workers that answer them. Requests are due by the clock, not by the
answers; those that find no idle connection for SLACK are not sent and are
counted as skipped, so that a stall is not followed by a flood.

A request fails when its answer is no 2xx, is cut, or does not come within the
deadline; also when the server closes the connection after it was sent, though
a client might repeat it. A connection that the server closed between two
requests is opened again: no request was lost by that. Each failure says when,
and since when its connection had been open: so a test can tell what a kill may
break from what it may not.
"""

import argparse
import collections
import contextlib
import json
import select
import socket
import threading
import time

DEADLINE = 20.0
SLACK = 0.5

# Times are of time.monotonic(). `opened` is that of the connection.
Failure = collections.namedtuple("Failure", "reason began ended opened")


class Malformed(ValueError):
    pass


def parse_answer(text):
    """(status, body, bytes used, server closes) of a whole answer; None before it is one."""
    end = text.find(b"\r\n\r\n")
    if end < 0:
        return None
    lines = bytes(text[:end]).split(b"\r\n")
    try:
        status = int(lines[0].split()[1])
    except (IndexError, ValueError) as error:
        raise Malformed(f"status line {lines[0]!r}") from error
    headers = {name.strip().lower(): value.strip()
               for name, _, value in (line.partition(b":") for line in lines[1:])}
    closes = headers.get(b"connection", b"").lower() == b"close"
    begin = end + 4
    if headers.get(b"transfer-encoding") != b"chunked":
        size = begin + int(headers.get(b"content-length", b"0"))
        return (status, bytes(text[begin:size]), size, closes) if len(text) >= size else None
    body = b""
    while True:
        line = text.find(b"\r\n", begin)
        if line < 0:
            return None
        size = int(text[begin:line], 16)
        begin = line + 2 + size + 2
        if len(text) < begin:
            return None
        if size == 0:
            return status, body, begin, closes
        body += text[line + 2:line + 2 + size]


class Connection:
    def __init__(self):
        self.socket = None
        self.opened = 0.0
        self.began = None  # Of the request that it is busy with.
        self.fresh = False
        self.buffer = bytearray()


class Load:
    def __init__(self, place, *, rate=500, connections=16, path="/", limit=200_000, keep_alive=True):
        self.place, self.rate, self.limit = place, rate, limit
        self.keep_alive = keep_alive  # False: a connection a request.
        self.request = (f"GET {path} HTTP/1.1\r\nHost: load\r\n"
                        + ("" if keep_alive else "Connection: close\r\n") + "\r\n").encode()
        self.sent = 0     # Answered or failed.
        self.skipped = 0
        self.failures = collections.Counter()
        self.failed_requests = []
        self.statuses = collections.Counter()
        self.latencies = []
        self.bodies = collections.Counter()
        self.first_answers = []  # (opened, answered) of requests on new connections.
        self.began = self.ended = 0.0
        self._all = [Connection() for _ in range(connections)]
        self._idle = collections.deque(self._all)
        self._busy = {}
        self._epoll = select.epoll()
        self._stop = threading.Event()
        self._warm = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def failed(self):
        return sum(self.failures.values())

    def failures_not_open_at(self, kills):
        """Failures of connections that were opened after the last of `kills` before them."""
        return [failure for failure in self.failed_requests
                if not any(failure.opened <= kill <= failure.ended for kill in kills)]

    def gap_after(self, kill):
        """Seconds from `kill` to the first answer on a connection opened since; None without one."""
        answers = [answered for opened, answered in list(self.first_answers) if opened >= kill]
        return min(answers) - kill if answers else None

    # ---- life ----

    def __enter__(self):
        self._thread.start()
        self._warm.wait(DEADLINE)
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(DEADLINE * 2)

    def wait_for(self, count):
        """Until `count` more requests have been answered."""
        goal = self.sent + count
        give_up = time.monotonic() + DEADLINE * 2
        while self.sent < goal and self._thread.is_alive() and time.monotonic() < give_up:
            self._stop.wait(0.01)

    # ---- the thread ----

    def _run(self):
        interval = 1 / self.rate
        self.began = due = time.monotonic()
        while not self._stop.is_set() or self._busy:
            now = time.monotonic()
            if self._stop.is_set():
                due = now + 1
            elif now - due > SLACK:
                self.skipped += int((now - due) / interval)
                due = now
            while due <= now and self._idle:
                due += interval
                self._begin(self._idle.popleft(), now)
            self._give_up_on_late(now)
            wait = min(0.1, max(0.0, due - time.monotonic())) if self._idle else 0.1
            for fd, _ in self._epoll.poll(wait):
                self._on_readable(fd)
        self.ended = time.monotonic()
        for connection in self._all:
            self._close(connection)
        self._epoll.close()

    def _begin(self, connection, now):
        connection.began = now
        if connection.socket is not None and self._closed_while_idle(connection):
            self._close(connection)
        connection.fresh = connection.socket is None
        try:
            if connection.fresh:
                self._open(connection)
            self._busy[connection.socket.fileno()] = connection
            connection.socket.sendall(self.request)
        except OSError as error:
            self._end(connection, 0, b"", f"{type(error).__name__}: {error}")

    def _open(self, connection):
        connection.opened = time.monotonic()
        connection.buffer.clear()
        unix = isinstance(self.place, str)
        connection.socket = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        # Local: connecting blocks only while the listener's queue is full.
        connection.socket.settimeout(DEADLINE)
        connection.socket.connect(self.place)
        connection.socket.setblocking(False)
        if not unix:
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._epoll.register(connection.socket, select.EPOLLIN)

    def _closed_while_idle(self, connection):
        try:
            return not connection.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _on_readable(self, fd):
        connection = self._busy.get(fd)
        if connection is None:  # Idle: it can only be the server that closes.
            for idle in self._idle:
                if idle.socket is not None and idle.socket.fileno() == fd:
                    self._close(idle)
            return
        try:
            piece = connection.socket.recv(65536)
            if not piece:
                where = "in an answer" if connection.buffer else "before the answer"
                raise ConnectionResetError(f"connection closed {where}")
            connection.buffer += piece
            answer = parse_answer(connection.buffer)
        except (OSError, ValueError) as error:
            self._end(connection, 0, b"", f"{type(error).__name__}: {error}")
            return
        if answer is None:
            return
        status, body, used, closes = answer
        del connection.buffer[:used]
        self._end(connection, status, body, None if 200 <= status < 300 else f"status {status}",
                  closes or not self.keep_alive)

    def _end(self, connection, status, body, failure, closes=False):
        now = time.monotonic()
        if connection.socket is not None:
            self._busy.pop(connection.socket.fileno(), None)
        self.sent += 1
        self.statuses[status] += 1
        self.latencies.append(now - connection.began)
        if len(body) < 64:
            self.bodies[body] += 1
        if failure:
            self.failures[failure] += 1
            self.failed_requests.append(Failure(failure, connection.began, now, connection.opened))
        elif connection.fresh:
            self.first_answers.append((connection.opened, now))
        if status == 0 or closes:
            self._close(connection)
        self._idle.append(connection)
        if self.sent >= self.limit:
            self._stop.set()
        self._warm.set()

    def _close(self, connection):
        if connection.socket is None:
            return
        self._busy.pop(connection.socket.fileno(), None)
        # Before the close: a process that is being forked has it open as well,
        # and so epoll would go on to tell of it.
        with contextlib.suppress(OSError):
            self._epoll.unregister(connection.socket)
        connection.socket.close()
        connection.socket = None

    def _give_up_on_late(self, now):
        late = [connection for connection in self._busy.values() if now - connection.began > DEADLINE]
        for connection in late:
            self._end(connection, 0, b"", f"no answer within {DEADLINE:.0f} s")

    # ---- the result ----

    def summary(self):
        ordered = sorted(self.latencies) or [0.0]
        seconds = (self.ended or time.monotonic()) - self.began
        return {
            "requests": self.sent,
            "per_second": round(self.sent / seconds) if seconds else 0,
            "skipped": self.skipped,
            "failed": self.failed,
            "failures": dict(self.failures),
            "first_failures": [
                f"at {failure.ended - self.began:.3f} s after {1000 * (failure.ended - failure.began):.0f} ms, "
                f"on a connection open for {failure.ended - failure.opened:.3f} s: {failure.reason}"
                for failure in self.failed_requests[:10]],
            "p50_ms": round(1000 * ordered[len(ordered) // 2], 2),
            "p99_ms": round(1000 * ordered[int(len(ordered) * 0.99)], 2),
            "worst_ms": round(1000 * ordered[-1], 2),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", help="HOST:PORT or a socket path")
    parser.add_argument("--path", default="/")
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    place = options.place
    if not place.startswith("/"):
        host, port = place.rsplit(":", 1)
        place = (host.strip("[]"), int(port))
    with Load(place, rate=options.rate, connections=options.connections, path=options.path) as load:
        threading.Event().wait(options.seconds)
    print(json.dumps(load.summary()))


if __name__ == "__main__":
    main()
