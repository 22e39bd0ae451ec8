"""Clients that take their time, or have said all they want to say."""

import socket

from proxy_harness import Proxy

SIZE = 16_000_000  # More than both kernel buffers: the proxy holds a rest.


def start_download(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    session = worker.expect_session()
    session.answer(b"x" * SIZE)
    proxy.expect_counter("requests_done", 1)
    return worker, client


def body_bytes(client):
    """How much of the announced body arrives."""
    left = int(client.head().headers["content-length"])
    taken = 0
    while left > taken:
        client.buffer = client.buffer or client.sock.recv(1 << 20)
        assert client.buffer, f"cut after {taken} bytes"
        taken += len(client.buffer)
        client.buffer = b""
    return taken


def test_a_download_may_take_longer_than_the_idle_time():
    with Proxy(limits={"idle_timeout_ms": 200}) as proxy:
        _, client = start_download(proxy)
        # Nothing tells of the idle time's passing: another client's end does.
        assert proxy.connect().closed()
        assert body_bytes(client) == SIZE


def test_a_download_survives_that_the_client_stops_sending():
    with Proxy() as proxy:
        _, client = start_download(proxy)
        client.sock.shutdown(socket.SHUT_WR)
        assert body_bytes(client) == SIZE
        assert client.closed()


def test_a_download_survives_half_a_request_and_an_end():
    with Proxy() as proxy:
        _, client = start_download(proxy)
        client.send(b"GET /half")
        client.sock.shutdown(socket.SHUT_WR)
        assert body_bytes(client) == SIZE
        assert client.closed()


def test_a_post_that_waits_for_a_worker_survives_the_end_of_sending():
    with Proxy() as proxy:
        client = proxy.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
                    b"body")
        client.sock.shutdown(socket.SHUT_WR)
        proxy.expect_counter("queued", 1)
        worker = proxy.attach()
        session = worker.expect_session()
        assert worker.expect_data(session)[1] == b"body"
        session.answer(b"done")
        assert client.response().body == b"done"


def test_a_body_that_is_cut_while_it_waits_ends_the_session():
    with Proxy() as proxy:
        client = proxy.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 400\r\n\r\n"
                    b"body")
        client.sock.shutdown(socket.SHUT_WR)
        proxy.expect_counter("queued", 1)
        worker = proxy.attach()
        worker.expect_event(worker.expect_session())
        assert client.closed()


def test_slow_clients_together_hold_no_more_than_the_limit():
    with Proxy(limits={"max_held_bytes": 1_000_000}) as proxy:
        worker, client = proxy.attach(), proxy.connect()
        client.get()
        session = worker.expect_session()
        session.write(b"x" * SIZE)  # Held as one write: nothing was held before.
        session.write(b"y" * SIZE)
        worker.expect_event(session)
        proxy.expect_counter("slow_clients_cut", 1)
        other = proxy.connect()  # And what was held is free again.
        other.get()
        worker.expect_session().answer(b"x" * SIZE)
        assert body_bytes(other) == SIZE
