#!/usr/bin/env python3
"""A bounded HTTP load at a fixed rate, and how many requests failed.

    with Load(("127.0.0.1", 3000), rate=500) as load:
        ...                     # reload, kill, ...
    assert load.failed == 0

    load.py HOST:PORT --rate 500 --seconds 5      prints a JSON summary

Keep-alive connections on threads of their own. A request fails when its
answer is no 2xx, is cut, or does not come within the deadline. A connection
that the server closed between two requests is opened again, as clients do: no
request was lost by that.
"""

import argparse
import collections
import json
import socket
import threading
import time

DEADLINE = 20.0


class Connection:
    def __init__(self, place, path):
        self.place = place
        self.request = (f"GET {path} HTTP/1.1\r\nHost: load\r\n\r\n").encode()
        self.socket = None
        self.buffer = b""

    def open(self):
        if isinstance(self.place, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(DEADLINE)
            self.socket.connect(self.place)
        else:
            self.socket = socket.create_connection(self.place, timeout=DEADLINE)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def exchange(self):
        """Returns (status, body); raises OSError or ValueError on a failed request."""
        fresh = self.socket is None
        if fresh:
            self.open()
        try:
            return self._exchange()
        except ConnectionError:
            self.close()
            if fresh or self.buffer:
                raise
            # Idle connection closed by the server before it saw the request.
            self.open()
            return self._exchange()

    def _read(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionResetError("connection closed in an answer")
        self.buffer += piece

    def _exchange(self):
        self.socket.sendall(self.request)
        while b"\r\n\r\n" not in self.buffer:
            self._read()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.split(b"\r\n")
        status = int(lines[0].split()[1])
        headers = {name.strip().lower(): value.strip()
                   for name, _, value in (line.partition(b":") for line in lines[1:])}
        if headers.get(b"transfer-encoding") == b"chunked":
            body = self._read_chunked()
        else:
            length = int(headers.get(b"content-length", b"0"))
            while len(self.buffer) < length:
                self._read()
            body, self.buffer = self.buffer[:length], self.buffer[length:]
        if headers.get(b"connection", b"").lower() == b"close":
            self.close()
            self.buffer = b""
        return status, body

    def _read_chunked(self):
        body = b""
        while True:
            while b"\r\n" not in self.buffer:
                self._read()
            size, self.buffer = self.buffer.split(b"\r\n", 1)
            size = int(size, 16)
            while len(self.buffer) < size + 2:
                self._read()
            body += self.buffer[:size]
            self.buffer = self.buffer[size + 2:]
            if size == 0:
                return body


class Load:
    def __init__(self, place, *, rate=500, connections=16, path="/", limit=200_000):
        self.place, self.path = place, path
        self.interval = connections / rate
        self.connections = connections
        self.limit = limit  # Requests in all: a bound, should nobody stop it.
        self.sent = 0
        self.failures = collections.Counter()
        self.statuses = collections.Counter()
        self.latencies = []
        self.bodies = collections.Counter()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._warm = threading.Event()
        self._threads = []

    @property
    def failed(self):
        return sum(self.failures.values())

    def __enter__(self):
        for number in range(self.connections):
            thread = threading.Thread(target=self._run, args=(number,), daemon=True)
            thread.start()
            self._threads.append(thread)
        self._warm.wait(DEADLINE)
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(DEADLINE * 2)

    def wait_for(self, count):
        """Until `count` more requests have been answered."""
        goal = self.sent + count
        give_up = time.monotonic() + DEADLINE * 2
        while self.sent < goal and time.monotonic() < give_up:
            self._stop.wait(0.01)

    def _run(self, number):
        connection = Connection(self.place, self.path)
        due = time.monotonic() + self.interval * number / self.connections
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due += self.interval
            begun = time.monotonic()
            try:
                status, body = connection.exchange()
                outcome = None if 200 <= status < 300 else f"status {status}"
            except (OSError, ValueError) as error:
                connection.close()
                status, body, outcome = 0, b"", f"{type(error).__name__}: {error}"
            with self._lock:
                self.sent += 1
                self.statuses[status] += 1
                self.latencies.append(time.monotonic() - begun)
                if len(body) < 64:
                    self.bodies[body] += 1
                if outcome:
                    self.failures[outcome] += 1
                if self.sent >= self.limit:
                    self._stop.set()
            self._warm.set()
        connection.close()

    def summary(self):
        ordered = sorted(self.latencies) or [0.0]
        return {
            "requests": self.sent,
            "failed": self.failed,
            "failures": dict(self.failures),
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
