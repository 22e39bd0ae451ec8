"""Node.js and Python programs behind the proxy, by their connectors."""

import os
import pathlib
import shutil
import sys

import pytest

from proxy_harness import Proxy

CONNECTORS = pathlib.Path(__file__).parents[2] / "ipc" / "connectors"

NODE = """
const { ApmModule } = require(process.env.APM_CONNECTORS +
                              '/node/apm_module.node.js');
new ApmModule((session) => {
  console.log('serving ' + session.path);
  if (session.protocol === 'ws') {
    session.on_data = (data) => session.write(data);
    return;
  }
  session.write('node: ' + session.path, { 'content-type': 'text/plain' });
  session.close();
}).run();
"""

PYTHON = """
import os, sys
sys.path.insert(0, os.environ['APM_CONNECTORS'] + '/python')
from apm_module import ApmModule

def on_connect(session):
    print('serving ' + session.path)
    if session.protocol == 'ws':
        def on_data(data, is_binary):
            session.write(data)
        session.on_data = on_data
        return
    session.write(('python: ' + session.path).encode(),
                  {'content-type': 'text/plain'})
    session.close()

ApmModule(on_connect).run()
"""


@pytest.fixture(params=["node", "python"])
def served(request, tmp_path):
    """A proxy with a real worker, and the worker's name."""
    if request.param == "node":
        program, argv = NODE, [shutil.which("node")]
    else:
        program, argv = PYTHON, [sys.executable]
    if argv[0] is None:
        pytest.skip("node is not installed")
    source = tmp_path / "worker"
    source.write_text(program)
    with Proxy(websocket=True) as proxy:
        proxy.attach_process(argv + [os.fspath(source)],
                             env={"APM_CONNECTORS": os.fspath(CONNECTORS)})
        yield proxy, request.param


def test_requests_are_answered(served):
    proxy, name = served
    client = proxy.connect()
    for i in range(100):
        client.get(f"/{i}")
        answer = client.response()
        assert answer.body == f"{name}: /{i}".encode()
        assert answer.headers["content-type"] == "text/plain"
    assert proxy.counters.worker("frames_bad") == 0


def test_pipelined_requests_are_answered_in_order(served):
    proxy, name = served
    client = proxy.connect()
    client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i
                         for i in range(100)))
    for i in range(100):
        assert client.response().body == f"{name}: /{i}".encode()


def test_websocket_messages_are_echoed(served):
    proxy, _ = served
    client = proxy.connect()
    client.upgrade()
    assert client.head().status == 101
    for opcode, payload in ((1, "h\u00e9llo".encode()), (2, b"\x00\xff"),
                            (2, b"x" * 200_000)):
        client.ws_send(payload, opcode)
        received = client.ws_receive()
        assert received[1] == payload
