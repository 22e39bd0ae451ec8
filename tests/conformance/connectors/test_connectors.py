"""The connectors against a fake agent: the same vectors and failures for each language."""

import base64
import glob
import hashlib
import json
import os
import shutil
import select
import signal
import socket
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from fake_agent import (CONNECTORS, DEADLINE_S, HERE, INTERPRETERS, ROOT, Worker, data, event, frame, payload_of,
                        request, routes, routes_command)

LANGS = sorted(INTERPRETERS)
SOURCES = {'node': 'node/apm_module.node.js', 'python': 'python/apm_module.py'}


@pytest.fixture
def spawn():
    """Starts workers; ends them by pid, whatever happened."""
    workers = []

    def start(make, *arguments, **options):
        workers.append(make(*arguments, **options))
        return workers[-1]
    yield start
    for worker in workers:
        worker.dispose()


@pytest.fixture(params=LANGS)
def lang(request):
    return request.param


@pytest.fixture
def worker(lang, spawn):
    """The worker of the vectors, started."""
    started = spawn(routes, lang)
    started.start()
    return started


# --- Vectors -----------------------------------------------------------------

def vectors():
    for path in sorted(glob.glob(os.path.join(HERE, 'vectors', '*.json'))):
        with open(path, encoding='utf-8') as file:
            for vector in json.load(file)['vectors']:
                yield pytest.param(vector, id='%s: %s' % (os.path.basename(path)[:-5], vector['name']))


def wire(item):
    return base64.b64decode(item['raw_base64']) if 'raw_base64' in item else frame(item['head'], payload_of(item))


@pytest.mark.parametrize('pieces', [1 << 20, 7, 1], ids=['whole', 'by 7', 'byte by byte'])
@pytest.mark.parametrize('vector', vectors())
def test_vector(worker, vector, pieces):
    worker.send_split(b''.join(wire(item) for item in vector['send']), pieces)
    answers = worker.frames(len(vector['expect']))
    more, status = worker.end()
    assert answers == [(item['head'], payload_of(item)) for item in vector['expect']]
    assert (more, status) == ([], 0)
    for words in vector.get('log', []):
        assert words in worker.log()
    if vector.get('silent'):
        assert worker.log() == ''


# --- The reference's examples ------------------------------------------------

def reference(spawn, name, prelude=''):
    run = '%s\nexec(compile(open(%r).read(), %r, "exec"))' % (
        prelude, os.path.join(ROOT, 'examples', 'reference', name), name)
    return spawn(Worker, [INTERPRETERS['python'], '-c', run],
                 env={'PYTHONPATH': os.path.join(CONNECTORS, 'python'), 'PYTHONIOENCODING': 'utf-8', 'PYTHONUTF8': '1'})


def test_the_references_hello_world_runs_verbatim(spawn):
    worker = reference(spawn, 'server.py')
    worker.start()
    worker.send(request('a-1'))
    assert worker.frames(2) == [
        ({'_command': 'write', '_session': 'a-1', 'dataType': 'binary', 'x-status': '200',
          'content-type': 'text/plain'}, b'Hello World'),
        ({'_command': 'closeConnection', '_session': 'a-1'}, b'')]
    assert worker.end() == ([], 0)


def test_the_references_websocket_echo_runs_verbatim(spawn):
    worker = reference(spawn, 'websocket_echo.py', 'from apm_module import ApmModule, ApmSession')
    worker.start()
    worker.send(request('a-1', protocol='ws') + data('a-1', b'hi', data_type='text') + data('a-1', b'\0\x03') +
                event('a-1', 'connectionClosed', reason='client'))
    assert worker.end() == ([
        ({'_command': 'accept', '_session': 'a-1'}, b''),
        ({'_command': 'write', '_session': 'a-1', 'dataType': 'text'}, b'hi'),
        ({'_command': 'write', '_session': 'a-1', 'dataType': 'binary'}, b'\0\x03')], 0)


def test_the_file_beside_the_worker_is_found_by_its_name(lang, spawn, tmp_path):
    shutil.copy(os.path.join(CONNECTORS, SOURCES[lang]), str(tmp_path))
    source = {
        'node': "const ApmModule = require('./apm_module.node.js');"
                "new ApmModule(session => { session.write('hi'); session.close(); }).run();",
        'python': 'from apm_module import ApmModule\n'
                  'ApmModule(lambda s: (s.write("hi"), s.close())).run()\n'}[lang]
    (tmp_path / 'server').write_text(source)
    worker = spawn(Worker, [INTERPRETERS[lang], 'server'], cwd=str(tmp_path))
    worker.start()
    worker.send(request('a-1'))
    assert [payload for _, payload in worker.frames(2)] == [b'hi', b'']


# --- Our examples ------------------------------------------------------------

def example(spawn, lang, path):
    worker = spawn(Worker, [INTERPRETERS[lang], os.path.join(ROOT, 'examples', path)])
    worker.start()
    return worker


def test_example_hello(spawn):
    worker = example(spawn, 'node', 'hello/server.js')
    worker.send(request('a-1', query='name=you') +
                request('a-2', method='POST', headers={'content-length': '4'}) + data('a-2', b'body') +
                request('a-3', '/nothing'))
    answers = worker.frames(5)
    assert [payload for _, payload in answers] == [b'Hello you from instance 3\n', b'', b'body', b'', b'']
    assert answers[4][0]['code'] == 404


def test_example_python(spawn):
    worker = example(spawn, 'python', 'python/server.py')
    worker.send(request('a-1', '/a/b', query='name=you'))
    (head, payload), _ = worker.frames(2)
    assert head['x-status'] == '200'
    assert json.loads(payload.decode()) == {
        'you': '192.0.2.7', 'path': ['a', 'b'], 'query': {'name': 'you'}, 'cookies': {}, 'instance': '3'}


def test_example_websocket_echo(spawn):
    worker = example(spawn, 'node', 'websocket-echo/server.js')
    worker.send(request('a-1', protocol='ws', _sessionData={'messages': 7}) + data('a-1', b'hi', data_type='text') +
                data('a-1', b'bye', data_type='text'))
    answers = worker.frames(5)
    assert [head['_command'] for head, _ in answers] == [
        'accept', 'saveSessionData', 'write', 'saveSessionData', 'closeConnection']
    assert answers[2] == ({'_command': 'write', '_session': 'a-1', 'dataType': 'text'}, b'hi')
    assert answers[3][0]['_sessionData'] == {'messages': 9}


# --- Hello -------------------------------------------------------------------

def test_hello_announces_exactly_what_the_connector_does(lang, spawn):
    hello = spawn(routes, lang).start()
    assert hello == {'_command': 'hello', 'connector': lang + '/1.0', 'concurrency': 64,
                     'features': ['lean', 'accept', 'drain']}


def test_all_answers_to_one_read_are_one_write(lang):
    """A SEQPACKET socket as stdout keeps the borders of writes. It is no pipe, too: that must work."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, subprocess.Popen(
            routes_command(lang), stdin=subprocess.PIPE, stdout=theirs, stderr=subprocess.DEVNULL, bufsize=0,
            env=dict(os.environ, APM_CONNECTORS=CONNECTORS)) as process:
        ours.settimeout(DEADLINE_S)
        try:
            assert ours.recv(1 << 16).count(b'_command') == 2
            process.stdin.write(b''.join(request('s-%d' % number, '/hello') for number in range(20)))
            assert ours.recv(1 << 16).count(b'_command') == 40
        finally:
            process.kill()


# --- print and console.log ---------------------------------------------------

def test_printing_under_load_loses_neither_frame_nor_line(worker):
    count = 3000
    answers = worker.exchange(
        b''.join(request('s-%d' % number, '/print', query=str(number)) for number in range(count)), 2 * count)
    written = {head['_session']: payload for head, payload in answers if head['_command'] == 'write'}
    assert written == {'s-%d' % number: b'%d' % number for number in range(count)}
    assert worker.end() == ([], 0)
    lines = worker.log().splitlines()
    assert sorted(lines) == sorted('line %d %s' % (number, word)
                                   for number in range(count) for word in ('one', 'two', 'three'))


def test_a_child_that_inherits_stdout_prints_into_the_log(worker):
    worker.send(request('a-1', '/child'))
    assert worker.end() == ([({'_command': 'closeConnection', '_session': 'a-1'}, b'')], 0)
    assert 'from a child' in worker.log()


# --- Sizes and a full pipe ---------------------------------------------------

def test_a_frame_larger_than_the_pipe_goes_both_ways(worker):
    body = os.urandom(1 << 20)
    answers = worker.exchange(request('a-1', '/echo', 'tcp') + data('a-1', body) + data('a-1', b'after'), 2)
    assert [payload for _, payload in answers] == [body, b'after']


def test_a_large_frame_may_come_in_small_pieces(worker):
    body = os.urandom(100000)
    worker.send_split(request('a-1', '/echo', 'tcp') + data('a-1', body), 100)
    assert worker.frames(1)[0][1] == body


def test_an_answer_larger_than_a_frame_is_cut(worker):
    answers = worker.exchange(request('a-1', '/huge'), 3)
    assert [len(payload) for _, payload in answers] == [16 << 20, 10, 0]
    assert 'x-status' in answers[0][0] and 'x-status' not in answers[1][0]


def test_a_full_stdout_neither_tears_frames_nor_burns_cpu(worker):
    """The agent reads nothing until the worker has stopped reading, too."""
    letters = 'abcdefghij'
    count = 3000
    blob = memoryview(b''.join(request('s-%d' % number, '/big', query=letters[number % 10]) for number in range(count)))
    os.set_blocking(worker.stdin, False)
    while select.select([], [worker.stdin], [], 0.3)[1]:
        assert blob, 'the worker took everything and kept it in memory'
        blob = blob[os.write(worker.stdin, blob):]
    before = worker.cpu_ticks()
    assert select.select([], [worker.stdin], [], 0.5) == ([], [], [])
    assert worker.cpu_ticks() - before <= 5
    answers = worker.exchange(blob, 2 * count)
    bodies = [payload for head, payload in answers if head['_command'] == 'write']
    assert bodies == [letters[number % 10].encode() * 65536 for number in range(count)]


# --- Ends --------------------------------------------------------------------

def test_closing_stdin_ends_the_worker_with_its_answers_written(worker):
    worker.send(b''.join(request('s-%d' % number, '/hello') for number in range(100)))
    more, status = worker.end()
    assert (len(more), status) == (200, 0)


def test_answers_survive_an_exit_inside_a_callback(worker):
    worker.send(request('a-1', '/exit'))
    answers, status = worker.rest()
    assert ([head['_command'] for head, _ in answers], status) == (['write', 'closeConnection'], 7)


def test_sigterm_ends_the_worker_as_the_language_would(worker):
    worker.signal(signal.SIGTERM)
    assert worker.rest() == ([], -signal.SIGTERM)


def test_sigterm_leaves_time_for_what_is_already_written(worker):
    worker.send(request('a-1', '/term'))
    answers, status = worker.rest()
    assert ([head['_command'] for head, _ in answers], status) == (['write', 'closeConnection'], -signal.SIGTERM)


def test_a_vanished_agent_ends_the_worker_quietly(worker):
    worker._process.stdout.close()
    worker.send(request('a-1', '/hello'))
    worker._process.stdin.close()
    assert worker._process.wait(30) == 0
    assert worker.log() == ''


# --- Languages ---------------------------------------------------------------

def test_a_rejected_promise_is_a_failed_callback(spawn):
    worker = spawn(routes, 'node')
    worker.start()
    worker.send(request('a-1', '/reject', 'ws') + request('a-2', '/close'))
    answers = sorted(worker.frames(2), key=lambda answer: answer[0]['_session'])
    assert answers[0][0] == {
        '_command': 'closeConnection', '_session': 'a-1', 'code': 1011, '_reason': 'internal error'}
    assert worker.end() == ([], 0)
    assert 'thrown later' in worker.log()


def test_python_threads_may_answer_at_once(spawn):
    worker = spawn(routes, 'python')
    worker.start()
    count = 500
    answers = worker.exchange(b''.join(request('s-%d' % number, '/later') for number in range(count)), 2 * count)
    assert {head['_session'] for head, _ in answers} == {'s-%d' % number for number in range(count)}


# --- Update ------------------------------------------------------------------

NEW = b'# a newer class ApmModule\n'


@pytest.fixture
def installed(lang, tmp_path):
    """A copy of the connector to update; returns its path and the command."""
    path = tmp_path / os.path.basename(SOURCES[lang])
    shutil.copy(os.path.join(CONNECTORS, SOURCES[lang]), str(path))
    path.chmod(0o640)
    return path, [INTERPRETERS[lang], str(path), '-update']


def update(command, tmp_path, **env):
    """Runs with no other apmctl than one in tmp_path."""
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                          env=dict(os.environ, PATH='%s:/usr/bin:/bin' % tmp_path, **env))


def fake_apmctl(tmp_path, script):
    program = tmp_path / 'apmctl'
    program.write_text('#!/bin/sh\n' + script)
    program.chmod(0o755)


def test_update_takes_the_local_agents_file_and_keeps_the_mode(installed, tmp_path):
    path, command = installed
    fake_apmctl(tmp_path, 'printf "# a newer class ApmModule\\n"\n')
    done = update(command, tmp_path)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == NEW
    assert path.stat().st_mode & 0o7777 == 0o640
    assert hashlib.sha256(NEW).hexdigest().encode() in done.stdout
    assert hashlib.md5(NEW).hexdigest().encode() in done.stdout


@pytest.mark.parametrize('script', ['echo "no agent" >&2; exit 4\n', 'echo not a connector\n'])
def test_a_failed_update_leaves_the_file_and_says_why(installed, tmp_path, script):
    path, command = installed
    before = path.read_bytes()
    fake_apmctl(tmp_path, script)
    done = update(command, tmp_path)
    assert done.returncode == 1
    assert b'the file is as it was' in done.stderr
    assert path.read_bytes() == before
    assert sorted(os.listdir(str(tmp_path))) == sorted(['apmctl', path.name])


def test_update_without_apmctl_names_the_next_step(installed, tmp_path):
    path, command = installed
    done = subprocess.run([shutil.which(command[0])] + command[1:], stderr=subprocess.PIPE, timeout=60,
                          env={'PATH': str(tmp_path)})
    assert done.returncode == 1
    assert b'-update https://URL --sha256 DIGEST' in done.stderr


def test_update_refuses_a_symlink(installed, tmp_path, lang):
    path, _ = installed
    fake_apmctl(tmp_path, 'printf "# a newer class ApmModule\\n"\n')
    before = path.read_bytes()
    link = tmp_path / ('link' + path.suffix)
    link.symlink_to(path)
    done = update([INTERPRETERS[lang], str(link), '-update'], tmp_path)
    assert done.returncode == 1
    assert b'not a regular file' in done.stderr
    assert link.is_symlink() and path.read_bytes() == before


@pytest.mark.parametrize('arguments', [['http://localhost/x', '--sha256', '0' * 64], ['https://localhost/x'],
                                       ['https://localhost/x', '--md5', '0' * 32]])
def test_update_from_a_url_needs_https_and_a_digest(installed, tmp_path, arguments):
    path, command = installed
    done = update(command + arguments, tmp_path)
    assert done.returncode in (1, 2)
    assert b'--sha256 DIGEST' in done.stderr


@pytest.fixture
def https_source(tmp_path):
    """Serves NEW over https on a free port; returns (URL, certificate)."""
    certificate = tmp_path / 'certificate.pem'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                    '-keyout', str(tmp_path / 'key.pem'), '-out', str(certificate), '-days', '2', '-subj',
                    '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
                   check=True, stderr=subprocess.DEVNULL)

    class Source(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == '/moved':
                self.send_response(302)
                self.send_header('Location', '/apm_module')
                self.end_headers()
                return
            self.send_response(200)
            self.send_header('Content-Length', str(len(NEW)))
            self.end_headers()
            self.wfile.write(NEW)

        def log_message(self, *_):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(certificate), str(tmp_path / 'key.pem'))
    server = HTTPServer(('127.0.0.1', 0), Source)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield 'https://127.0.0.1:%d' % server.server_port, str(certificate)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize('path, digest, status', [
    ('/apm_module', hashlib.sha256(NEW).hexdigest(), 0),
    ('/apm_module', '0' * 64, 1),
    ('/moved', hashlib.sha256(NEW).hexdigest(), 1),
], ids=['pinned', 'another digest', 'redirected'])
def test_update_from_a_url_believes_only_the_pinned_digest(installed, tmp_path, https_source, path, digest, status):
    file, command = installed
    url, certificate = https_source
    before = file.read_bytes()
    done = update(command + [url + path, '--sha256', digest], tmp_path,
                  SSL_CERT_FILE=certificate, NODE_EXTRA_CA_CERTS=certificate)
    assert done.returncode == status, done.stderr
    assert file.read_bytes() == (NEW if status == 0 else before)
