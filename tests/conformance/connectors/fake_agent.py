"""A tiny agent: real workers over real pipes, the frames written and read here.

Nothing here shares code with the connectors or with the agent: the format is
written down once more, so that a mistake on either side shows.
"""

import base64
import fcntl
import json
import os
import select
import struct
import subprocess
import tempfile
import termios
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
CONNECTORS = os.path.join(ROOT, 'ipc', 'connectors')
HERE = os.path.dirname(os.path.abspath(__file__))
DEADLINE_S = 30  # Of every wait; a healthy worker needs milliseconds.

# Other versions of the interpreters: APM_TEST_NODE, APM_TEST_PYTHON.
INTERPRETERS = {
    'node': os.environ.get('APM_TEST_NODE', 'node'),
    'python': os.environ.get('APM_TEST_PYTHON', '/usr/bin/python3'),
}


def frame(head, payload=b''):
    """Agent to worker: the separator is not counted."""
    head = json.dumps(head, ensure_ascii=False, separators=(',', ':')).encode()
    return b'\x05' + struct.pack('>I', len(head) + len(payload)) + head + b'\x03' + payload


def request(session_id, path='/', protocol='http', **more):
    """Of the form, and in the order, in which the agent writes lean heads."""
    head = {'_sessionId': session_id, '_sessionType': 'new', '_sessionData': {}, 'protocol': protocol, 'method': 'GET',
            'path': path, 'query': '', 'headers': {'host': 'localhost'}, 'remoteAddress': '192.0.2.7',
            'remotePort': 50000, 'scheme': protocol, 'host': 'localhost', 'httpVersion': '1.1',
            'listener': 'http://127.0.0.1:3000', 'requestId': session_id}
    head.update(more)
    return frame(head)


def data(session_id, payload, kind='data', data_type='binary'):
    return frame({'_sessionId': session_id, '_type': kind, 'dataType': data_type}, payload)


def event(session_id, name, **more):
    return frame(dict(_sessionId=session_id, _type='event', _event=name, **more))


def payload_of(item):
    if 'payload_base64' in item:
        return base64.b64decode(item['payload_base64'])
    return item.get('payload', '').encode()


class Worker:
    """A worker process and both its pipes. Strict: any byte outside a frame is an error."""

    def __init__(self, command, env=None, cwd=None):
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, bufsize=0, cwd=cwd,
            env={**os.environ, 'APM_CONNECTORS': CONNECTORS, 'APM_INDEX': '3', 'PYTHONDONTWRITEBYTECODE': '1',
                 **(env or {})})
        self.stdin = self._process.stdin.fileno()
        self.stdout = self._process.stdout.fileno()
        self.pid = self._process.pid
        self._bytes = bytearray()

    def send(self, blob):
        while blob:
            self._wait([], [self.stdin])
            blob = blob[os.write(self.stdin, blob[:select.PIPE_BUF]):]

    def send_split(self, blob, size):
        """Feeds pieces of `size` bytes, each read by the worker before the next is written."""
        for start in range(0, len(blob), size):
            os.write(self.stdin, blob[start:start + size])
            deadline = time.monotonic() + DEADLINE_S
            while self.unread() and self._process.poll() is None:
                assert time.monotonic() < deadline, 'the worker does not read\n' + self.log()
                os.sched_yield()

    def unread(self):
        """Bytes in the worker's stdin."""
        return struct.unpack('i', fcntl.ioctl(self.stdin, termios.FIONREAD, b'\0' * 4))[0]

    def frames(self, count):
        """The next `count` frames as (head, payload)."""
        found = []
        while len(found) < count:
            item = self._take()
            if item is not None:
                found.append(item)
                continue
            self._wait([self.stdout], [])
            blob = os.read(self.stdout, 1 << 20)
            assert blob, 'the worker closed stdout after %d of %d frames\n%s' % (len(found), count, self.log())
            self._bytes += blob
        return found

    def exchange(self, blob, count):
        """Sends and receives at once, as an agent does: neither pipe waits for the other."""
        found = []
        blob = memoryview(blob)
        os.set_blocking(self.stdin, False)
        while len(found) < count:
            readable, writable = self._wait([self.stdout], [self.stdin] if blob else [])
            if writable:
                blob = blob[os.write(self.stdin, blob):]
            if readable:
                self._bytes += os.read(self.stdout, 1 << 20)
            while True:
                item = self._take()
                if item is None:
                    break
                found.append(item)
        os.set_blocking(self.stdin, True)
        return found

    def start(self):
        """Checks and removes the two frames every connector begins with; returns the hello."""
        (hello, _), (ready, _) = self.frames(2)
        assert hello['_command'] == 'hello'
        assert ready == {'_command': 'ready'}
        return hello

    def end(self):
        """Closes stdin; returns the frames that still came and the exit status."""
        self._process.stdin.close()
        return self.rest()

    def rest(self):
        found = []
        while True:
            self._wait([self.stdout], [])
            blob = os.read(self.stdout, 1 << 20)
            if not blob:
                break
            self._bytes += blob
        while self._bytes:
            item = self._take()
            assert item is not None, 'half a frame at the end: %r' % bytes(self._bytes[:200])
            found.append(item)
        return found, self._process.wait(DEADLINE_S)

    def signal(self, number):
        self._process.send_signal(number)

    def cpu_ticks(self):
        with open('/proc/%d/stat' % self.pid) as file:
            fields = file.read().rpartition(')')[2].split()
        return int(fields[11]) + int(fields[12])

    def log(self):
        self._log.seek(0)
        return self._log.read().decode('utf-8', 'replace')

    def dispose(self):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for file in (self._process.stdin, self._process.stdout, self._log):
            file.close()

    def _take(self):
        """Worker to agent: the separator is counted."""
        blob = self._bytes
        if len(blob) < 5:
            return None
        assert blob[0] == 5, 'a stray byte on stdout: %r' % bytes(blob[:200])
        end = 5 + struct.unpack('>I', blob[1:5])[0]
        if len(blob) < end:
            return None
        separator = blob.index(b'\x03', 5, end)
        head, payload = json.loads(bytes(blob[5:separator]).decode()), bytes(blob[separator + 1:end])
        del blob[:end]
        return head, payload

    def _wait(self, readers, writers):
        readable, writable, _ = select.select(readers, writers, [], DEADLINE_S)
        assert readable or writable, 'nothing in %d s\n%s' % (DEADLINE_S, self.log())
        return readable, writable


def routes_command(lang):
    """The worker that the vectors are written for."""
    return [INTERPRETERS[lang], os.path.join(HERE, 'workers', {'node': 'routes.js', 'python': 'routes.py'}[lang])]


def routes(lang):
    return Worker(routes_command(lang))
