"""Instances: who gets the next request, hello, draining, and the agent's
restarts."""

import pytest

from apm.internal.v1 import proxy_pb2
from proxy_harness import FakeWorker, Proxy


@pytest.fixture
def proxy():
    with Proxy() as running:
        yield running


def test_requests_go_round_robin(proxy):
    workers = [proxy.attach(instance=i) for i in range(3)]
    for worker in workers:
        worker.hello()
    client = proxy.connect()
    for turn in range(2):
        for worker in workers:
            client.get()
            worker.expect_session().answer(b"ok")
            client.response()


def test_a_worker_of_concurrency_one_gets_one_request_at_a_time(proxy):
    worker = proxy.attach()
    traits = worker.hello(concurrency=1).traits
    assert (traits.connector, traits.concurrency) == ("test/1.0", 1)
    clients = [proxy.connect(), proxy.connect()]
    for i, client in enumerate(clients):
        client.get(f"/{i}")
    first = worker.expect_session()
    proxy.expect_counter("queued", 1)
    first.write(b"not yet done")
    proxy.expect_counter("frames_in", 2)
    first.close()
    second = worker.expect_session()
    second.answer(b"ok")
    for client in clients:
        assert client.response().status == 200


def test_the_first_write_gives_the_credit_back(proxy):
    worker = proxy.attach()
    worker.hello(concurrency=2)
    clients = [proxy.connect() for _ in range(3)]
    sessions = []
    for client in clients[:2]:
        client.get()
        sessions.append(worker.expect_session())
    clients[2].get("/third")
    proxy.expect_counter("queued", 1)
    sessions[0].write(b"streaming")
    assert worker.expect_session().head["path"] == "/third"


def test_a_waiting_client_that_leaves_is_never_dispatched(proxy):
    worker = proxy.attach()
    worker.hello(concurrency=1)
    first, leaver, last = (proxy.connect() for _ in range(3))
    first.get()
    session = worker.expect_session()
    leaver.get("/leaver")
    proxy.expect_counter("queued", 1)
    last.get("/last")
    proxy.expect_counter("queued", 2)
    leaver.reset()
    proxy.expect_counter("unqueued", 1)
    session.answer()
    assert worker.expect_session().head["path"] == "/last"


def test_lean_workers_get_heads_without_derived_fields(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get("/a?b=c")
    full = worker.expect_session()
    assert full.head["path_array"] == ["a"]
    assert full.head["query_object"] == {"b": "c"}
    full.answer()
    client.response()
    worker.hello(features=["lean"])
    client.get("/a?b=c")
    lean = worker.expect_session()
    assert "path_array" not in lean.head
    assert lean.head["query"] == "b=c"


def test_the_first_frame_of_an_original_worker_is_its_hello(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    worker.expect_session().answer()
    hello = proxy.report("worker_hello")
    assert hello.worker_id == 1
    assert hello.traits == proxy_pb2.WorkerTraits()


def answers_all(proxy, worker, requests=4):
    client = proxy.connect()
    for i in range(requests):
        client.get(f"/{i}")
        worker.expect_session().answer(b"ok")
        assert client.response().body == b"ok"


def test_a_first_process_serves_before_it_has_said_a_word(proxy):
    answers_all(proxy, proxy.attach())


def test_first_processes_share_the_requests(proxy):
    workers = [proxy.attach(instance=i) for i in range(2)]
    for worker in workers:
        proxy.connect().get()
        worker.expect_session()


def test_a_new_process_gets_nothing_while_a_proven_one_serves(proxy):
    proven = proxy.attach()
    proven.hello()
    new = proxy.attach(instance=1)
    answers_all(proxy, proven)
    new.die()
    assert proxy.report("worker_link_lost").instance == 1
    assert proxy.counters.worker("retries") == 0


def test_requests_wait_for_a_proven_process_that_is_busy(proxy):
    proven = proxy.attach()
    proven.hello(concurrency=1)
    proxy.attach(instance=1)
    clients = [proxy.connect(), proxy.connect()]
    clients[0].get("/first")
    first = proven.expect_session()
    clients[1].get("/second")
    proxy.expect_counter("queued", 1)
    first.answer()
    assert proven.expect_session().head["path"] == "/second"


@pytest.mark.parametrize("prove", [
    lambda worker: worker.hello(), lambda worker: worker.ready(),
    lambda worker: worker.send({"_command": "ready"})])
def test_what_waits_goes_to_a_process_when_it_is_proven(proxy, prove):
    proven = proxy.attach()
    proven.hello(concurrency=1)
    new = proxy.attach(instance=1)
    clients = [proxy.connect(), proxy.connect()]
    clients[0].get()
    proven.expect_session()
    clients[1].get("/waits")
    proxy.expect_counter("queued", 1)
    prove(new)
    assert new.expect_session().head["path"] == "/waits"


def test_when_the_last_proven_process_drains_the_new_one_serves(proxy):
    proven = proxy.attach()
    proven.hello(concurrency=1)
    new = proxy.attach(instance=1)
    clients = [proxy.connect(), proxy.connect()]
    clients[0].get()
    proven.expect_session()
    clients[1].get("/waits")
    proxy.expect_counter("queued", 1)
    proxy.command(drain_worker=proxy_pb2.DrainWorker(
        **proven.key, deadline_ms=60000))
    assert new.expect_session().head["path"] == "/waits"


def test_a_draining_instance_finishes_and_gets_nothing_new(proxy):
    old, client = proxy.attach(), proxy.connect()
    old.hello(features=["drain"])
    client.get()
    session = old.expect_session()
    new = proxy.attach(instance=1)
    proxy.command(drain_worker=proxy_pb2.DrainWorker(
        **old.key, deadline_ms=60000))
    head, _ = old.read_frame()
    assert head["_event"] == "drain"
    other = proxy.connect()
    for _ in range(2):
        other.get()
        new.expect_session().answer(b"new")
        assert other.response().body == b"new"
    session.answer(b"old")
    assert client.response().body == b"old"
    assert proxy.report("worker_drained").sessions_left == 0
    proxy.command(detach_worker=proxy_pb2.DetachWorker(**old.key))


def test_a_drain_ends_at_its_deadline(proxy):
    old, client = proxy.attach(), proxy.connect()
    client.get()
    old.expect_session()
    proxy.command(drain_worker=proxy_pb2.DrainWorker(
        **old.key, deadline_ms=50))
    assert proxy.report("worker_drained").sessions_left == 1


def test_detaching_reads_what_the_worker_has_left(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    session = worker.expect_session()
    session.answer(b"just in time")
    proxy.command(detach_worker=proxy_pb2.DetachWorker(**worker.key))
    assert client.response().body == b"just in time"


def test_a_hello_that_is_not_the_first_frame_is_reported_too(proxy):
    worker = proxy.attach()
    worker.send({"_command": "ready"})
    assert proxy.report("worker_hello").traits.connector == ""
    assert worker.hello().traits.connector == "test/1.0"


def test_a_second_hello_counts_for_nothing(proxy):
    worker = proxy.attach()
    worker.hello(concurrency=1)
    worker.send({"_command": "hello", "concurrency": 9})
    clients = [proxy.connect(), proxy.connect()]
    for client in clients:
        client.get()
    worker.expect_session()
    proxy.expect_counter("queued", 1)


def test_what_a_hello_says_is_passed_on_within_limits(proxy):
    worker = proxy.attach()
    worker.send({"_command": "hello", "connector": "\u00e9" * 100,
                 "features": ["x" * 33] + [f"f{i}" for i in range(20)]})
    traits = proxy.report("worker_hello").traits
    assert traits.connector == "\u00e9" * 32
    assert list(traits.features) == [f"f{i}" for i in range(16)]


def test_a_new_agent_finds_everything_as_it_was(proxy):
    worker, client = proxy.attach(), proxy.connect()
    told = worker.hello(concurrency=3, features=["drain", "of tomorrow"])
    client.get("/before")
    session = worker.expect_session()
    proxy.agent.sock.close()
    proxy.new_agent()
    proxy.introduce()
    # The agent repeats what it knows; the old pipes stay in use, but for the
    # one that ends with the agent.
    again = FakeWorker(proxy, **worker.key)
    proxy.workers.append(again)
    proxy.take_over_done()
    assert proxy.report("worker_hello") == told
    worker.send_bytes(b"printed\n")
    assert again.read_stray(8) == b"printed\n"
    session.answer(b"during")
    assert client.response().body == b"during"
    client.get("/after")
    worker.expect_session().answer(b"after")
    assert client.response().body == b"after"


def test_without_an_agent_the_last_configuration_serves(proxy):
    worker, client = proxy.attach(), proxy.connect()
    proxy.agent.sock.close()
    client.get()
    worker.expect_session().answer(b"alone")
    assert client.response().body == b"alone"


def test_a_removed_listener_closes_idle_connections_and_finishes_busy_ones(
        proxy):
    worker, idle, busy = proxy.attach(), proxy.connect(), proxy.connect()
    idle.get()
    worker.expect_session().answer()
    idle.response()
    busy.get()
    session = worker.expect_session()
    proxy.command(remove_listener=proxy_pb2.RemoveListener(id=1))
    assert idle.closed()
    session.answer(b"finished")
    answer = busy.response()
    assert (answer.body, answer.headers["connection"]) == (b"finished", "close")
    assert busy.closed()


def test_drain_all_reports_when_the_last_request_is_answered(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    session = worker.expect_session()
    proxy.command(drain_all=proxy_pb2.DrainAll(deadline_ms=60000))
    session.answer(b"last")
    assert client.response().headers["connection"] == "close"
    proxy.report("all_drained")


def test_drain_all_ends_at_its_deadline(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    session = worker.expect_session()
    proxy.command(drain_all=proxy_pb2.DrainAll(deadline_ms=50))
    proxy.report("all_drained")
    assert client.closed()
    worker.expect_event(session)


def test_two_workers_have_their_own_listeners_and_counters(proxy):
    other_route = dict(proxy.route, id=2, name="api", counter_slot=1)
    proxy.send_snapshot([proxy.route, other_route])
    address = proxy.listen(listener_id=2, worker_id=2)
    proxy.attach()
    api, client = proxy.attach(worker_id=2), proxy.connect(address)
    client.get()
    api.expect_session().answer(b"api")
    assert client.response().body == b"api"
    assert proxy.counters.worker("requests", slot=0) == 0
    assert proxy.counters.worker("requests", slot=1) == 1


def test_a_worker_that_leaves_the_configuration_is_no_longer_served(proxy):
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    worker.expect_session().answer()
    client.response()
    other_route = dict(proxy.route, id=2, name="api", counter_slot=1)
    proxy.send_snapshot([other_route])
    assert client.closed()
    proxy.command(detach_worker=proxy_pb2.DetachWorker(**worker.key))


def test_unusable_messages_of_the_agent_are_survived(proxy):
    proxy.agent.sock.send(b"\0\xff\xff\xff")
    proxy.command(add_listener=proxy_pb2.AddListener(id=9))  # No descriptor.
    proxy.command(detach_worker=proxy_pb2.DetachWorker(worker_id=99))
    worker, client = proxy.attach(), proxy.connect()
    client.get()
    worker.expect_session().answer(b"ok")
    assert client.response().body == b"ok"
