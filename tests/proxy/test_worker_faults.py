"""Workers that misbehave, die, or go: what the client sees, and that no other
session is harmed."""

import os
import struct

import pytest

from proxy_harness import Proxy, frame


@pytest.fixture
def proxy():
    with Proxy() as running:
        yield running


def serves(proxy, worker, client=None):
    client = client or proxy.connect()
    client.get("/still")
    session = worker.expect_session()
    session.answer(b"still here")
    assert client.response().body == b"still here"


def post(client, path="/"):
    client.send(f"POST {path} HTTP/1.1\r\nHost: a\r\n"
                "Content-Length: 0\r\n\r\n".encode())


@pytest.mark.parametrize("garbage", [
    b"just a line\n",
    b"\x05\xff\xff\xff\xff{\"huge\":1}\n",
    b"\x05\x00\x00\x00\x05[1]\x03x\n",
    b"\x05\x05\x05\x05\n",
    os.urandom(4096).replace(b"\x05", b"") + b"\n",
], ids=["print", "huge-length", "no-object", "starts", "random"])
def test_garbage_between_frames_is_stray_and_harms_no_frame(proxy, garbage):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    session = worker.expect_session()
    worker.send_bytes(
        garbage + frame({"_session": session.id, "_command": "write"}, b"yes") +
        garbage + frame({"_session": session.id,
                         "_command": "closeConnection"}))
    assert client.response().body == b"yes"
    assert worker.read_stray(2 * len(garbage)) == 2 * garbage
    assert proxy.counters.worker("stray_bytes") == 2 * len(garbage)


def test_a_frame_that_cannot_be_obeyed_is_counted_and_reported(proxy):
    worker = proxy.attach()
    worker.send({"_command": "dance"})
    worker.send({"no": "command"})
    warning = proxy.report("warning")
    assert "'web'" in warning.text and "dance" in warning.text
    assert warning.worker_id == 1
    proxy.expect_counter("frames_bad", 2)
    serves(proxy, worker)


def test_a_second_close_and_late_writes_are_counted_and_dropped(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    session = worker.expect_session()
    session.answer(b"once")
    session.answer(b"twice")
    assert client.response().body == b"once"
    proxy.expect_counter("late_frames", 2)
    serves(proxy, worker, client)


def test_a_session_of_another_instance_cannot_be_answered(proxy):
    honest, client = proxy.attach(), proxy.connect()
    client.get()
    session = honest.expect_session()
    liar = proxy.attach(instance=1)
    liar.send({"_session": session.id, "_command": "write"}, b"forged")
    proxy.expect_counter("late_frames", 1)
    session.answer(b"true")
    assert client.response().body == b"true"


def test_a_header_that_would_split_the_answer_is_502(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    session = worker.expect_session()
    session.write(b"x", {"x-evil": "a\r\nSet-Cookie: b=1"})
    answer = client.response()
    assert answer.status == 502
    assert "set-cookie" not in answer.headers
    worker.expect_event(session)
    serves(proxy, worker)


@pytest.mark.parametrize("status", ["99", "1000", "OK"])
def test_a_status_that_is_none_is_502(proxy, status):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    worker.expect_session().write(b"x", {"x-status": status})
    assert client.response().status == 502


def test_a_worker_that_dies_before_it_answers_is_502(proxy):
    worker, client = proxy.attach(), proxy.connect()
    post(client)
    worker.expect_session()
    worker.die()
    assert client.response().status == 502
    lost = proxy.report("worker_link_lost")
    assert (lost.worker_id, lost.instance) == (1, 0)
    assert proxy.counters.worker("responses_502") == 1


def test_a_worker_that_dies_in_its_answer_cuts_the_connection(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    worker.expect_session().write(b"half")
    assert client.head().headers["transfer-encoding"] == "chunked"
    assert client.chunk() == b"half"
    worker.die()
    assert client.closed()


def test_what_a_worker_wrote_before_it_died_still_arrives(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    session = worker.expect_session()
    session.answer(b"last words")
    worker.die()
    assert client.response().body == b"last words"


def test_a_worker_that_dies_in_a_frame_harms_no_other(proxy):
    first, client = proxy.attach(), proxy.connect()
    post(client)
    session = first.expect_session()
    second = proxy.attach(instance=1)
    whole = frame({"_session": session.id, "_command": "write"}, b"x" * 1000)
    first.send_bytes(whole[:500])
    first.die()
    assert client.response().status == 502
    serves(proxy, second)


def test_one_lost_get_is_tried_once_more_elsewhere(proxy):
    first, client = proxy.attach(), proxy.connect()
    client.get("/again")
    first.expect_session()
    second = proxy.attach(instance=1)
    first.die()
    session = second.expect_session()
    assert session.head["path"] == "/again"
    session.answer(b"second try")
    assert client.response().body == b"second try"
    assert proxy.counters.worker("retries") == 1


def test_a_get_that_was_lost_twice_is_502(proxy):
    first, client = proxy.attach(), proxy.connect()
    client.get()
    first.expect_session()
    second = proxy.attach(instance=1)
    first.die()
    second.expect_session()
    proxy.attach(instance=2)
    second.die()
    assert client.response().status == 502


def test_two_requests_lost_together_are_not_tried_again(proxy):
    first = proxy.attach()
    clients = [proxy.connect(), proxy.connect()]
    for client in clients:
        client.get()
        first.expect_session()
    proxy.attach(instance=1)
    first.die()
    assert [client.response().status for client in clients] == [502, 502]


def test_a_client_that_vanishes_before_the_answer_is_told_once(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    session = worker.expect_session()
    client.reset()
    worker.expect_event(session)
    worker.nothing_more()


def test_a_client_that_vanishes_in_the_answer_is_told_once(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    session = worker.expect_session()
    session.write(b"some")
    client.head()
    client.reset()
    worker.expect_event(session)
    session.write(b"more")
    session.close()
    proxy.expect_counter("late_frames", 2)
    worker.nothing_more()


def test_a_client_that_vanishes_in_its_body_is_told_once(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
    session = worker.expect_session()
    client.close()
    worker.expect_event(session)
    worker.nothing_more()


def test_no_event_follows_the_workers_own_close(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    worker.expect_session().answer(b"done")
    client.response()
    client.close()
    worker.nothing_more()


def test_a_log_frame_is_a_line_of_the_log(proxy):
    worker = proxy.attach()
    worker.send({"_command": "log", "level": "warning", "message": "a\nb",
                 "fields": {"free": 12}})
    expected = b'warning a\\nb {"free": 12}\n'
    assert worker.read_stray(len(expected)) == expected
    assert proxy.counters.worker("frames_in") == 1
    assert proxy.counters.worker("stray_bytes") == 0


def test_log_lines_that_nobody_reads_are_dropped_and_counted(proxy):
    worker = proxy.attach()
    for _ in range(40):
        worker.send({"_command": "log", "message": "x" * 30_000})
    proxy.expect_counter("frames_in", 40)
    assert proxy.counters.worker("stray_dropped_bytes") > 500_000
    serves(proxy, worker)


@pytest.mark.parametrize("head, bad", [
    ({"name": "jobs_total", "value": 1, "type": "counter"}, 0),
    ({"name": "t", "value": "2.5", "type": "timing", "_session": ""}, 0),
    ({"name": "no good", "value": 1, "type": "counter"}, 1),
    ({"name": "jobs", "value": "many", "type": "gauge"}, 1),
    ({"name": "jobs", "value": 1, "type": "heap"}, 1),
])
def test_a_metric_is_checked(proxy, head, bad):
    worker = proxy.attach()
    worker.send({"_command": "metric", **head})
    worker.send({"_command": "ready"})
    proxy.expect_counter("frames_in", 2)
    assert proxy.counters.worker("frames_bad") == bad
    serves(proxy, worker)


def test_stray_lines_arrive_whole_under_load(proxy):
    worker, client = proxy.attach(), proxy.connect()
    expected = b""
    for i in range(200):
        client.get()
        session = worker.expect_session()
        line = b"line %d\n" % i
        expected += line
        worker.send_bytes(line[:3])
        worker.send_bytes(line[3:])
        session.answer(b"ok")
        assert client.response().body == b"ok"
    assert worker.read_stray(len(expected)) == expected
    assert proxy.counters.worker("stray_dropped_bytes") == 0


def test_stray_output_that_nobody_reads_is_dropped_and_counted(proxy):
    worker = proxy.attach()
    worker.send_bytes((b"x" * 999 + b"\n") * 1000)
    serves(proxy, worker)
    assert proxy.counters.worker("stray_bytes") == 1_000_000
    assert proxy.counters.worker("stray_dropped_bytes") > 500_000


def test_half_a_head_does_not_swallow_the_frame_behind_it(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    session = worker.expect_session()
    worker.send_bytes(b"\x05" + struct.pack(">I", 1000) + b'{"_command":')
    session.answer(b"found")
    assert client.response().body == b"found"


def test_a_frame_that_never_ends_is_given_up_and_the_next_one_found(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    session = worker.expect_session()
    whole = frame({"_session": session.id, "_command": "write"}, b"x" * 9999)
    worker.send_bytes(whole[:-5000])  # Then nothing, for the 5 s of the rule.
    proxy.expect_counter("stray_bytes", len(whole) - 5000)
    session.answer(b"after all")
    assert client.response().body == b"after all"


def test_a_lost_request_waits_for_another_instance_as_long_as_any():
    with Proxy(route={"queue_timeout_ms": 50}) as running:
        worker, client = running.attach(), running.connect()
        client.get()
        worker.expect_session()
        worker.die()
        assert client.response().status == 503
