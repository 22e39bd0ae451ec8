#!/usr/bin/env python3
"""CPU time of a worker for one HTTP exchange through its connector.

    bench/connectors/exchange.py [--exchanges N] [--outstanding N] [--full] [LANG...]

Plays the agent over real pipes: keeps `outstanding` requests in the worker and
sends one for each answer. Prints the worker's own CPU time (user + system, from
wait4, less that of a run without requests), which the speed of this program
does not change, and the rate seen, which it does.
"""

import argparse
import json
import os
import struct
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONNECTORS = os.path.join(ROOT, 'ipc', 'connectors')

WORKERS = {
    'node': ['node', '-e', '''
const ApmModule = require(process.env.APM_CONNECTORS + '/node/apm_module.node.js');
new ApmModule((s) => {
  s.write('Hello World', {'x-status': '200', 'content-type': 'text/plain'});
  s.close();
}).run();
'''],
    'python': ['/usr/bin/python3', '-c', '''
import os, sys
sys.path.insert(0, os.path.join(os.environ['APM_CONNECTORS'], 'python'))
from apm_module import ApmModule
def on_connect(s):
    s.write(b'Hello World', {'x-status': '200', 'content-type': 'text/plain'})
    s.close()
ApmModule(on_connect).run()
'''],
}


def request(number, full):
    head = {  # As the agent writes it.
        '_sessionId': 'a1b2c3-%010d' % number, '_sessionType': 'new', '_sessionData': {}, 'protocol': 'http',
        'method': 'GET', 'path': '/api/items/%010d' % number, 'query': 'page=2&sort=name',
        'headers': {'host': 'myapp.example.com', 'user-agent': 'bench/1.0', 'accept': '*/*',
                    'cookie': 'sid=0123456789abcdef; theme=dark'},
        'remoteAddress': '192.0.2.7', 'remotePort': 50000, 'scheme': 'http', 'host': 'myapp.example.com',
        'httpVersion': '1.1', 'listener': 'http://127.0.0.1:3000', 'requestId': 'a1b2c3-%010d' % number,
    }
    if full:
        head.update(path_array=['api', 'items', '%010d' % number], query_object={'page': '2', 'sort': 'name'},
                    cookies={'sid': '0123456789abcdef', 'theme': 'dark'})
    head = json.dumps(head, separators=(',', ':')).encode()
    return b'\x05' + struct.pack('>I', len(head)) + head + b'\x03'


def read(fd):
    answers = os.read(fd, 1 << 20)
    if not answers:
        raise SystemExit('the worker ended')
    return answers


def run(command, exchanges, outstanding, full):
    """Returns (CPU seconds of the worker, seconds the exchanges took)."""
    batch = [request(number, full) for number in range(outstanding)]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
                              env=dict(os.environ, APM_CONNECTORS=CONNECTORS))
    stdin, stdout = worker.stdin.fileno(), worker.stdout.fileno()
    seen = b''
    while b'"ready"' not in seen or not seen.endswith(b'\x03'):
        seen += read(stdout)
    sent = done = size = unread = 0
    began = time.monotonic()
    while done < exchanges:
        free = min(outstanding - (sent - done), exchanges - sent) if size else 1 - sent
        if free > 0:
            os.write(stdin, b''.join(batch[:free]))
            sent += free
        answers = read(stdout)
        unread += len(answers)
        if not size and answers.endswith(b'\x03') and b'closeConnection' in answers:
            size = unread  # All answers have the size of the first.
        if size:
            done += unread // size
            unread %= size
    took = time.monotonic() - began
    worker.stdin.close()
    _, status, usage = os.wait4(worker.pid, 0)
    worker.returncode = status
    if status != 0:
        raise SystemExit('the worker ended with status %d' % status)
    return usage.ru_utime + usage.ru_stime, took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--exchanges', type=int, default=300000)
    parser.add_argument('--outstanding', type=int, default=64)
    parser.add_argument('--full', action='store_true', help='heads with path_array, query_object and cookies')
    parser.add_argument('lang', nargs='*', default=sorted(WORKERS))
    options = parser.parse_args()
    print('request: %d bytes, %d outstanding, %d exchanges' %
          (len(request(0, options.full)), options.outstanding, options.exchanges))
    for lang in options.lang:
        idle, _ = run(WORKERS[lang], 1, 1, options.full)
        cpu, took = run(WORKERS[lang], options.exchanges, options.outstanding, options.full)
        print('%-8s %6.2f us CPU per exchange, %8.0f exchanges/s' %
              (lang, (cpu - idle) / options.exchanges * 1e6, options.exchanges / took))


if __name__ == '__main__':
    main()
