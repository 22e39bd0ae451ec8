"""What a client may take of the proxy, at the limit and over it."""

import threading

import pytest

from proxy_harness import Proxy, wait_until


def refused(proxy, request, status):
    proxy.attach()
    client = proxy.connect()
    client.send(request)
    answer = client.response()
    assert answer.status == status
    assert answer.headers["connection"] == "close"
    assert client.closed()


@pytest.mark.parametrize("request_bytes, status", [
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
     b"Content-Length: 2\r\n\r\nx", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
     b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40000, 431),
    (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 101, 431),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 16777217\r\n\r\n", 413),
], ids=["two-lengths", "length-and-chunked", "no-host", "http2", "connect",
        "long-line", "long-head", "many-fields", "large-body"])
def test_a_bad_request_is_refused_and_the_connection_closed(
        request_bytes, status):
    with Proxy() as proxy:
        refused(proxy, request_bytes, status)


def test_a_chunked_body_over_its_limit_ends_the_session_with_413():
    with Proxy(route={"max_body_bytes": 10}) as proxy:
        worker, client = proxy.attach(), proxy.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n")
        session = worker.expect_session()
        client.send(b"B\r\n")
        assert client.response().status == 413
        worker.expect_event(session)


def test_a_client_that_sends_all_of_its_body_first_gets_the_413():
    with Proxy() as proxy:
        client = proxy.connect()
        size = 40 << 20
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
                    % size)
        client.send(b"x" * size)
        assert client.response().status == 413
        assert client.closed()


def test_a_body_of_exactly_the_limit_passes():
    with Proxy(route={"max_body_bytes": 10}) as proxy:
        worker, client = proxy.attach(), proxy.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
                    b"0123456789")
        session = worker.expect_session()
        assert worker.expect_data(session)[1] == b"0123456789"
        session.answer()
        assert client.response().status == 200


def test_a_malformed_chunk_ends_the_session_with_400():
    with Proxy() as proxy:
        worker, client = proxy.attach(), proxy.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n")
        session = worker.expect_session()
        client.send(b"zz\r\n")
        assert client.response().status == 400
        worker.expect_event(session)


def test_a_head_that_never_ends_is_answered_408():
    with Proxy(limits={"head_timeout_ms": 50}) as proxy:
        client = proxy.connect()
        client.send(b"GET / HTTP/1.1\r\n")
        assert client.response().status == 408
        assert client.closed()


def test_an_idle_connection_is_closed():
    with Proxy(limits={"idle_timeout_ms": 50}) as proxy:
        assert proxy.connect().closed()


def test_a_connection_is_closed_after_its_number_of_requests():
    with Proxy(limits={"max_requests": 2}) as proxy:
        worker, client = proxy.attach(), proxy.connect()
        client.get()
        worker.expect_session().answer()
        assert "connection" not in client.response().headers
        client.get()
        worker.expect_session().answer()
        assert client.response().headers["connection"] == "close"
        assert client.closed()


def test_a_body_that_does_not_come_is_answered_408():
    with Proxy(limits={"body_grace_ms": 50}) as proxy:
        worker, client = proxy.attach(), proxy.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        session = worker.expect_session()
        assert client.response().status == 408
        worker.expect_event(session)


def test_no_answer_in_time_is_504_and_the_worker_hears_of_it():
    with Proxy(route={"request_timeout_ms": 50}) as proxy:
        worker, client = proxy.attach(), proxy.connect()
        client.get()
        session = worker.expect_session()
        assert client.response().status == 504
        worker.expect_event(session)
        session.answer(b"late")
        proxy.expect_counter("late_frames", 2)
        client.get("/next")
        worker.expect_session().answer(b"next")
        assert client.response().body == b"next"


def test_no_instance_in_time_is_503_with_retry_after():
    with Proxy(route={"queue_timeout_ms": 50}) as proxy:
        client = proxy.connect()
        client.get()
        answer = client.response()
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) > 0


def test_a_request_waits_for_an_instance():
    with Proxy() as proxy:
        client = proxy.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
        proxy.expect_counter("queued", 1)
        worker = proxy.attach()
        session = worker.expect_session()
        assert worker.expect_data(session)[1] == b"body"
        session.answer(b"served")
        assert client.response().body == b"served"


def test_too_many_connections_are_told_so():
    with Proxy(max_connections=1) as proxy:
        worker, first = proxy.attach(), proxy.connect()
        first.get()
        session = worker.expect_session()
        second = proxy.connect()
        answer = second.response()
        assert answer.status == 503
        assert "retry-after" in answer.headers
        second.close()
        session.answer(b"first")
        assert first.response().body == b"first"
        first.close()
        wait_until(lambda: proxy.counters.header("connections_closed") == 2,
                   "both connections closed")
        third = proxy.connect()
        third.get()
        worker.expect_session().answer(b"third")
        assert third.response().body == b"third"


def test_out_of_descriptors_clients_are_turned_away_and_come_back():
    with Proxy(files=64) as proxy:
        worker = proxy.attach()
        crowd = [proxy.connect() for _ in range(120)]
        wait_until(lambda: proxy.counters.header("accept_errors") > 0,
                   "accept() fails")
        for client in crowd:
            client.close()
        client = proxy.connect()
        client.get()
        worker.expect_session().answer(b"room again")
        assert client.response().body == b"room again"


def test_a_client_that_takes_nothing_is_cut_and_harms_nobody():
    with Proxy(limits={"send_timeout_ms": 200}) as proxy:
        worker, slow, other = proxy.attach(), proxy.connect(), proxy.connect()
        slow.get("/slow")
        session = worker.expect_session()
        for _ in range(16):
            session.write(b"x" * 1_000_000)
        other.get("/other")
        worker.expect_session().answer(b"other")
        assert other.response().body == b"other"
        worker.expect_event(session)


def test_a_worker_that_does_not_read_pushes_back_on_the_client():
    with Proxy() as proxy:
        worker, client = proxy.attach(), proxy.connect()
        size = 16 * 1024 * 1024
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
                    % size)
        session = worker.expect_session()
        sender = threading.Thread(target=client.send, args=(b"x" * size,))
        sender.start()
        wait_until(lambda: proxy.counters.worker("bytes_in") >= 256 * 1024,
                   "the pipe and what may wait for it are full")
        # The proxy serves others meanwhile, and has taken no more of this one.
        other = proxy.connect()
        other.send(b"bad\r\n\r\n")
        assert other.response().status == 400
        assert proxy.counters.worker("bytes_in") < 1024 * 1024
        received, head = 0, {}
        while head.get("_type") != "data":
            head, payload = worker.read_frame()
            received += len(payload)
        sender.join()
        assert received == size
        session.answer(b"all")
        assert client.response().body == b"all"
