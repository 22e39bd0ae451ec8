"""WebSockets: the handshake that a worker decides, messages both ways, and
every way to end."""

import os
import select
import struct
import time

import pytest

from apm.internal.v1 import proxy_pb2
from proxy_harness import Proxy

ACCEPT_OF_THE_TEST_KEY = "BACScCJPNqyz+UBoqMH89VmURoA="
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


@pytest.fixture
def proxy():
    with Proxy(http=True, websocket=True) as running:
        yield running


def opened(proxy, client=None, worker=None, headers=""):
    """A client and a worker's session with 101 between them."""
    worker = worker or proxy.attach()
    client = client or proxy.connect()
    client.upgrade(headers=headers)
    session = worker.expect_session()
    session.write()
    assert client.head().status == 101
    return worker, client, session


def test_an_upgrade_becomes_a_session_of_protocol_ws(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.upgrade("/chat?room=1")
    session = worker.expect_session()
    assert session.head["protocol"] == "ws"
    assert session.head["path"] == "/chat"
    session.write(b"welcome", dataType="text")
    head = client.head()
    assert head.status == 101
    assert head.headers["upgrade"].lower() == "websocket"
    assert head.headers["sec-websocket-accept"] == ACCEPT_OF_THE_TEST_KEY
    assert client.ws_receive() == (TEXT, b"welcome")
    assert proxy.counters.worker("websocket_opened") == 1


def test_101_comes_without_a_word_of_the_worker(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.upgrade()
    session = worker.expect_session()
    assert client.head().status == 101
    client.ws_send("hello")
    head, payload = worker.expect_data(session)
    assert (head["dataType"], payload) == ("text", b"hello")
    session.write(b"hello", dataType="text")
    assert client.ws_receive() == (TEXT, b"hello")


def test_text_and_binary_go_both_ways(proxy):
    worker, client, session = opened(proxy)
    for opcode, kind, payload in ((TEXT, "text", "h\u00e9".encode()),
                                  (BINARY, "binary", bytes(range(256)))):
        client.ws_send(payload, opcode)
        head, received = worker.expect_data(session)
        assert (head["dataType"], received) == (kind, payload)
        session.write(payload, dataType=kind)
        assert client.ws_receive() == (opcode, payload)


def test_a_message_sent_before_101_is_delivered_after_it(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.upgrade()
    client.ws_send("eager")
    session = worker.expect_session()
    assert worker.expect_data(session)[1] == b"eager"


def test_fragments_arrive_as_one_message(proxy):
    worker, client, session = opened(proxy)
    client.ws_send("one ", TEXT, final=False)
    client.ws_send(b"", PING)
    client.ws_send("two", 0)
    assert client.ws_receive() == (PONG, b"")
    assert worker.expect_data(session)[1] == b"one two"


def test_an_empty_first_write_sends_no_message_and_a_second_does(proxy):
    _, client, session = opened(proxy)
    session.write(b"", dataType="text")
    session.write(b"x", dataType="text")
    assert client.ws_receive() == (TEXT, b"")
    assert client.ws_receive() == (TEXT, b"x")


def test_a_first_write_may_say_101(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.upgrade()
    session = worker.expect_session()
    session.write(b"", {"x-status": "101"})
    session.write("hello".encode(), dataType="text")
    assert client.head().status == 101
    assert client.ws_receive() == (TEXT, b"hello")


def test_text_that_is_not_utf8_does_not_break_the_client(proxy):
    _, client, session = opened(proxy)
    session.write(b"\xff\xfe", dataType="text")
    assert client.ws_receive() == (BINARY, b"\xff\xfe")


def test_the_first_offer_is_the_protocol_unless_the_worker_chooses(proxy):
    offers = "Sec-WebSocket-Protocol: a, b\r\n"
    worker, client = proxy.attach(), proxy.connect()
    client.upgrade(headers=offers)
    worker.expect_session().write()
    assert client.head().headers["sec-websocket-protocol"] == "a"
    client = proxy.connect()
    client.upgrade(headers=offers)
    worker.expect_session().write(
        b"", {"sec-websocket-protocol": "b"})
    assert client.head().headers["sec-websocket-protocol"] == "b"


@pytest.mark.parametrize("code, status", [(401, 401), (None, 403), (1008, 403)])
def test_closing_before_101_is_an_http_status(proxy, code, status):
    worker, client = proxy.attach(), proxy.connect()
    client.upgrade()
    worker.expect_session().close(code)
    assert client.response().status == status
    assert client.closed()
    worker.nothing_more()


def test_a_worker_that_announces_accept_is_waited_for():
    with Proxy(websocket=True, limits={"ws_accept_wait_ms": 1}) as proxy:
        worker = proxy.attach()
        worker.hello(features=["accept"])
        client = proxy.connect()
        client.upgrade()
        session = worker.expect_session()
        worker.nothing_more()  # Far more than the wait of others.
        worker.send({"_session": session.id, "_command": "accept"})
        assert client.head().status == 101
        session.write(b"x", dataType="text")
        assert client.ws_receive() == (TEXT, b"x")


def test_a_hello_that_comes_after_the_session_asks_for_the_long_wait():
    with Proxy(websocket=True, limits={"ws_accept_wait_ms": 100}) as proxy:
        worker, client = proxy.attach(), proxy.connect()
        client.upgrade()
        session = worker.expect_session()
        worker.hello(features=["accept"])
        worker.nothing_more()  # Beyond the short wait, with which it began.
        worker.send({"_session": session.id, "_command": "accept"})
        assert client.head().status == 101


def test_an_accept_that_does_not_come_is_504():
    with Proxy(websocket=True, limits={"ws_accept_timeout_ms": 50}) as proxy:
        worker = proxy.attach()
        worker.hello(features=["accept"])
        client = proxy.connect()
        client.upgrade()
        session = worker.expect_session()
        assert client.response().status == 504
        worker.expect_event(session)


def test_another_version_is_426_and_no_key_is_400(proxy):
    proxy.attach()
    client = proxy.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"
                b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n")
    answer = client.response()
    assert answer.status == 426
    assert answer.headers["sec-websocket-version"] == "13"
    client = proxy.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n")
    assert client.response().status == 400


def test_no_instance_in_time_is_503():
    with Proxy(websocket=True, route={"queue_timeout_ms": 50}) as proxy:
        client = proxy.connect()
        client.upgrade()
        assert client.response().status == 503


def test_the_worker_closes_with_its_code_and_reason(proxy):
    worker, client, session = opened(proxy)
    session.close(4000, "enough")
    assert client.ws_receive() == (CLOSE, 4000, b"enough")
    client.ws_send(struct.pack(">H", 4000), CLOSE)
    assert client.closed()
    worker.nothing_more()
    proxy.expect_counter("websocket_closed", 1)


def test_the_default_close_code_is_1000(proxy):
    _, client, session = opened(proxy)
    session.close()
    assert client.ws_receive()[:2] == (CLOSE, 1000)


def test_the_client_closes_and_the_worker_is_told_once(proxy):
    worker, client, session = opened(proxy)
    client.ws_send(struct.pack(">H", 1001), CLOSE)
    assert client.ws_receive()[:2] == (CLOSE, 1001)
    assert client.closed()
    worker.expect_event(session)
    worker.nothing_more()


def test_a_client_that_vanishes_is_told_once(proxy):
    worker, client, session = opened(proxy)
    client.reset()
    worker.expect_event(session)
    worker.nothing_more()
    proxy.expect_counter("websocket_closed", 1)


@pytest.mark.parametrize("frame, code", [
    (dict(payload="x", masked=False), 1002),
    (dict(payload="x", opcode=3), 1002),
    (dict(payload=b"\xff", opcode=TEXT), 1007),
    (dict(payload=b"x" * 101, opcode=BINARY), 1009),
    (dict(payload=b"x" * 126, opcode=PING), 1002),
], ids=["unmasked", "opcode", "utf8", "size", "control-size"])
def test_a_frame_against_the_protocol_fails_the_connection(frame, code):
    with Proxy(websocket=True, limits={"ws_max_message_bytes": 100}) as proxy:
        worker, client, session = opened(proxy)
        client.ws_send(**frame)
        assert client.ws_receive()[:2] == (CLOSE, code)
        worker.expect_event(session)
        assert client.closed()


def test_a_message_of_exactly_the_limit_passes():
    with Proxy(websocket=True, limits={"ws_max_message_bytes": 100}) as proxy:
        worker, client, session = opened(proxy)
        client.ws_send(b"x" * 100, BINARY)
        assert worker.expect_data(session)[1] == b"x" * 100


def test_a_client_is_pinged_and_lives_while_it_answers():
    with Proxy(websocket=True,
               limits={"ws_ping_ms": 50, "ws_dead_ms": 500}) as proxy:
        worker, client, session = opened(proxy)
        for _ in range(12):
            opcode, payload = client.ws_receive()
            assert opcode == PING
            client.ws_send(payload, PONG)
        client.ws_send("alive")
        assert worker.expect_data(session)[1] == b"alive"


def test_a_client_that_answers_no_ping_is_dead():
    with Proxy(websocket=True,
               limits={"ws_ping_ms": 20, "ws_dead_ms": 100}) as proxy:
        worker, _, session = opened(proxy)
        worker.expect_event(session)


def test_pings_of_the_client_are_answered(proxy):
    _, client, _ = opened(proxy)
    client.ws_send("data", PING)
    assert client.ws_receive() == (PONG, b"data")


def test_a_worker_that_dies_ends_its_websockets(proxy):
    worker, client, _ = opened(proxy)
    worker.die()
    assert client.ws_receive()[:2] == (CLOSE, 1011)


def drain(worker, deadline_ms=60000, for_good=False):
    worker.proxy.command(drain_worker=proxy_pb2.DrainWorker(
        **worker.key, deadline_ms=deadline_ms, for_good=for_good))


def opened_with_drain(proxy):
    """Its worker answers a drain; until it does, nothing is closed."""
    worker = proxy.attach()
    worker.hello(features=["drain"])
    return opened(proxy, worker=worker)


def expect_drain(worker, session):
    """The event for the whole worker, then the one for the session."""
    head, _ = worker.read_frame()
    assert (head["_sessionId"], head["_event"]) == ("", "drain")
    worker.expect_event(session, "drain")


@pytest.mark.parametrize("for_good, code", [(False, 1012), (True, 1001)])
def test_a_drained_instance_closes_its_quiet_websockets(proxy, for_good, code):
    worker, client, session = opened(proxy)
    drain(worker, for_good=for_good)
    assert client.ws_receive()[:2] == (CLOSE, code)
    assert worker.expect_event(session)["reason"] == "draining"
    assert proxy.report("worker_drained").sessions_left == 0


def test_a_worker_hears_once_that_a_drained_websocket_is_closed(proxy):
    worker, client, session = opened(proxy)
    drain(worker)
    assert client.ws_receive()[:2] == (CLOSE, 1012)
    worker.expect_event(session)
    client.ws_send(struct.pack(">H", 1012), CLOSE)
    assert client.closed()
    proxy.report("worker_drained")
    proxy.command(detach_worker=proxy_pb2.DetachWorker(**worker.key))
    assert select.select([worker.stdin], [], [], 10)[0]
    assert os.read(worker.stdin, 1) == b""  # The end of the pipe is next.


def test_a_drain_waits_for_a_worker_that_still_talks():
    with Proxy(websocket=True, limits={"ws_drain_quiet_ms": 1000}) as proxy:
        worker, client, session = opened(proxy)
        drain(worker)
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            session.write(b"not yet", dataType="text")
            assert client.ws_receive() == (TEXT, b"not yet")
        assert client.ws_receive()[:2] == (CLOSE, 1012)


def test_a_message_during_the_drain_still_reaches_the_worker(proxy):
    worker, client, session = opened_with_drain(proxy)
    drain(worker)
    expect_drain(worker, session)
    client.ws_send("one more")
    assert worker.expect_data(session)[1] == b"one more"
    session.write(b"and its answer", dataType="text")
    worker.send({"_command": "drained", "_session": session.id})
    assert client.ws_receive() == (TEXT, b"and its answer")
    assert client.ws_receive()[:2] == (CLOSE, 1012)
    assert worker.expect_event(session)["reason"] == "draining"
    assert proxy.report("worker_drained").sessions_left == 0


def test_a_worker_that_says_drained_is_not_waited_for():
    with Proxy(websocket=True, limits={"ws_drain_quiet_ms": 60000}) as proxy:
        worker, client, session = opened_with_drain(proxy)
        drain(worker)
        expect_drain(worker, session)
        worker.send({"_command": "drained", "_session": session.id})
        assert client.ws_receive()[:2] == (CLOSE, 1012)


def test_drained_means_nothing_before_the_drain(proxy):
    worker, client, session = opened_with_drain(proxy)
    worker.send({"_command": "drained", "_session": session.id})
    session.write(b"still here", dataType="text")
    assert client.ws_receive() == (TEXT, b"still here")
    client.ws_send("still heard")
    assert worker.expect_data(session)[1] == b"still heard"


def test_a_worker_that_does_not_answer_a_drain_is_cut_at_the_deadline(proxy):
    worker, client, session = opened_with_drain(proxy)
    drain(worker, deadline_ms=50)
    expect_drain(worker, session)
    assert client.ws_receive()[:2] == (CLOSE, 1012)
    worker.expect_event(session)
    assert proxy.report("worker_drained").sessions_left == 1


def test_a_handshake_that_a_drain_overtakes_is_refused():
    with Proxy(websocket=True) as proxy:
        worker = proxy.attach()
        worker.hello(features=["accept"])
        client = proxy.connect()
        client.upgrade()
        session = worker.expect_session()
        drain(worker)
        assert client.response().status == 503
        assert worker.expect_event(session)["reason"] == "draining"


def test_many_drained_websockets_are_all_closed(proxy):
    """More than two of the batches that they are closed in."""
    worker = proxy.attach()
    opens = [opened(proxy, worker=worker) for _ in range(130)]
    drain(worker)
    for _, client, _ in opens:
        assert client.ws_receive()[:2] == (CLOSE, 1012)
    heard = [worker.read_frame()[0] for _ in opens]
    assert {head["reason"] for head in heard} == {"draining"}
    assert {head["_sessionId"] for head in heard} == {
        session.id for _, _, session in opens}
    assert proxy.report("worker_drained").sessions_left == 0


def test_http_requests_finish_beside_websockets_that_drain(proxy):
    worker, client, _ = opened(proxy)
    other = proxy.connect()
    other.get()
    request = worker.expect_session()
    drain(worker)
    assert client.ws_receive()[:2] == (CLOSE, 1012)
    worker.read_frame()
    request.answer(b"in time")
    assert other.response().body == b"in time"
    assert proxy.report("worker_drained").sessions_left == 0


def test_a_listener_that_goes_says_going_away(proxy):
    worker, client, session = opened(proxy)
    proxy.command(remove_listener=proxy_pb2.RemoveListener(id=1))
    assert client.ws_receive()[:2] == (CLOSE, 1001)
    assert worker.expect_event(session)["reason"] == "draining"


def test_drain_all_says_going_away(proxy):
    _, client, _ = opened(proxy)
    proxy.command(drain_all=proxy_pb2.DrainAll(deadline_ms=60000))
    assert client.ws_receive()[:2] == (CLOSE, 1001)
    client.ws_send(struct.pack(">H", 1001), CLOSE)
    assert client.closed()
    client.close()
    proxy.report("all_drained")


def test_websockets_hold_no_credit(proxy):
    worker = proxy.attach()
    worker.hello(concurrency=1)
    _, first, _ = opened(proxy, worker=worker)
    _, second, session = opened(proxy, worker=worker)
    second.ws_send("x")
    assert worker.expect_data(session)[1] == b"x"
    client = proxy.connect()
    client.get()
    worker.expect_session().answer(b"http too")
    assert client.response().body == b"http too"


def test_a_client_is_not_heard_while_it_does_not_read(proxy):
    worker, client, session = opened(proxy)
    answer = b"x" * 65536
    for _ in range(300):  # More than the kernel's buffers take.
        session.write(answer, dataType="binary")
    worker.nothing_more()  # All of it has arrived.
    client.ws_send("more")
    worker.nothing_more()
    for _ in range(300):
        assert client.ws_receive() == (BINARY, answer)
    assert worker.expect_data(session)[1] == b"more"


def test_many_messages_arrive_in_order(proxy):
    worker, client, session = opened(proxy)
    for i in range(500):
        client.ws_send(str(i))
    for i in range(500):
        _, payload = worker.expect_data(session)
        assert payload == str(i).encode()
        session.write(payload, dataType="text")
    for i in range(500):
        assert client.ws_receive() == (TEXT, str(i).encode())


def test_the_frames_of_a_client_are_counted_as_bytes_in(proxy):
    worker, client, session = opened(proxy)
    before = proxy.counters.worker("bytes_in")
    assert before > 100  # The handshake.
    client.ws_send("four")
    worker.expect_data(session)
    assert proxy.counters.worker("bytes_in") == before + 2 + 4 + 4
