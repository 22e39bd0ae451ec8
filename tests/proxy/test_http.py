"""One request through the proxy, and what HTTP/1.1 asks around it."""

import pytest

from proxy_harness import Proxy

CHUNKED_POST = (b"POST / HTTP/1.1\r\nHost: a\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n")


@pytest.fixture
def proxy():
    with Proxy() as running:
        yield running


def test_a_get_goes_through_and_comes_back(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get("/a/b?x=1", "X-Custom: yes\r\n")
    session = worker.expect_session()
    assert session.head["method"] == "GET"
    assert session.head["path"] == "/a/b"
    assert session.head["query"] == "x=1"
    assert session.head["headers"]["x-custom"] == "yes"
    assert session.head["remoteAddress"] == "127.0.0.1"
    assert session.head["protocol"] == "http"
    assert session.id.startswith("7-")
    session.answer(b"hello", {"content-type": "text/plain"})
    answer = client.response()
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["content-length"] == "5"
    assert "date" in answer.headers


def test_a_connection_carries_one_request_after_the_other(proxy):
    worker, client = proxy.attach(), proxy.connect()
    for path in ("/1", "/2", "/3"):
        client.get(path)
        session = worker.expect_session()
        assert session.head["path"] == path
        session.answer(path.encode())
        assert client.response().body == path.encode()
    assert proxy.counters.header("connections_opened") == 1


def test_pipelined_requests_are_answered_in_order(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i
                         for i in range(32)))
    for i in range(32):
        session = worker.expect_session()
        assert session.head["path"] == f"/{i}"
        session.answer(str(i).encode())
    for i in range(32):
        assert client.response().body == str(i).encode()


def test_a_small_body_is_one_data_frame(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234")
    session = worker.expect_session()
    client.send(b"56789")
    assert worker.expect_data(session)[1] == b"0123456789"
    session.answer()
    assert client.response().status == 200


def test_a_body_of_64_kib_is_one_frame_and_one_byte_more_is_several(proxy):
    worker, client = proxy.attach(), proxy.connect()
    for size in (65536, 65537):
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
                    % size + b"x" * size)
        session = worker.expect_session()
        received, kinds = b"", []
        while kinds[-1:] != ["data"]:
            head, payload = worker.read_frame()
            kinds.append(head["_type"])
            received += payload
        assert received == b"x" * size
        assert (len(kinds) == 1) == (size == 65536)
        session.answer()
        assert client.response().status == 200


def test_a_chunked_request_body_arrives_as_chunks_and_an_end(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.send(CHUNKED_POST + b"3\r\nabc\r\n2\r\nde\r\n")
    session = worker.expect_session()
    received = b""
    while received != b"abcde":
        received += worker.expect_data(session, "chunk")[1]
    client.send(b"0\r\n\r\n")
    assert worker.expect_data(session)[1] == b""
    session.answer(b"ok")
    assert client.response().body == b"ok"


def test_chunks_of_one_byte_do_not_cost_a_frame_each(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.send(CHUNKED_POST + b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n")
    session = worker.expect_session()
    frames, received = 0, b""
    while True:
        head, payload = worker.read_frame()
        frames, received = frames + 1, received + payload
        if head["_type"] == "data":
            break
    assert received == b"x" * 1000
    assert frames < 20
    session.answer()
    client.response()


def test_an_answer_over_several_turns_is_chunked(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    session = worker.expect_session()
    session.write(b"one", {"content-type": "text/plain"})
    head = client.head()
    assert head.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in head.headers
    assert client.chunk() == b"one"
    session.write(b"two")
    assert client.chunk() == b"two"
    session.close()
    assert client.chunk() == b""


def test_a_length_that_the_worker_gives_is_kept_to(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    session = worker.expect_session()
    session.write(b"one", {"Content-Length": "6"})
    head = client.head()
    assert head.headers["content-length"] == "6"
    assert client.take(3) == b"one"
    session.write(b"two")
    session.close()
    assert client.take(3) == b"two"


def test_more_than_the_announced_length_cuts_the_connection(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    session = worker.expect_session()
    session.write(b"one", {"content-length": "4"})
    assert client.head().status == 200
    session.write(b"too much")
    assert client.rest() == b"one"
    worker.expect_event(session)
    proxy.expect_counter("frames_bad", 1)


def test_less_than_the_announced_length_cuts_the_connection(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    session = worker.expect_session()
    session.write(b"one", {"content-length": "9"})
    assert client.head().status == 200
    session.close()
    assert client.rest() == b"one"


def test_http_1_0_gets_an_answer_of_unknown_length_ended_by_the_close(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    session = worker.expect_session()
    assert session.head["httpVersion"] == "1.0"
    session.write(b"one")
    head = client.head()
    assert "transfer-encoding" not in head.headers
    session.write(b"two")
    session.close()
    assert client.rest() == b"onetwo"


def test_head_has_the_head_of_the_answer_and_no_body(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    worker.expect_session().answer(b"12345")
    assert client.response(to_head=True).headers["content-length"] == "5"
    client.get("/next")
    worker.expect_session().answer(b"next")
    assert client.response().body == b"next"


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_has_none(proxy, status):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    worker.expect_session().answer(b"not allowed", {"x-status": str(status)})
    answer = client.response()
    assert answer.status == status
    assert "transfer-encoding" not in answer.headers
    client.get("/next")
    worker.expect_session().answer(b"next")
    assert client.response().body == b"next"


def test_a_status_may_be_a_number_and_header_values_a_list(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    worker.expect_session().answer(
        b"", {"x-status": 404, "set-cookie": ["a=1", "b=2"]})
    answer = client.response()
    assert answer.status == 404
    assert answer.headers["set-cookie"] == "a=1, b=2"


def test_a_status_of_null_is_no_status(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    worker.expect_session().answer(b"x", {"x-status": None})
    assert client.response().status == 200


def test_interim_answers_are_passed_on(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    session = worker.expect_session()
    session.write(b"", {"x-status": "103", "link": "</a.css>; rel=preload"})
    early = client.response()
    assert (early.status, early.headers["link"]) == (
        103, "</a.css>; rel=preload")
    session.answer(b"final")
    assert client.response().body == b"final"


def test_interim_answers_are_not_sent_to_http_1_0(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    session = worker.expect_session()
    session.write(b"", {"x-status": "103"})
    session.answer(b"final")
    assert client.response().body == b"final"


def test_closing_without_a_write_is_an_empty_answer_of_that_status(proxy):
    worker, client = proxy.attach(), proxy.connect()
    # 0 and 1000, a WebSocket's normal end, are how some workers say None.
    for code, status in ((None, 200), (404, 404), (0, 200), (1000, 200)):
        client.get()
        worker.expect_session().close(code)
        answer = client.response()
        assert (answer.status, answer.body) == (status, b"")


def test_expect_continue_is_answered_when_the_worker_will_read(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
                b"Expect: 100-continue\r\n\r\n")
    session = worker.expect_session()
    assert client.head().status == 100
    client.send(b"body")
    assert worker.expect_data(session)[1] == b"body"
    session.answer(b"done")
    assert client.response().body == b"done"


def test_connection_close_is_honoured(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get("/", "Connection: close\r\n")
    worker.expect_session().answer(b"bye")
    answer = client.response()
    assert answer.headers["connection"] == "close"
    assert client.closed()


def test_a_client_that_stopped_sending_still_gets_its_answers(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get("/1")
    client.get("/2")
    client.sock.shutdown(1)
    for body in (b"one", b"two"):
        worker.expect_session().answer(body)
        assert client.response().body == body
    assert client.closed()


def test_an_answer_before_the_end_of_a_short_body_keeps_the_connection(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
    worker.expect_session().answer(b"early")
    assert client.response().body == b"early"
    client.send(b"def")
    client.get("/next")
    worker.expect_session().answer(b"next")
    assert client.response().body == b"next"


def test_an_answer_before_the_end_of_a_long_body_closes(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n")
    worker.expect_session().answer(b"early")
    answer = client.response()
    assert answer.headers["connection"] == "close"
    assert answer.body == b"early"
    assert client.closed()


def test_raw_bytes_go_to_the_socket_as_they_are(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    session = worker.expect_session()
    session.write_raw(b"HTTP/1.1 200 OK\r\nX-Raw: 1\r\n\r\n")
    session.write_raw(b"as it is")
    session.close()
    assert client.rest() == b"HTTP/1.1 200 OK\r\nX-Raw: 1\r\n\r\nas it is"


def test_a_large_answer_arrives_whole(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    body = bytes(range(256)) * 4096 * 8  # 8 MiB
    worker.expect_session().answer(body)
    assert client.response().body == body


def test_a_unix_listener_serves_and_names_its_peers_unix():
    with Proxy(unix=True) as running:
        worker, client = running.attach(), running.connect()
        client.get()
        session = worker.expect_session()
        assert session.head["remoteAddress"] == "unix"
        session.answer(b"ok")
        assert client.response().body == b"ok"


def test_plain_http_on_a_websocket_address_is_told_to_upgrade():
    with Proxy(http=False, websocket=True) as running:
        running.attach()
        client = running.connect()
        client.get()
        assert client.response().status == 426


def test_an_upgrade_on_an_http_address_is_a_plain_request(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.upgrade()
    session = worker.expect_session()
    assert session.head["protocol"] == "http"
    session.answer(b"plain")
    assert client.response().body == b"plain"


def test_the_access_log_has_a_line_a_request_and_no_forged_ones():
    with Proxy(access_log=True) as running:
        worker, client = running.attach(), running.connect()
        client.get("/a", 'User-Agent: "evil\\\r\nReferer: http://b/\r\n')
        worker.expect_session().answer(b"hello")
        client.response()
        line, = running.access_lines(1)
        assert line.startswith("127.0.0.1 - - [")
        assert ('] "GET /a HTTP/1.1" 200 5 "http://b/" "\\x22evil\\x5C" 0.'
                in line)


def test_heads_and_bodies_of_requests_are_counted_as_bytes_in(proxy):
    worker, client = proxy.attach(), proxy.connect()
    get = b"GET /counted HTTP/1.1\r\nHost: a\r\n\r\n"
    client.send(get)
    worker.expect_session().answer(b"ok")
    client.response()
    assert proxy.counters.worker("bytes_in") == len(get)
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
    client.send(post + b"body")
    session = worker.expect_session()
    worker.expect_data(session)
    assert proxy.counters.worker("bytes_in") == len(get + post) + 4
    session.answer()
    client.response()
