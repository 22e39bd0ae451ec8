"""Several requests in one packet: each keeps its own body, and answers that
nobody takes are not gathered without bound."""

import os
import socket

import pytest

from proxy_harness import Proxy

CHUNKED = (b"POST /%(i)d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
           b"\r\n5\r\nbody%(i)d\r\n0\r\n\r\n")
LENGTH = (b"POST /%(i)d HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
          b"body%(i)d")
GET = b"GET /%(i)d HTTP/1.1\r\nHost: a\r\n\r\n"
MANY = {"max_requests": 10_000_000}  # Of a connection.


@pytest.fixture
def proxy():
    with Proxy() as running:
        yield running


@pytest.mark.parametrize("forms", [
    [CHUNKED, CHUNKED, CHUNKED],
    [CHUNKED, LENGTH, CHUNKED],
    [GET, CHUNKED, GET, CHUNKED],
    [LENGTH, CHUNKED, GET, LENGTH],
], ids=["chunked", "chunked-length", "with-gets", "all"])
def test_pipelined_bodies_belong_to_their_requests(proxy, forms):
    worker, client = proxy.attach(), proxy.connect()
    client.send(b"".join(form % {b"i": i} for i, form in enumerate(forms)))
    for i, form in enumerate(forms):
        session = worker.expect_session()
        assert session.head["path"] == f"/{i}"
        if form is not GET:
            body, head = b"", {}
            while head.get("_type") != "data":
                head, payload = worker.read_frame()
                body += payload
            assert body == b"body%d" % i
        session.answer(b"answer%d" % i)
    for i in range(len(forms)):
        answer = client.response()
        assert (answer.status, answer.body) == (200, b"answer%d" % i)


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def send_until_full(client, request, limit):
    """How many bytes of repeated requests the proxy takes while we read
    nothing; at most about `limit`."""
    client.sock.settimeout(0.5)
    data, sent = request * 1000, 0
    try:
        while sent < limit:
            sent += client.sock.send(data[sent % len(request):])
    except socket.timeout:
        pass
    return sent


def test_a_client_that_reads_no_answers_is_read_no_further():
    with Proxy(http=False, websocket=True, limits=MANY) as proxy:
        before = resident_bytes(proxy.process.pid)
        client = proxy.connect()
        sent = send_until_full(client, GET % {b"i": 1}, 32 << 20)
        assert sent < 32 << 20
        assert resident_bytes(proxy.process.pid) - before < 8 << 20


def test_pipelined_answers_all_come_when_the_client_reads_late():
    with Proxy(http=False, websocket=True, limits=MANY) as proxy:
        client = proxy.connect()
        request = GET % {b"i": 1}
        sent = send_until_full(client, request, 32 << 20)
        client.sock.settimeout(10)
        expected, answers, mark = sent // len(request), 0, b"426 Upgrade Req"
        while answers < 2 * expected:  # In the status line and in the body.
            data = client.sock.recv(1 << 16)
            assert data, f"closed after {answers} of {expected}"
            client.buffer += data
            answers += client.buffer.count(mark)
            client.buffer = client.buffer[1 - len(mark):]
