"""APM connector for Python >= 3.6: one file, no dependencies.

    from apm_module import ApmModule, ApmSession

    def on_connect(s: ApmSession):
        s.write(b'Hello World', {'x-status': '200', 'content-type': 'text/plain'})
        s.close()

    ApmModule(on_connect).run()

The agent starts the worker and speaks to it over stdin and stdout, in frames:

    0x05 | uint32 big-endian | JSON head | 0x03 | payload

From the agent the uint32 counts head and payload; to the agent it counts the
0x03 as well. All sessions (HTTP exchanges, WebSocket and TCP connections) share
the two pipes; the head says whose a frame is. print() goes to stderr, so that it
ends up in the log and not between frames.

Callbacks run one after the other in the thread that called run(). Other threads
may call the methods of sessions and of the module.

The API and its extensions: README.md beside this folder.
Update in place: python3 apm_module.py -update
"""

import json
import math
import os
import re
import select
import signal
import stat
import struct
import sys
import threading
import traceback
from collections import deque
from json.encoder import encode_basestring_ascii as _quote
from threading import get_ident
from urllib.parse import unquote

__all__ = ['ApmModule', 'ApmSession']

VERSION = '1.0'
FEATURES = ['lean', 'accept', 'drain']
DEFAULT_CONCURRENCY = 64

FRAME_START = 0x05
SEPARATOR = b'\x03'
PREFIX_BYTES = 5  # FRAME_START and the length.
MAX_PAYLOAD_BYTES = 16 << 20
MAX_FRAME_BYTES = MAX_PAYLOAD_BYTES + (1 << 20)  # More is not a length.
READ_BYTES = 64 << 10  # From 128 KiB on, malloc would map and unmap the buffer of every read.
FLUSH_BYTES = 256 << 10

_parse = json.JSONDecoder().raw_decode
# The head of a new session as the agent writes it for a lean connector, up to
# its headers. To parse a whole head is a third of an exchange, and most of what
# it makes nobody looks at: a head of this form (else, and where there are
# escapes, all of it is parsed) is cut here, and the rest when asked for.
_match_new_session = re.compile(
    r'\{"_sessionId":"([^"\\]+)","_sessionType":"new","_sessionData":\{\},"protocol":"([^"\\]+)",'
    r'"method":(?:null|"([^"\\]*)"),"path":"([^"\\]*)","query":"([^"\\]*)","headers":(?=\{)').match
_to_json = json.JSONEncoder(separators=(',', ':')).encode  # ASCII.


def _complain(message):
    sys.stderr.write('apm: %s\n' % message)
    sys.stderr.flush()


# --- Frames ------------------------------------------------------------------

class _FrameReader:
    """Turns bytes, split anyhow, into (head, payload). A head is a text."""

    def __init__(self):
        self._tail = bytearray()  # The beginning of a frame, parsed only when it is whole.
        self._need = PREFIX_BYTES

    def feed(self, chunk):
        """Yields every frame that is complete now."""
        if self._tail:
            self._tail += chunk
            if len(self._tail) < self._need:
                return
            chunk = bytes(self._tail)
            del self._tail[:]
        at = 0
        size = len(chunk)
        self._need = PREFIX_BYTES
        while size - at >= PREFIX_BYTES:
            start, length = _PREFIX.unpack_from(chunk, at)
            end = at + PREFIX_BYTES + 1 + length
            if start != FRAME_START or end - at > MAX_FRAME_BYTES:
                at = self._resync(chunk, at)
                continue
            if end > size:
                self._need = end - at
                break
            separator = chunk.find(SEPARATOR, at + PREFIX_BYTES, end)
            try:
                head = str(chunk[at + PREFIX_BYTES:separator], 'utf-8')
            except ValueError as error:
                _complain('a frame from the agent has no JSON head: %s' % error)
            else:
                yield head, chunk[separator + 1:end]
            at = end
        if at < size:
            self._tail += chunk[at:]

    @staticmethod
    def _resync(chunk, at):
        _complain('stray bytes on stdin, looking for the next frame')
        following = chunk.find(FRAME_START, at + 1)
        return len(chunk) if following < 0 else following


_PREFIX = struct.Struct('>BI')
_pack_prefix = _PREFIX.pack


class _FrameWriter:
    """Gathers frames and writes them with one system call.

    append() may be called from every thread; the deque keeps the order. The
    thread that serves flushes after each read, others cannot wait for that.
    """

    def __init__(self):
        self._fd = None  # None: not open, frames wait.
        self._owner = None
        self._frames = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._terminated = False

    def open(self, fd):
        self._fd = fd
        self._owner = get_ident()

    def append(self, head, payload):
        """Takes one frame. REQUIRES: `head` is ASCII, `payload` bytes."""
        head = head.encode('ascii')
        size = len(head) + 1 + len(payload)
        self._frames.append(_pack_prefix(FRAME_START, size) + head + SEPARATOR + payload)
        self._bytes += size
        if self._bytes > FLUSH_BYTES or get_ident() != self._owner:
            self.flush()

    def flush(self):
        """Writes all; waits while the pipe is full."""
        if self._fd is None:
            return
        with self._lock:
            self._write_frames()
        if self._terminated:
            os.kill(os.getpid(), signal.SIGTERM)

    def finish(self, *_):
        """SIGTERM: ends us as it would have, but with the frames we have written, whole."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._terminated = True
        if self._lock.acquire(False):
            try:
                self._write_frames()
            finally:
                self._lock.release()
            os.kill(os.getpid(), signal.SIGTERM)
        # Else whoever holds the lock, perhaps the code we interrupted, ends us.

    def _write_frames(self):
        frames = self._frames
        self._bytes = 0
        batch = b''.join([frames.popleft() for _ in range(len(frames))])
        if batch:
            _write_all(self._fd, batch)


def _write_all(fd, batch):
    try:
        written = os.write(fd, batch)
    except BlockingIOError:
        written = 0
    except BrokenPipeError:
        return  # The end of stdin follows.
    rest = memoryview(batch)[written:]
    while rest:
        _wait_for(fd, select.POLLOUT)
        try:
            rest = rest[os.write(fd, rest):]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            return


def _wait_for(fd, event):
    poll = select.poll()
    poll.register(fd, event)
    poll.poll()


# --- Heads -------------------------------------------------------------------

# Workers use the same few names for ever: `,"content-type":` is built once. A
# name from outside must not grow the cache without end, nor set a field of the
# protocol: those begin with an underscore and are left out.
_key_cache = {}
_MAX_CACHED_KEYS = 1000


def _header_key(name):
    name = str(name)
    key = '' if name[:1] == '_' or name == 'dataType' else ',%s:' % _quote(name.lower())
    if len(_key_cache) < _MAX_CACHED_KEYS:
        _key_cache[name] = key
    return key


def _headers_to_json(headers):
    parts = []
    for name, value in headers.items():
        key = _key_cache.get(name)
        if key is None:
            key = _header_key(name)
        if not key or value is None:
            continue
        parts.append(key)
        if type(value) is str:
            parts.append(_quote(value))
        elif isinstance(value, (list, tuple)):
            parts.append(_to_json([str(item) for item in value]))
        else:
            parts.append(_quote(str(value)))
    return ''.join(parts)


def _split_path(path):
    return [unquote(part) for part in path.split('/') if part]


def _parse_query(query):
    values = {}
    for pair in query.split('&'):
        if not pair:
            continue
        name, _, value = pair.replace('+', ' ').partition('=')
        name, value = unquote(name), unquote(value)
        if name not in values:
            values[name] = value
        elif isinstance(values[name], list):
            values[name].append(value)
        else:
            values[name] = [values[name], value]
    return values


def _parse_cookies(header):
    """The first of a repeated name counts, as in PHP and RFC 6265's order."""
    cookies = {}
    for pair in header.split(';'):
        name, equals, value = pair.partition('=')
        name, value = name.strip(), value.strip()
        if not equals or not name or name in cookies:
            continue
        if len(value) >= 2 and value[0] == value[-1] == '"':
            value = value[1:-1]
        cookies[name] = unquote(value)
    return cookies


# --- Sessions ----------------------------------------------------------------

class _Text(bytes):
    """A WebSocket text message: bytes, as the API says, that are text when written back."""


class _lazy:
    """An attribute that is computed when first asked for."""

    def __init__(self, compute):
        self._compute = compute
        self._name = compute.__name__

    def __get__(self, session, owner=None):
        if session is None:
            return self
        value = session.__dict__[self._name] = self._compute(session)
        return value


class _told_or_lazy(_lazy):
    """One that a lean agent leaves to us, and that another has told."""

    def __get__(self, session, owner=None):
        if session is None:
            return self
        # A head with a text is a lean one.
        value = session.metadata.get(self._name) if session._text is None else None
        if value is None:
            value = self._compute(session)
        session.__dict__[self._name] = value
        return value


def _metadata(key):
    return property(lambda session: session.metadata.get(key))


class ApmSession:
    """One HTTP exchange, WebSocket or TCP connection.

    Made by the connector; add attributes of your own as you like.
    """

    on_close = None  # () the other side ended the session
    on_end = None    # () the request's body is complete
    on_drain = None  # () this worker is being replaced: save what you need
    close_reason = None
    _on_data = None
    _waiting = None  # Data that came before on_data was set.
    _active = True
    _accepted = False

    _text = None  # The head, of which headers and metadata have not been parsed.
    _headers_at = 0

    def __init__(self, module, session_id, protocol, method, path, query):
        self._module = module
        self._append = module._append
        self.session_id = session_id
        self._id = _quote(session_id)
        self.protocol = protocol
        self.method = method
        self.path = path
        self.query = query

    @_lazy
    def metadata(self):
        """Everything the agent told, under its own names."""
        metadata, _ = _parse(self._text)
        if 'headers' in self.__dict__:
            metadata['headers'] = self.headers
        return metadata

    @_lazy
    def headers(self):
        if 'metadata' in self.__dict__:
            return self.metadata.get('headers') or {}
        return _parse(self._text, self._headers_at)[0]

    instance_id = property(lambda self: self._module.instance_id)
    host = _metadata('host')
    scheme = _metadata('scheme')
    http_version = _metadata('httpVersion')
    listener = _metadata('listener')
    request_id = _metadata('requestId')
    remote_port = _metadata('remotePort')
    tls = _metadata('tls')
    resumed = _metadata('_resumed')

    @property
    def remote_ip(self):
        return (self.metadata.get('remoteAddress') or '').partition(',')[0].strip()

    @_told_or_lazy
    def path_array(self):
        return _split_path(self.path)

    @_told_or_lazy
    def query_object(self):
        return _parse_query(self.query)

    @_told_or_lazy
    def cookies(self):
        return _parse_cookies(self.headers.get('cookie') or '')

    @_lazy
    def session_data(self):
        return self.metadata.get('_sessionData') or {}

    @property
    def on_data(self):
        """(data: bytes, is_binary: bool). What comes before it is set waits for it."""
        return self._on_data

    @on_data.setter
    def on_data(self, callback):
        self._on_data = callback
        if self._waiting is not None:
            self._deliver_waiting()

    def active(self):
        return self._active

    def write(self, data, headers=None):
        if not self._active:
            return
        kind = 'binary'
        if isinstance(data, str):
            kind = 'text'
            data = data.encode('utf-8')
        elif type(data) is not bytes:
            if type(data) is _Text:
                kind = 'text'
            data = _as_bytes('write', data)
        if headers:
            if headers.get('dataType') in ('text', 'binary'):
                kind = headers['dataType']
            headers = _headers_to_json(headers)
        self._send(f'{{"_command":"write","_session":{self._id},"dataType":"{kind}"',
                   headers or '', data, self.protocol == 'ws')

    def write_raw(self, data):
        if not self._active:
            return
        data = data.encode('utf-8') if isinstance(data, str) else _as_bytes('write_raw', data)
        self._send('{"_command":"writeRaw","_session":%s' % self._id, '', data, False)

    def close(self, code=None, reason=None):
        if not self._active:
            return
        head = '{"_command":"closeConnection","_session":' + self._id
        if code is not None:
            head += ',"code":%d' % int(code)
        if reason is not None:
            head += ',"_reason":' + _quote(str(reason))
        self._end()
        self._append(head + '}', b'')

    def save_session_data(self):
        if self._active:
            self._command('saveSessionData', ',"_sessionData":' + _to_json(self.session_data))

    @property
    def has_body(self):
        """True if the head announces a body (RFC 9112, 6.3).

        The agent then sends one, and ends it with a `data` frame.
        """
        length = self.headers.get('content-length', '0')
        return 'transfer-encoding' in self.headers or length.strip('0') != ''

    def _connected(self):
        """The connect callback has returned."""
        if self.protocol == 'ws':
            self.accept()
        elif self.on_end is not None and self.protocol == 'http' and self._active and not self.has_body:
            self._module._guard(self, 'on_end', self.on_end)

    def accept(self):
        """Answers a WebSocket handshake now rather than when the connect callback returned."""
        if self._active and not self._accepted and self.protocol == 'ws':
            self._accepted = True
            self._command('accept', '')

    def metric(self, name, value, type='counter', labels=None):
        self._module._metric(self._id, name, value, type, labels)

    def log(self, level, message, fields=None):
        self._module._log(self._id, level, message, fields)

    def _command(self, command, fields):
        self._append('{"_command":"%s","_session":%s%s}' % (command, self._id, fields), b'')

    def _send(self, head, headers, data, is_message):
        """Bytes without an end (HTTP, TCP) may be cut to fit frames, a message not."""
        if len(data) <= MAX_PAYLOAD_BYTES:
            self._append(f'{head}{headers}}}', data)
            return
        if is_message:
            raise ValueError('a WebSocket message has at most %d bytes, not %d' % (MAX_PAYLOAD_BYTES, len(data)))
        for start in range(0, len(data), MAX_PAYLOAD_BYTES):
            self._append(head + headers + '}', data[start:start + MAX_PAYLOAD_BYTES])
            headers = ''

    def _end(self):
        self._active = False
        self._waiting = None
        self._module._sessions.pop(self.session_id, None)

    def _deliver(self, head, payload):
        is_binary = head.get('dataType') != 'text'
        if not is_binary and self.protocol == 'ws':
            payload = _Text(payload)
        item = (payload, is_binary, head['_type'] == 'data' and self.protocol == 'http')
        if self._on_data is not None and self._waiting is None:
            self._hand(*item)
            return
        # Not the common case. The callback may be set in another thread meanwhile.
        with self._module._waiting_lock:
            if self._waiting is None:
                self._waiting = deque()
            self._waiting.append(item)
        if self._on_data is not None:
            self._deliver_waiting()

    def _deliver_waiting(self):
        with self._module._waiting_lock:
            while self._waiting and self._on_data is not None:
                self._hand(*self._waiting.popleft())
            if not self._waiting:
                self._waiting = None

    def _hand(self, data, is_binary, is_last):
        self._module._guard(self, 'on_data', self._on_data, data, is_binary)
        if is_last and self._active and self.on_end is not None:
            self._module._guard(self, 'on_end', self.on_end)


def _as_bytes(method, data):
    if type(data) is bytes:
        return data
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise TypeError('%s() takes str or bytes, not %s; use json.dumps() for objects' % (method, type(data).__name__))


# --- The module --------------------------------------------------------------

class ApmModule:
    def __init__(self, on_connect, concurrency=DEFAULT_CONCURRENCY):
        if not callable(on_connect):
            raise TypeError('ApmModule takes a function of the session, not %s' % type(on_connect).__name__)
        self.instance_id = os.environ.get('APM_INDEX', '0')
        self._on_connect = on_connect
        self._sessions = {}
        self._reader = _FrameReader()
        self._writer = _FrameWriter()
        self._append = self._writer.append
        self._waiting_lock = threading.RLock()
        self._running = False
        self._append('{"_command":"hello","connector":"python/%s","concurrency":%d,"features":%s}'
                     % (VERSION, concurrency, _to_json(FEATURES)), b'')

    def run(self):
        """Takes stdin and stdout over and serves until the agent closes stdin."""
        if self._running:
            raise RuntimeError('run() was called before')
        self._running = True
        if os.isatty(0):
            _complain('this worker expects frames from an APM agent on stdin; start it with `apmctl run`')
        stdin, stdout = _take_stdio()
        self._writer.open(stdout)
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._writer.finish)
        self._append('{"_command":"ready"}', b'')
        try:
            self._writer.flush()
            for chunk in iter(lambda: _read(stdin), b''):
                for text, payload in self._reader.feed(chunk):
                    self._dispatch(text, payload)
                self._writer.flush()
        finally:
            self._writer.flush()

    def metric(self, name, value, type='counter', labels=None):
        self._metric('""', name, value, type, labels)

    def log(self, level, message, fields=None):
        self._log('""', level, message, fields)

    def _dispatch(self, text, payload):
        start = _match_new_session(text)
        if start is not None:
            session = ApmSession(self, *start.groups())
            session._text = text
            session._headers_at = start.end()
            self._connect(session)
            return
        try:
            head, _ = _parse(text)
        except ValueError as error:
            _complain('a frame from the agent has no JSON head: %s' % error)
            return
        if not isinstance(head, dict):
            return
        get = head.get
        if get('_sessionType') == 'new':
            session = ApmSession(self, head['_sessionId'], get('protocol'), get('method'), get('path') or '',
                                 get('query') or '')
            session.metadata = head
            self._connect(session)
        kind = head.get('_type')
        if kind is None:
            return
        session = self._sessions.get(head.get('_sessionId'))
        if session is None:
            return  # Closed here while the frame was under way.
        if kind == 'data' or kind == 'chunk':
            session._deliver(head, payload)
        elif head.get('_event') == 'connectionClosed':
            session.close_reason = head.get('reason')
            session._end()
            if session.on_close is not None:
                self._guard(session, 'on_close', session.on_close)
        elif head.get('_event') == 'drain':
            if session.on_drain is None or self._guard(session, 'on_drain', session.on_drain):
                if session.active():
                    session._command('drained', '')

    def _connect(self, session):
        self._sessions[session.session_id] = session
        if self._guard(session, 'connect callback', self._on_connect, session):
            session._connected()

    def _guard(self, session, what, callback, *arguments):
        """Runs a callback of the user; a failure costs its session, never the worker."""
        try:
            callback(*arguments)
            return True
        except Exception:
            _complain("session '%s': %s failed:\n%s" % (session.session_id, what, traceback.format_exc()))
            session.close(1011 if session.protocol == 'ws' else 500, 'internal error')
            return False

    def _metric(self, session, name, value, type, labels):
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            raise TypeError("metric '%s' takes a finite number, not %r" % (name, value))
        head = {'name': str(name), 'value': value, 'type': type}
        if labels is not None:
            head['labels'] = labels
        self._append('{"_command":"metric","_session":%s,%s' % (session, _to_json(head)[1:]), b'')

    def _log(self, session, level, message, fields):
        head = {'level': str(level), 'message': str(message)}
        if fields is not None:
            head['fields'] = fields
        self._append('{"_command":"log","_session":%s,%s' % (session, _to_json(head)[1:]), b'')


def _take_stdio():
    """Moves the pipes out of the reach of print(), input(), C code and children.

    Returns the descriptors of the frames in and out. 0 becomes /dev/null, 1 is stderr.
    """
    stdin, stdout = os.dup(0), os.dup(1)  # Not inherited by children (PEP 446).
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    if sys.stdout is sys.__stdout__:
        sys.stdout.flush()
        # Lines reach the log when they are printed, in whatever locale.
        sys.stdout = open(1, 'w', buffering=1, encoding='utf-8', errors='backslashreplace', closefd=False)
    return stdin, stdout


def _read(fd):
    while True:
        try:
            return os.read(fd, READ_BYTES)
        except BlockingIOError:
            _wait_for(fd, select.POLLIN)


# --- Update ------------------------------------------------------------------

_UPDATE_USAGE = 'usage: python3 apm_module.py -update [https://URL --sha256 DIGEST]\n'
MAX_SOURCE_BYTES = 4 << 20


def _fetch_from_agent():
    import subprocess
    command = ['apmctl', 'connectors', 'get', 'python']
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=30)
        why = done.stderr.decode('utf-8', 'replace').strip() if done.returncode else None
    except (OSError, subprocess.TimeoutExpired) as error:
        why = str(error)
    if why is not None:
        raise OSError("'%s' failed: %s\n"
                      'next: check that the agent runs (apmctl ping), copy the file from $APM_CONNECTORS/python,\n'
                      'or name a source: -update https://URL --sha256 DIGEST' % (' '.join(command), why))
    return done.stdout


def _fetch_from_url(url):
    from urllib.request import HTTPRedirectHandler, build_opener

    class NoRedirect(HTTPRedirectHandler):
        """The address that was named has to answer itself."""

        def redirect_request(self, *_):
            return None

    with build_opener(NoRedirect).open(url, timeout=30) as response:
        source = response.read(MAX_SOURCE_BYTES + 1)
    if len(source) > MAX_SOURCE_BYTES:
        raise ValueError("'%s' is larger than %d bytes" % (url, MAX_SOURCE_BYTES))
    return source


def _replace_file(path, source):
    """All or nothing: a new file beside the old one takes its name when it is on disk."""
    old = os.lstat(path)
    if not stat.S_ISREG(old.st_mode):
        raise ValueError("'%s' is not a regular file; update the file it points to" % path)
    temporary = '%s.%d.new' % (path, os.getpid())
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, 'wb') as file:
            file.write(source)
            file.flush()
            os.fchown(fd, old.st_uid, old.st_gid)
            os.fchmod(fd, stat.S_IMODE(old.st_mode))
            os.fsync(fd)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _update(path, url=None, option=None, pin=None):
    import hashlib
    if url is not None and not (url.startswith('https://') and option == '--sha256' and pin):
        raise ValueError('a URL begins with https:// and needs its --sha256 DIGEST')
    source = _fetch_from_agent() if url is None else _fetch_from_url(url)
    sha256 = hashlib.sha256(source).hexdigest()
    if pin is not None and pin.lower() != sha256:
        raise ValueError("'%s' has SHA-256 %s, not the pinned %s" % (url, sha256, pin))
    if b'class ApmModule' not in source:
        raise ValueError('what came is not an APM connector')
    _replace_file(path, source)
    print("updated '%s'\nSHA-256 %s\nMD5     %s" % (path, sha256, hashlib.md5(source).hexdigest()))


def _main(arguments):
    if arguments[:1] != ['-update'] or len(arguments) not in (1, 4):
        sys.stderr.write(_UPDATE_USAGE)
        return 2
    try:
        _update(os.path.abspath(__file__), *arguments[1:])
        return 0
    except (OSError, ValueError) as error:
        _complain('update failed, the file is as it was: %s' % error)
        return 1


if __name__ == '__main__':
    sys.exit(_main(sys.argv[1:]))
