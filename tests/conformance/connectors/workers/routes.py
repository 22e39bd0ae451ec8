"""The worker of the shared vectors: the path says what to do. routes.js is its twin."""

import os
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.environ['APM_CONNECTORS'], 'python'))
from apm_module import ApmModule, ApmSession  # noqa: E402

TEXT = {'x-status': '200', 'content-type': 'text/plain'}


def hello(s):
    s.write('Hello World', TEXT)
    s.close()


def describe(s):
    names = ['session_id', 'protocol', 'method', 'path', 'path_array', 'query', 'query_object', 'headers', 'cookies',
             'remote_ip', 'instance_id', 'session_data', 'host', 'scheme', 'http_version', 'listener', 'request_id',
             'remote_port', 'tls', 'resumed']
    seen = {name: getattr(s, name) for name in names}
    seen['unnamed'] = s.metadata.get('unnamed')
    s.log('info', 'seen', seen)
    s.close()


def echo(s):
    s.on_data = lambda data, is_binary: s.write(data, {'x-binary': str(is_binary).lower()})
    s.on_end = s.close
    s.on_close = lambda: apm.log('info', 'closed', {'reason': s.close_reason, 'active': s.active()})


def headers(s):
    s.write('', {'X-Status': 201, 'set-cookie': ['a=1', 'b=2'], 'x-quote': 'say "hi" \\ \U0001F600 é',
                 'x-float': 1.5, 'x-none': None, '_session': 'stolen', '_command': 'stolen'})
    s.write(bytearray([3, 5, 0]))
    s.write('text', {'dataType': 'binary'})
    s.close()


def close_twice(s):
    s.close(204)
    s.close(500)
    s.write('late')
    s.write_raw('late')
    s.save_session_data()
    s.accept()
    apm.log('info', 'after', {'active': s.active()})


def raw(s):
    s.write_raw('HTTP/1.1 200 OK\r\n\r\n')
    s.write_raw(bytes([3, 5]))
    s.close()


def save(s):
    s.session_data['count'] = s.session_data.get('count', 0) + 1
    s.session_data['name'] = 'Zoë'
    s.save_session_data()
    s.close()


def metric(s):
    s.metric('jobs_total', 1)
    s.metric('queue_length', 2.5, 'gauge', {'queue': 'mail'})
    apm.metric('render', 12, 'timing')
    s.close()


def throw(text):
    raise RuntimeError(text)


def throw_on_data(s):
    s.on_data = lambda data, is_binary: throw('thrown in on_data')


def throw_on_close(s):
    s.on_close = lambda: throw('thrown in on_close')


def accept_early(s):
    s.accept()
    s.write('hi')


def drain(s):
    def on_drain():
        s.session_data['drained'] = True
        s.save_session_data()
    s.on_drain = on_drain


def late(s):
    """Body first, on_data later, from another thread."""
    parts = []

    def on_end():
        s.write(b''.join(parts))
        s.close()

    def start():
        s.on_end = on_end
        s.on_data = lambda data, is_binary: parts.append(data)
    threading.Thread(target=start).start()


def later(s):
    def answer():
        s.write('later')
        s.close()
    threading.Thread(target=answer).start()


def big(s):
    s.write(s.query[:1].encode() * 65536, TEXT)
    s.close()


def huge(s):
    s.write(b'x' * ((16 << 20) + 10), TEXT)
    s.close()


def print_lines(s):
    print('line %s one' % s.query)
    os.write(1, b'line %s two\n' % s.query.encode())
    s.write(s.query)
    sys.stdout.write('line %s three\n' % s.query)
    s.close()


def child(s):
    subprocess.call(['echo', 'from a child'])
    s.close()


def term(s):
    s.write('bye')
    s.close()
    os.kill(os.getpid(), signal.SIGTERM)


def leave(s):
    s.write('bye')
    s.close()
    sys.exit(7)


ROUTES = {
    '/hello': hello, '/describe': describe, '/echo': echo, '/headers': headers, '/close': ApmSession.close,
    '/close-code': lambda s: s.close(404, 'not "here" é'), '/close-twice': close_twice, '/raw': raw, '/save': save,
    '/metric': metric, '/throw': lambda s: throw('thrown in connect'), '/throw-on-data': throw_on_data,
    '/throw-on-close': throw_on_close, '/write-object': lambda s: s.write({}),
    '/metric-nan': lambda s: s.metric('x', float('nan')), '/accept-early': accept_early, '/drain': drain,
    '/silent': lambda s: None, '/late': late, '/later': later, '/big': big, '/huge': huge, '/print': print_lines,
    '/child': child, '/term': term, '/exit': leave,
}

apm = ApmModule(lambda s: ROUTES[s.path](s))
apm.run()
