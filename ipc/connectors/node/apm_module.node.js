'use strict';
// APM connector for Node.js >= 14: one file, no dependencies.
//
//   const ApmModule = require('./apm_module.node.js');
//
//   new ApmModule((session) => {
//     session.write('Hello World', {'x-status': '200', 'content-type': 'text/plain'});
//     session.close();
//   }).run();
//
// The agent starts the worker and speaks to it over stdin and stdout, in frames:
//
//   0x05 | uint32 big-endian | JSON head | 0x03 | payload
//
// From the agent the uint32 counts head and payload; to the agent it counts the
// 0x03 as well. All sessions (HTTP exchanges, WebSocket and TCP connections)
// share the two pipes; the head says whose a frame is. console.log() goes to
// stderr, so that it ends up in the log and not between frames.
//
// The API and its extensions: README.md beside this folder.
// Update in place: node apm_module.node.js -update

const fs = require('fs');
const net = require('net');
const querystring = require('querystring');
const tty = require('tty');

const VERSION = '1.0';
const FEATURES = ['lean', 'accept', 'drain'];
const DEFAULT_CONCURRENCY = 64;

const FRAME_START = 0x05;
const SEPARATOR = 0x03;
const PREFIX_BYTES = 5;  // FRAME_START and the length.
const MAX_PAYLOAD_BYTES = 16 << 20;
const MAX_FRAME_BYTES = MAX_PAYLOAD_BYTES + (1 << 20);  // More is not a length.
const READ_BYTES = 64 << 10;
const OUTPUT_BYTES = 64 << 10;
const NO_BYTES = Buffer.alloc(0);

// --- JSON heads --------------------------------------------------------------

// Heads are written as ASCII: a byte is then a character, and the cheap latin1
// copy is right.
const NOT_PLAIN = /["\\\u0000-\u001f\u007f-\uffff]/;
const NOT_ASCII = /[\u007f-\uffff]/g;

function toJson(value) {
  return JSON.stringify(value).replace(
      NOT_ASCII, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
}

function quote(text) {
  return NOT_PLAIN.test(text) ? toJson(text) : '"' + text + '"';
}

// Workers use the same few names for ever: `,"content-type":` is built once.
// A name from outside must not grow the cache without end, nor set a field of
// the protocol: those begin with an underscore and are left out.
const keyCache = new Map();
const MAX_CACHED_KEYS = 1000;

function headerKey(name) {
  let key = keyCache.get(name);
  if (key === undefined) {
    key = name[0] === '_' || name === 'dataType' ? '' : ',' + quote(name.toLowerCase()) + ':';
    if (keyCache.size < MAX_CACHED_KEYS) keyCache.set(name, key);
  }
  return key;
}

function headersToJson(headers) {
  let json = '';
  for (const name of Object.keys(headers)) {
    const value = headers[name];
    const key = headerKey(name);
    if (key === '' || value === undefined || value === null) continue;
    if (typeof value === 'string') {
      json += key + quote(value);
    } else if (Array.isArray(value)) {
      json += key + '[' + value.map((item) => quote(String(item))).join(',') + ']';
    } else {
      json += key + quote(String(value));
    }
  }
  return json;
}

// The head of a new session as the agent writes it for a lean connector, up to
// its headers. JSON.parse() of a whole head is a third of an exchange, and most
// of what it makes nobody looks at: a head of this form (else, and where there
// are escapes, all of it is parsed) is cut here, and the rest when asked for.
const NEW_SESSION = new RegExp(
    '^{"_sessionId":"([^"\\\\]+)","_sessionType":"new","_sessionData":{},"protocol":"([^"\\\\]+)",' +
    '"method":(?:null|"([^"\\\\]*)"),"path":"([^"\\\\]*)","query":"([^"\\\\]*)","headers":(?={)');
// No string of JSON contains this: its quotes would have backslashes.
const AFTER_HEADERS = ',"remoteAddress":"';

// --- Frames in ---------------------------------------------------------------

// Turns bytes, split anyhow, into calls of `onFrame(head, payload)`. A head is
// a text, a payload a view of the chunk it came in.
class FrameReader {
  constructor(onFrame) {
    this._onFrame = onFrame;
    this._chunks = [];  // The beginning of a frame, joined only when it is whole.
    this._have = 0;
    this._need = PREFIX_BYTES;
  }

  feed(chunk) {
    if (this._have > 0) {
      this._chunks.push(chunk);
      this._have += chunk.length;
      if (this._have < this._need) return;
      chunk = Buffer.concat(this._chunks, this._have);
      this._chunks = [];
    }
    const rest = chunk.subarray(this._parse(chunk));
    this._have = rest.length;
    if (rest.length > 0) this._chunks.push(rest);
  }

  // Consumes every whole frame; returns where the unfinished one begins.
  _parse(bytes) {
    let at = 0;
    this._need = PREFIX_BYTES;
    while (bytes.length - at >= PREFIX_BYTES) {
      const end = at + PREFIX_BYTES + 1 + bytes.readUInt32BE(at + 1);
      if (bytes[at] !== FRAME_START || end - at > MAX_FRAME_BYTES) {
        at = this._resync(bytes, at);
        continue;
      }
      if (end > bytes.length) {
        this._need = end - at;
        break;
      }
      const separator = bytes.indexOf(SEPARATOR, at + PREFIX_BYTES);
      this._onFrame(bytes.utf8Slice(at + PREFIX_BYTES, separator),
          separator + 1 === end ? NO_BYTES : bytes.subarray(separator + 1, end));
      at = end;
    }
    return at;
  }

  _resync(bytes, at) {
    complain('stray bytes on stdin, looking for the next frame');
    const next = bytes.indexOf(FRAME_START, at + 1);
    return next < 0 ? bytes.length : next;
  }
}

// --- Frames out --------------------------------------------------------------

// Gathers the frames of one turn of the event loop and writes them with one
// system call. What a full pipe does not take waits in the stream, in order;
// `onFull` and `onDrain` let the owner stop taking requests meanwhile.
class FrameWriter {
  constructor(onFull, onDrain, onError) {
    this._bytes = Buffer.allocUnsafe(OUTPUT_BYTES);
    this._used = 0;
    this._stream = null;
    this._early = [];  // Frames from before open().
    this._scheduled = false;
    this._full = false;
    this._onFull = onFull;
    this._onDrain = onDrain;
    this._onError = onError;
    this._flushNow = () => {
      this._scheduled = false;
      this.flush();
    };
  }

  open(stream) {
    this._stream = stream;
    stream.on('error', this._onError);
    for (const [head, payload] of this._early) this.append(head, payload);
    this._early = [];
  }

  // REQUIRES: `head` is ASCII.
  append(head, payload) {
    if (this._stream === null) {
      this._early.push([head, payload]);
      return;
    }
    const isText = typeof payload === 'string';
    const headEnd = PREFIX_BYTES + head.length;
    // UTF-8 takes at most three bytes for a UTF-16 unit.
    const most = headEnd + 1 + (isText ? payload.length * 3 : payload.length);
    if (most > OUTPUT_BYTES - this._used) {
      this.flush();
      if (most > OUTPUT_BYTES) {
        this._appendLarge(head, isText ? Buffer.from(payload) : payload);
        return;
      }
    }
    const bytes = this._bytes;
    const start = this._used;
    let at = start + headEnd;
    bytes.latin1Write(head, start + PREFIX_BYTES, head.length);
    bytes[at++] = SEPARATOR;
    if (isText) {
      if (payload !== '') at += bytes.utf8Write(payload, at);
    } else {
      bytes.set(payload, at);
      at += payload.length;
    }
    bytes[start] = FRAME_START;
    bytes.writeUInt32BE(at - start - PREFIX_BYTES, start + 1);
    this._used = at;
    if (!this._scheduled) {
      this._scheduled = true;
      // After the callbacks and promises of this turn, before it waits again.
      setImmediate(this._flushNow);
    }
  }

  _appendLarge(head, payload) {
    const start = Buffer.allocUnsafe(PREFIX_BYTES + head.length + 1);
    start[0] = FRAME_START;
    start.writeUInt32BE(head.length + 1 + payload.length, 1);
    start.latin1Write(head, PREFIX_BYTES, head.length);
    start[start.length - 1] = SEPARATOR;
    // A copy: the caller may reuse its buffer before the pipe has room.
    this._write(Buffer.concat([start, payload]));
  }

  flush() {
    if (this._used === 0) return;
    this._write(this._bytes.subarray(0, this._used));
    this._used = 0;
    // Mostly the pipe took all at once. Else the stream still needs our buffer.
    if (this._stream.writableLength > 0) this._bytes = Buffer.allocUnsafe(OUTPUT_BYTES);
  }

  _write(bytes) {
    if (this._stream.write(bytes) || this._full) return;
    this._full = true;
    this._onFull();
    this._stream.once('drain', () => {
      this._full = false;
      this._onDrain();
    });
  }

  // Calls `done` when the pipe has everything.
  finish(done) {
    this.flush();
    if (this._stream.writableLength === 0) done();
    else this._stream.write(NO_BYTES, done);
  }
}

// --- Sessions ----------------------------------------------------------------

const splitPath = (path) =>
  path.split('/').filter((part) => part !== '').map(querystring.unescape);

// The first of a repeated name counts, as in PHP and RFC 6265's order.
function parseCookies(header) {
  const cookies = Object.create(null);
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=');
    if (equals < 0) continue;
    const name = pair.slice(0, equals).trim();
    if (name === '' || name in cookies) continue;
    cookies[name] = querystring.unescape(pair.slice(equals + 1).trim().replace(/^"(.*)"$/, '$1'));
  }
  return cookies;
}

// One HTTP exchange, WebSocket or TCP connection. Made by the connector; add
// fields of your own as you like.
class ApmSession {
  // `start` is what NEW_SESSION found, `text` the head; or `metadata` is the
  // head, parsed.
  constructor(module, start, text, metadata) {
    this.session_id = start[1];
    this.protocol = start[2];
    this.method = start[3] || null;
    this.path = start[4] || '';
    this.query = start[5] || '';
    this.on_close = null;  // () the other side ended the session
    this.on_end = null;    // () the request's body is complete
    this.on_drain = null;  // () this worker is being replaced: save what you need
    this.close_reason = null;
    this._text = text;
    this._headers_at = text === null ? 0 : start[0].length;
    this._metadata = metadata;
    this._headers = null;
    this._session_data = null;
    this._module = module;
    this._id = quote(this.session_id);
    this._active = true;
    this._accepted = false;
    this._on_data = null;
    this._waiting = null;  // Data that came before on_data was set.
  }

  // Everything the agent told, under its own names.
  get metadata() {
    if (this._metadata === null) {
      this._metadata = JSON.parse(this._text);
      if (this._headers !== null) this._metadata.headers = this._headers;
    }
    return this._metadata;
  }

  get headers() {
    if (this._headers === null) {
      const end = this._metadata === null ? this._text.indexOf(AFTER_HEADERS, this._headers_at) : -1;
      this._headers = end < 0 ? this.metadata.headers || {} : JSON.parse(this._text.slice(this._headers_at, end));
    }
    return this._headers;
  }
  set headers(headers) { this._headers = headers; }

  get session_data() {
    if (this._session_data === null) this._session_data = this.metadata._sessionData || {};
    return this._session_data;
  }
  set session_data(data) { this._session_data = data; }

  get instance_id() { return this._module.instance_id; }
  get remote_ip() { return (this.metadata.remoteAddress || '').split(',', 1)[0].trim(); }

  // A lean agent leaves these three to us; they are computed when asked for.
  get path_array() { return this._lazy('path_array', () => splitPath(this.path)); }
  get query_object() {
    return this._lazy('query_object', () => querystring.parse(this.query, '&', '=', {maxKeys: 0}));
  }
  get cookies() {
    return this._lazy('cookies', () => parseCookies(this.headers.cookie || ''));
  }

  // `(data, is_binary)`: a string for WebSocket text, else a Buffer. What comes
  // before the callback is set waits for it.
  get on_data() { return this._on_data; }
  set on_data(callback) {
    this._on_data = callback || null;
    // Later, so that on_end may be set on the next line.
    if (this._waiting !== null) process.nextTick(() => this._deliverWaiting());
  }

  active() { return this._active; }

  write(data, headers) {
    if (!this._active) return;
    let type = typeof data === 'string' ? 'text' : 'binary';
    let head = '';
    if (headers !== undefined && headers !== null) {
      head = headersToJson(headers);
      if (headers.dataType === 'text' || headers.dataType === 'binary') type = headers.dataType;
    }
    this._send('write', ',"dataType":"' + type + '"', head, data);
  }

  write_raw(data) {
    if (this._active) this._send('writeRaw', '', '', data);
  }

  close(code, reason) {
    if (!this._active) return;
    let head = '{"_command":"closeConnection","_session":' + this._id;
    if (code !== undefined && code !== null) {
      if (!Number.isInteger(+code)) throw new TypeError(`close() takes an integer code, not '${code}'`);
      head += ',"code":' + +code;
    }
    if (reason !== undefined && reason !== null) head += ',"_reason":' + quote(String(reason));
    this._module._writer.append(head + '}', '');
    this._ended();
  }

  save_session_data() {
    if (!this._active) return;
    this._command('saveSessionData', ',"_sessionData":' + toJson(this.session_data));
  }

  // Answers a WebSocket handshake now rather than when the connect callback (or
  // its promise) is done.
  // True if the head announces a body (RFC 9112, 6.3): the agent then sends
  // one, and ends it with a `data` frame.
  get has_body() {
    const {headers} = this;
    return headers['transfer-encoding'] !== undefined || +(headers['content-length'] || 0) > 0;
  }

  // The connect callback, or its promise, has returned.
  _connected() {
    this.accept();
    if (this._active && this.on_end && this.protocol === 'http' && !this.has_body) {
      this._module._guard(this, 'on_end', () => this.on_end());
    }
  }

  accept() {
    if (!this._active || this._accepted || this.protocol !== 'ws') return;
    this._accepted = true;
    this._command('accept', '');
  }

  metric(name, value, type, labels) {
    this._module._metric(this._id, name, value, type, labels);
  }
  log(level, message, fields) { this._module._log(this._id, level, message, fields); }

  _lazy(name, compute) {
    const value = this.metadata[name] || compute();
    Object.defineProperty(this, name, {value, writable: true, enumerable: true, configurable: true});
    return value;
  }

  _command(command, fields) {
    this._module._writer.append(
        '{"_command":"' + command + '","_session":' + this._id + fields + '}', '');
  }

  // Bytes without an end (HTTP, TCP) may be cut to fit frames, a message not.
  _send(command, fields, headers, data) {
    if (typeof data !== 'string' && !(data instanceof Uint8Array)) {
      throw new TypeError(`${command}() takes a string, Buffer or Uint8Array, not ${describe(data)}; ` +
                          'use JSON.stringify() for objects');
    }
    const head = '{"_command":"' + command + '","_session":' + this._id + fields;
    const writer = this._module._writer;
    if (data.length * 3 > MAX_PAYLOAD_BYTES) {
      let bytes = typeof data === 'string' ? Buffer.from(data) : data;
      if (bytes.length > MAX_PAYLOAD_BYTES && this.protocol === 'ws' && command === 'write') {
        throw new RangeError(`a WebSocket message has at most ${MAX_PAYLOAD_BYTES} bytes, ` +
                             `not ${bytes.length}`);
      }
      for (; bytes.length > MAX_PAYLOAD_BYTES; bytes = bytes.subarray(MAX_PAYLOAD_BYTES)) {
        writer.append(head + headers + '}', bytes.subarray(0, MAX_PAYLOAD_BYTES));
        headers = '';
      }
      data = bytes;
    }
    writer.append(head + headers + '}', data);
  }

  _ended() {
    this._active = false;
    this._waiting = null;
    this._module._sessions.delete(this.session_id);
  }

  _deliver(head, payload) {
    const isBinary = head.dataType !== 'text';
    const data = isBinary || this.protocol !== 'ws' ? payload : payload.toString();
    const isLast = head._type === 'data' && this.protocol === 'http';
    if (this._on_data === null || this._waiting !== null) {
      if (this._waiting === null) this._waiting = [];
      this._waiting.push([data, isBinary, isLast]);
    } else {
      this._hand(data, isBinary, isLast);
    }
  }

  _deliverWaiting() {
    while (this._waiting !== null && this._on_data !== null) {
      const next = this._waiting.shift();
      if (next === undefined) this._waiting = null;
      else this._hand(...next);
    }
  }

  _hand(data, isBinary, isLast) {
    this._module._guard(this, 'on_data', () => this._on_data(data, isBinary));
    if (isLast && this._active && this.on_end) {
      this._module._guard(this, 'on_end', () => this.on_end());
    }
  }
}

for (const [name, key] of [['host', 'host'], ['scheme', 'scheme'], ['http_version', 'httpVersion'],
  ['listener', 'listener'], ['request_id', 'requestId'], ['remote_port', 'remotePort'],
  ['tls', 'tls'], ['resumed', '_resumed']]) {
  Object.defineProperty(ApmSession.prototype, name, {get() { return this.metadata[key]; }});
}

// --- The module --------------------------------------------------------------

function describe(value) {
  if (value === null) return 'null';
  if (typeof value !== 'object') return typeof value;
  return value.constructor ? value.constructor.name : 'object';
}

function complain(message) {
  process.stderr.write(`apm: ${message}\n`);
}

// Gives the pipe on `fd` a descriptor of its own and puts the file `replacement`
// into its place, so that whatever children inherit cannot touch frames. Node
// has no dup2(), but the kernel gives a new file the lowest free number. Where
// /proc does not let us, the frames stay where they are.
function moveAway(fd, flags, replacement, replacementFlags) {
  let moved = -1;
  try {
    if (!fs.fstatSync(fd).isFIFO()) return fd;
    const spare = fs.openSync(replacement, replacementFlags);
    moved = fs.openSync(`/proc/self/fd/${fd}`, flags);
    fs.closeSync(fd);
    fs.openSync(replacement, replacementFlags);
    fs.closeSync(spare);
    return moved;
  } catch (error) {
    return moved < 0 ? fd : moved;
  }
}

// Both take a pipe or a socket, or a file or terminal when somebody tries by hand.
// One buffer for all reads saves a tenth of the CPU time of an exchange; copied,
// because callbacks may keep their payloads.
function openInput(fd, onChunk) {
  const onread = {
    buffer: Buffer.allocUnsafe(READ_BYTES),
    callback: (size, buffer) => {
      onChunk(Buffer.from(buffer.subarray(0, size)));
      return true;
    },
  };
  try {
    return new net.Socket({fd, readable: true, writable: false, onread}).resume();
  } catch (error) {
    return fs.createReadStream(null, {fd}).on('data', onChunk);
  }
}

function openOutput(fd) {
  try {
    return new net.Socket({fd, readable: false, writable: true});
  } catch (error) {
    return fs.createWriteStream(null, {fd});
  }
}

class ApmModule {
  constructor(onConnect, options) {
    if (typeof onConnect !== 'function') {
      throw new TypeError(`ApmModule takes a function (session) => ..., not ${describe(onConnect)}`);
    }
    this.instance_id = process.env.APM_INDEX || '0';
    this._onConnect = onConnect;
    this._concurrency = (options || {}).concurrency || DEFAULT_CONCURRENCY;
    this._sessions = new Map();
    this._reader = new FrameReader((head, payload) => this._dispatch(head, payload));
    this._writer = new FrameWriter(
        () => this._input.pause(), () => this._input.resume(),
        () => process.exit(0));  // The agent is gone.
    this._input = null;
    this._ending = false;
    this._writer.append(`{"_command":"hello","connector":"node/${VERSION}","concurrency":` +
                        `${this._concurrency},"features":${JSON.stringify(FEATURES)}}`, '');
  }

  // Takes stdin and stdout over and serves until the agent closes stdin. Returns
  // at once; the process ends with 0.
  run() {
    if (this._input !== null) throw new Error('run() was called before');
    if (tty.isatty(0)) {
      complain('this worker expects frames from an APM agent on stdin; start it with `apmctl run`');
    }
    this._takeStdio();
    this._writer.append('{"_command":"ready"}', '');
    this._input.on('end', () => this._end());
    this._input.on('error', () => this._end());
    process.on('exit', () => this._writer.flush());
    // Who handles SIGTERM decides alone; else it ends us, frames first.
    if (process.listenerCount('SIGTERM') === 0) {
      const onTerm = () => this._writer.finish(() => {
        if (process.listenerCount('SIGTERM') > 1) return;
        process.removeListener('SIGTERM', onTerm);
        process.kill(process.pid, 'SIGTERM');
      });
      process.on('SIGTERM', onTerm);
    }
  }

  metric(name, value, type, labels) { this._metric('""', name, value, type, labels); }
  log(level, message, fields) { this._log('""', level, message, fields); }

  _takeStdio() {
    const inFd = moveAway(0, 'r', '/dev/null', 'r');
    const outFd = moveAway(1, 'w', '/proc/self/fd/2', 'a');
    this._input = openInput(inFd, (chunk) => this._reader.feed(chunk));
    this._writer.open(openOutput(outFd));
    // True: nobody would ever hear stderr's 'drain' on stdout.
    process.stdout.write = (...args) => process.stderr.write(...args) || true;
  }

  _dispatch(text, payload) {
    const start = NEW_SESSION.exec(text);
    if (start !== null) {
      this._connect(new ApmSession(this, start, text, null));
      return;
    }
    let head = null;
    try {
      head = JSON.parse(text);
    } catch (error) {
      complain(`a frame from the agent has no JSON head: ${error.message}`);
    }
    if (head === null) return;
    if (head._sessionType === 'new') {
      const start = ['', head._sessionId, head.protocol, head.method, head.path, head.query];
      this._connect(new ApmSession(this, start, null, head));
    }
    if (head._type === undefined) return;
    const session = this._sessions.get(head._sessionId);
    if (session === undefined) return;  // Closed here while the frame was under way.
    if (head._type === 'data' || head._type === 'chunk') {
      session._deliver(head, payload);
    } else if (head._event === 'connectionClosed') {
      session.close_reason = head.reason === undefined ? null : head.reason;
      session._ended();
      if (session.on_close) this._guard(session, 'on_close', () => session.on_close());
    } else if (head._event === 'drain') {
      this._guard(session, 'on_drain', () => session.on_drain && session.on_drain(),
          () => session._active && session._command('drained', ''));
    }
  }

  _connect(session) {
    this._sessions.set(session.session_id, session);
    this._guard(session, 'connect callback', () => this._onConnect(session), () => session._connected());
  }

  // Runs a callback of the user, then `done` when it, or its promise, succeeded.
  // A failure costs its session, never the worker.
  _guard(session, what, callback, done) {
    try {
      const result = callback();
      if (result !== undefined && result !== null && typeof result.then === 'function') {
        result.then(done, (error) => this._failed(session, what, error));
      } else if (done !== undefined) {
        done();
      }
    } catch (error) {
      this._failed(session, what, error);
    }
  }

  _failed(session, what, error) {
    complain(`session '${session.session_id}': ${what} failed: ${error && error.stack || error}`);
    session.close(session.protocol === 'ws' ? 1011 : 500, 'internal error');
  }

  _metric(session, name, value, type, labels) {
    if (!Number.isFinite(value)) throw new TypeError(`metric '${name}' takes a finite number, not '${value}'`);
    const head = {_command: 'metric', name: String(name), value, type: type || 'counter', labels};
    this._writer.append(`{"_session":${session},` + toJson(head).slice(1), '');
  }

  _log(session, level, message, fields) {
    const head = {_command: 'log', level: String(level), message: String(message), fields};
    this._writer.append(`{"_session":${session},` + toJson(head).slice(1), '');
  }

  _end() {
    if (this._ending) return;
    this._ending = true;
    this._writer.finish(() => process.stderr.write('', () => process.exit(0)));
  }
}

module.exports = ApmModule;
module.exports.ApmModule = ApmModule;
module.exports.ApmSession = ApmSession;

// --- Update ------------------------------------------------------------------

const UPDATE_USAGE =
    'usage: node apm_module.node.js -update [https://URL --sha256 DIGEST]\n';
const MAX_SOURCE_BYTES = 4 << 20;

function digest(algorithm, bytes) {
  return require('crypto').createHash(algorithm).update(bytes).digest('hex');
}

function fetchFromAgent() {
  const result = require('child_process').spawnSync(
      'apmctl', ['connectors', 'get', 'node'],
      {maxBuffer: MAX_SOURCE_BYTES, timeout: 30000, stdio: ['ignore', 'pipe', 'pipe']});
  if (result.error || result.status !== 0) {
    const why = result.error ? result.error.message : result.stderr.toString().trim();
    throw new Error(`'apmctl connectors get node' failed: ${why}\n` +
                    'next: check that the agent runs (apmctl ping), copy the file from ' +
                    '$APM_CONNECTORS/node,\n' +
                    'or name a source: -update https://URL --sha256 DIGEST');
  }
  return Promise.resolve(result.stdout);
}

// Redirects are refused: the address that was named has to answer itself.
function fetchFromUrl(url) {
  return new Promise((resolve, reject) => {
    const request = require('https').get(url, {timeout: 30000}, (response) => {
      if (response.statusCode !== 200) {
        request.destroy();
        return reject(new Error(`'${url}' answered ${response.statusCode}`));
      }
      const chunks = [];
      let size = 0;
      response.on('data', (chunk) => {
        size += chunk.length;
        chunks.push(chunk);
        if (size > MAX_SOURCE_BYTES) {
          request.destroy(new Error(`'${url}' is larger than ${MAX_SOURCE_BYTES} bytes`));
        }
      });
      response.on('end', () => resolve(Buffer.concat(chunks)));
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error(`'${url}' did not answer in 30 s`)));
    request.on('error', reject);
  });
}

// All or nothing: a new file beside the old one takes its name when it is on disk.
function replaceFile(path, bytes) {
  const old = fs.lstatSync(path);
  if (!old.isFile()) throw new Error(`'${path}' is not a regular file; update the file it points to`);
  const temporary = `${path}.${process.pid}.new`;
  const fd = fs.openSync(temporary, 'wx', 0o600);
  try {
    fs.writeFileSync(fd, bytes);
    fs.fchownSync(fd, old.uid, old.gid);
    fs.fchmodSync(fd, old.mode & 0o7777);
    fs.fsyncSync(fd);
    fs.renameSync(temporary, path);
  } catch (error) {
    fs.unlinkSync(temporary);
    throw error;
  } finally {
    fs.closeSync(fd);
  }
}

async function update(path, [url, option, pin]) {
  if (url !== undefined && !(url.startsWith('https://') && option === '--sha256' && pin)) {
    throw new Error('a URL begins with https:// and needs its --sha256 DIGEST');
  }
  const bytes = await (url === undefined ? fetchFromAgent() : fetchFromUrl(url));
  const sha256 = digest('sha256', bytes);
  if (pin !== undefined && pin.toLowerCase() !== sha256) {
    throw new Error(`'${url}' has SHA-256 ${sha256}, not the pinned ${pin}`);
  }
  if (!bytes.includes('class ApmModule')) throw new Error('what came is not an APM connector');
  replaceFile(path, bytes);
  process.stdout.write(`updated '${path}'\nSHA-256 ${sha256}\nMD5     ${digest('md5', bytes)}\n`);
}

if (require.main === module) {
  const [command, ...rest] = process.argv.slice(2);
  if (command !== '-update' || (rest.length !== 0 && rest.length !== 3)) {
    process.stderr.write(UPDATE_USAGE);
    process.exitCode = 2;
  } else {
    update(process.argv[1], rest).catch((error) => {
      complain(`update failed, the file is as it was: ${error.message}`);
      process.exitCode = 1;
    });
  }
}
