"""Clients whose bytes are shaped like the frames of a worker.

The worker sends them back, so they lie in the pipe to the proxy, inside of the
payload of its real frames. A proxy that began to read in the middle of such a
frame would find what to obey: a line for the log, a greeting, words for other
clients' sessions. None of that may ever be seen.
"""

import http.client
import json
import struct
import threading
import time

WORD = "FORGED"


def frame(head, payload=b""):
    text = json.dumps(head).encode()
    return b"\x05" + struct.pack(">I", len(text) + 1 + len(payload)) + text + b"\x03" + payload


def frames():
    """Every command that would leave a trace, to every session that may be there."""
    forged = frame({"_command": "log", "level": "error", "message": WORD})
    forged += frame({"_command": "hello", "connector": WORD, "concurrency": 1})
    for session in [*range(40), *(f"{life}-{number}" for life in range(1, 4) for number in range(12))]:
        forged += frame({"_command": "write", "_session": session, "x-status": 599}, WORD.encode())
        forged += frame({"_command": "closeConnection", "_session": session, "code": 599})
    return forged


class Forgers:
    """Threads that post forged frames, and look whether just these come back."""

    def __init__(self, place, count=3, times=12):
        self.place, self.body = place, frames() * times
        self.echoed = self.broken = 0
        self.wrong = []  # Answers that nobody gave.
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self):
        while not self._stop.is_set():
            client = http.client.HTTPConnection(*self.place, timeout=20)
            try:
                while not self._stop.is_set():
                    client.request("POST", "/echo", self.body)
                    answer = client.getresponse()
                    body = answer.read()
                    if answer.status == 200 and body == self.body:
                        self.echoed += 1
                    elif answer.status in (502, 503):
                        self.broken += 1
                    else:
                        self.wrong.append(f"status {answer.status}, {len(body)} bytes: {body[:80]!r}")
            except (OSError, http.client.HTTPException):
                self.broken += 1  # The proxy was killed: this connection was open.
                self._stop.wait(0.01)
            finally:
                client.close()


def wait_until_echoed(forgers, count, seconds=30):
    goal = forgers.echoed + count
    give_up = time.monotonic() + seconds
    while forgers.echoed < goal and time.monotonic() < give_up:
        forgers._stop.wait(0.01)
    assert forgers.echoed >= goal, f"{forgers.echoed} echoes, waited for {goal}"
