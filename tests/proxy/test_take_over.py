"""A proxy dies at once (kill -9); the next one gets its workers' pipes."""

import select

import pytest

from apm.internal.v1 import proxy_pb2
from proxy_harness import Proxy, frame, wait_until
from shared_records import SESSION_BYTES, SESSION_MAGIC, LinkRecords, Records


@pytest.fixture
def proxy():
    with Proxy(websocket=True, keeps_pipes=True) as running:
        yield running


def get(proxy, worker, path="/"):
    """A request that the worker has and has not answered."""
    client = proxy.connect()
    client.get(path)
    return client, worker.expect_session()


def serves(proxy, worker):
    client, session = get(proxy, worker, "/serves")
    session.answer(b"ok")
    assert client.response().body == b"ok"


def expect_restarted(worker, sessions):
    """connectionClosed for each of these, in any order."""
    closed = {}
    for _ in sessions:
        head, _ = worker.read_frame()
        assert head["_event"] == "connectionClosed", head
        assert head["reason"] == "proxy restarted"
        closed[head["_sessionId"]] = head
    assert set(closed) == {session.id for session in sessions}


def test_an_idle_link_is_taken_over_and_serves(proxy):
    worker = proxy.attach()
    worker.hello()
    serves(proxy, worker)
    proxy.kill_at_rest()
    assert not proxy.records.torn(worker.key)
    proxy.take_over()
    serves(proxy, worker)


def test_clients_that_came_in_between_are_served(proxy):
    worker = proxy.attach()
    worker.hello()
    proxy.kill_at_rest()
    client = proxy.connect()
    client.get("/in-between")
    proxy.take_over()
    worker.expect_session().answer(b"patience")
    assert client.response().body == b"patience"


def test_sessions_in_flight_are_closed_and_no_others(proxy):
    worker = proxy.attach()
    worker.hello()
    _, answered = get(proxy, worker)
    answered.answer()
    left_client, left = get(proxy, worker)
    left_client.reset()
    worker.expect_event(left)
    _, waiting = get(proxy, worker)
    _, begun = get(proxy, worker)
    begun.write(b"the beginning")
    websocket = proxy.connect()
    websocket.upgrade()
    open_socket = worker.expect_session()
    open_socket.write(b"hello")
    proxy.expect_counter("frames_in", 5)
    dead = [waiting, begun, open_socket]
    wait_until(lambda: len(proxy.records.session_ids()) == 3, "three sessions")
    proxy.kill_at_rest()
    assert set(proxy.records.session_ids()) == {session.id for session in dead}
    proxy.take_over()
    expect_restarted(worker, dead)
    worker.nothing_more()
    wait_until(lambda: proxy.records.session_ids() == [], "no sessions")


def test_a_second_death_before_the_take_over_loses_none(proxy):
    first, second = proxy.attach(instance=0), proxy.attach(instance=1)
    for worker in (first, second):
        worker.hello()
    _, on_first = get(proxy, first)
    _, on_second = get(proxy, second)
    proxy.kill_at_rest()
    proxy.start()
    first.attach()
    expect_restarted(first, [on_first])
    # Its record must not take the place of one that has not been dealt with.
    later = [get(proxy, first)[1] for _ in range(5)]
    proxy.kill_at_rest()
    proxy.take_over()
    expect_restarted(first, later)
    expect_restarted(second, [on_second])
    for worker in (first, second):
        worker.nothing_more()


def test_late_frames_of_the_old_proxys_sessions_are_counted(proxy):
    worker = proxy.attach()
    worker.hello()
    _, session = get(proxy, worker)
    proxy.kill_at_rest()
    session.write(b"nobody")
    session.write(b"hears")
    session.close()
    proxy.take_over()
    proxy.expect_counter("late_frames", 3)
    expect_restarted(worker, [session])
    serves(proxy, worker)
    assert proxy.counters.worker("frames_bad") == 0
    assert proxy.counters.worker("stray_bytes") == 0


def test_whole_frames_that_nobody_has_read_are_read(proxy):
    worker = proxy.attach()
    worker.hello()
    proxy.kill_at_rest()
    worker.send({"_command": "log", "level": "info", "message": "not lost"})
    proxy.take_over()
    assert worker.read_stray(14) == b"info not lost\n"


def test_half_a_frame_that_nobody_has_read_tears_nothing(proxy):
    worker = proxy.attach()
    worker.hello()
    client, _ = get(proxy, worker)
    proxy.kill_at_rest()
    text = frame({"_command": "log", "message": "in two parts"})
    worker.send_bytes(text[:20])
    proxy.take_over()
    worker.send_bytes(text[20:])
    assert b"in two parts" in worker.read_stray(18)


def test_a_death_in_the_middle_of_a_frame_from_the_worker_tears_the_link(
        proxy):
    torn, clean = proxy.attach(instance=0), proxy.attach(instance=1)
    for worker in (torn, clean):
        worker.hello()
    torn.send_bytes(frame({"_command": "log", "message": "m"})[:20])
    wait_until(lambda: proxy.records.torn(torn.key), "busy_in")
    proxy.kill()
    assert proxy.records.link(torn.key) == (7, 1, 0)
    assert not proxy.records.torn(clean.key)
    # An agent that hands it out all the same is told so.
    proxy.take_over()
    assert proxy.report("worker_link_lost").instance == 0
    for _ in range(2):
        serves(proxy, clean)


def test_a_frame_that_is_completed_leaves_a_clean_link(proxy):
    worker = proxy.attach()
    worker.hello()
    text = frame({"_command": "log", "message": "m"})
    worker.send_bytes(text[:20])
    wait_until(lambda: proxy.records.torn(worker.key), "busy_in")
    worker.send_bytes(text[20:])
    wait_until(lambda: not proxy.records.torn(worker.key), "clean")


def test_a_death_in_the_middle_of_a_frame_to_the_worker_tears_the_link(proxy):
    worker, client = proxy.attach(), proxy.connect()
    worker.hello()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n")
    session = worker.expect_session()
    client.send(bytes(512 << 10))  # More than the worker's pipe holds.
    wait_until(lambda: not select.select([], [worker.kept[0]], [], 0)[1]
               and proxy.records.link(worker.key) == (7, 0, 1), "busy_out, for want of room")
    proxy.kill()
    assert proxy.records.torn(worker.key)
    assert proxy.records.session_ids() == [session.id]
    proxy.take_over()
    assert proxy.report("worker_link_lost").instance == 0


def test_the_record_of_a_torn_link_serves_the_next_process(proxy):
    worker = proxy.attach()
    worker.hello()
    get(proxy, worker)
    worker.send_bytes(frame({"_command": "log"})[:10])
    wait_until(lambda: proxy.records.torn(worker.key), "busy_in")
    proxy.kill()
    old_key = worker.key
    worker.die()
    proxy.start()
    # The number is the same; the sessions noted under it are another's.
    new_key = dict(old_key, generation=99)
    proxy.records.replace(old_key, new_key)
    fresh = proxy.attach_key(new_key)
    fresh.nothing_more()
    proxy.take_over_done()
    assert proxy.records.session_ids() == []
    assert proxy.records.link(new_key) == (8, 0, 0)


def test_sessions_of_links_that_are_gone_are_forgotten(proxy):
    worker = proxy.attach()
    worker.hello()
    get(proxy, worker)
    proxy.kill_at_rest()
    assert len(proxy.records.session_ids()) == 1
    proxy.take_over(workers=[])
    wait_until(lambda: proxy.records.session_ids() == [], "forgotten")


def test_a_worker_of_concurrency_one_stays_so(proxy):
    worker = proxy.attach()
    worker.hello(concurrency=1)
    proxy.kill_at_rest()
    proxy.take_over()
    _, first = get(proxy, worker, "/1")
    waiting = proxy.connect()
    waiting.get("/2")
    proxy.expect_counter("queued", 1)
    first.answer()
    assert worker.expect_session().head["path"] == "/2"


def test_features_and_the_hello_itself_are_known_to_the_next_proxy(proxy):
    worker = proxy.attach()
    told = worker.hello(features=["lean", "drain"])
    proxy.kill_at_rest()
    proxy.take_over()
    client, session = get(proxy, worker, "/a?b=c")
    assert "path_array" not in session.head
    proxy.agent.sock.close()
    proxy.new_agent()
    proxy.introduce()
    worker.attach()
    assert proxy.report("worker_hello") == told
    proxy.command(drain_worker=proxy_pb2.DrainWorker(**worker.key,
                                                     deadline_ms=60000))
    head, _ = worker.read_frame()
    assert head["_event"] == "drain"
    session.answer(b"done")
    assert client.response().body == b"done"
    assert proxy.report("worker_drained").sessions_left == 0


def test_a_process_that_has_spoken_is_proven_to_the_next_proxy(proxy):
    proven, new = proxy.attach(instance=0), proxy.attach(instance=1)
    proven.hello()
    proxy.kill_at_rest()
    proxy.take_over()
    for _ in range(3):
        serves(proxy, proven)
    new.send({"_command": "ready"})
    assert proxy.report("worker_hello").instance == 1


def test_requests_queue_until_a_link_is_there(proxy):
    worker = proxy.attach()
    worker.hello()
    proxy.kill_at_rest()
    proxy.start()
    client = proxy.connect()
    client.get("/waits")
    proxy.expect_counter("queued", 1)
    worker.attach()
    worker.expect_session().answer(b"at last")
    assert client.response().body == b"at last"


def test_no_session_record_is_left_over(proxy):
    worker = proxy.attach()
    worker.hello()
    for _ in range(20):
        serves(proxy, worker)
    for _ in range(20):
        client, session = get(proxy, worker)
        client.reset()
        worker.expect_event(session)
    clients = [get(proxy, worker)[0] for _ in range(5)]
    assert len(proxy.records.session_ids()) == 5
    worker.die()
    proxy.report("worker_link_lost")
    wait_until(lambda: proxy.records.session_ids() == [], "none")
    del clients


def test_a_retried_request_is_noted_on_its_second_link_only(proxy):
    first, second = proxy.attach(instance=0), proxy.attach(instance=1)
    for worker in (first, second):
        worker.hello()
    get(proxy, first)
    first.die()
    session = second.expect_session()
    assert proxy.records.session_ids() == [session.id]
    proxy.kill_at_rest()
    proxy.take_over(workers=[second])
    expect_restarted(second, [session])


def test_more_sessions_than_records_are_served(proxy):
    with Proxy(keeps_pipes=True, records=LinkRecords(sessions=2)) as small:
        worker = small.attach()
        worker.hello()
        open_now = [get(small, worker) for _ in range(4)]
        assert len(small.records.session_ids()) == 2
        for client, session in open_now:
            session.answer(b"ok")
            assert client.response().body == b"ok"
        serves(small, worker)


@pytest.mark.parametrize("links, sessions", [
    (Records(SESSION_MAGIC, 64, 64), None),
    (Records(0x41504D4C494E4B31, 32, 64), None),
    (Records(0x41504D4C494E4B31, 64, 64, sealed=False), None),
    (None, Records(SESSION_MAGIC, SESSION_BYTES + 8, 64)),
])
def test_unusable_records_are_refused_and_workers_served(links, sessions):
    records = LinkRecords()
    records.links = links or records.links
    records.sessions = sessions or records.sessions
    with Proxy(records=records) as proxy:
        worker = proxy.attach()
        serves(proxy, worker)
        assert "link records" in proxy.log_text()
        assert proxy.records.link(worker.key) == (0, 0, 0)


def test_other_records_than_those_in_use_are_refused(proxy):
    worker = proxy.attach()
    worker.hello()
    other = LinkRecords()
    proxy.send_link_records(other)
    _, session = get(proxy, worker)
    assert proxy.records.session_ids() == [session.id]
    assert other.session_ids() == []
    other.close()


def test_a_worker_that_closes_its_pipes_in_between_is_reported(proxy):
    worker = proxy.attach()
    worker.hello()
    get(proxy, worker)
    proxy.kill_at_rest()
    worker.die()
    proxy.take_over()
    assert proxy.report("worker_link_lost").instance == 0


def test_many_dead_websockets_are_closed_one_by_one(proxy):
    worker = proxy.attach()
    worker.hello()
    sessions = []
    for _ in range(300):
        client = proxy.connect()
        client.upgrade()
        sessions.append(worker.expect_session())
    proxy.kill_at_rest()
    proxy.take_over()
    expect_restarted(worker, sessions)
    serves(proxy, worker)
