"""A Node and a Python worker answer real clients through the proxy."""

import json
import subprocess

import pytest
from blocks import node, python
from harness import Agent
from websocket import WebSocket


@pytest.fixture(scope="module")
def agent():
    with Agent(node("web", "http://127.0.0.1:0, ws://127.0.0.1:0") + python("py")
               + node("sock", "http://unix:./web.sock")) as running:
        for name in ("web", "py", "sock"):
            running.ctl("start", name)
        yield running


def test_a_node_worker_answers_a_request(agent):
    status, headers, body = agent.http("web", "/hello?a=1&a=2")
    assert status == 200
    assert headers["content-type"] == "application/json"
    seen = json.loads(body)
    assert seen["path"] == "/hello"
    assert seen["query"] == {"a": ["1", "2"]}
    assert seen["remote_ip"] == "127.0.0.1"


def test_a_python_worker_answers_a_request(agent):
    status, _, body = agent.http("py", "/hello")
    assert status == 200
    assert json.loads(body)["path"] == "/hello"


def test_curl_gets_an_answer(agent):
    host, port = agent.address("web")
    done = subprocess.run(["curl", "-sS", "--fail", f"http://{host}:{port}/curl"],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["path"] == "/curl"


def test_a_unix_socket_below_the_workers_path_answers(agent):
    assert agent.address("sock") == f"{agent.folder}/web.sock"
    status, _, body = agent.http("sock", "/unix")
    assert status == 200
    assert json.loads(body)["remote_ip"] == "unix"


def test_a_websocket_echoes_text_and_binary(agent):
    socket = WebSocket(agent.connect("web", 1))
    assert socket.status == 101
    socket.send("grüße")
    assert socket.receive() == "grüße"
    socket.send(b"\x03\x05\x00\xff")
    assert socket.receive() == b"\x03\x05\x00\xff"
    socket.socket.close()


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 3_000_000])
def test_a_request_body_of_any_size_arrives_whole(agent, size):
    body = bytes(i & 0xFF for i in range(size))
    status, _, answer = agent.http("web", "/echo", method="POST", body=body)
    assert status == 200
    assert answer == body


def test_a_chunked_body_arrives_whole(agent):
    pieces = [b"a" * 10, b"b" * 100_000, b"c"]
    with agent.client("web") as client:
        client.request("POST", "/echo", body=iter(pieces), encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked"})
        answer = client.getresponse()
        assert answer.status == 200
        assert answer.read() == b"".join(pieces)


def test_one_connection_serves_many_requests(agent):
    with agent.client("web") as client:
        for number in range(50):
            client.request("GET", f"/{number}")
            answer = client.getresponse()
            assert json.loads(answer.read())["path"] == f"/{number}"


def test_pipelined_requests_are_answered_in_order(agent):
    with agent.connect("web") as connection:
        count = 20
        connection.sendall(b"".join(f"GET /{i} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for i in range(count)))
        received = b""
        while received.count(b"HTTP/1.1 200") < count or not received.endswith(b"}"):
            piece = connection.recv(65536)
            assert piece
            received += piece
        order = [received.index(f'"path":"/{i}"'.encode()) for i in range(count)]
        assert order == sorted(order)


def test_list_has_the_fixed_shape(agent):
    worker = agent.worker("web")
    assert set(worker) >= {"name", "state", "mode", "source", "servers", "instances"}
    assert (worker["state"], worker["mode"], worker["source"]) == ("ready", "pipe", "config")
    instance = worker["instances"][0]
    assert set(instance) >= {"index", "id", "pid", "state", "restarts", "uptime_ms", "cpu_percent", "rss_bytes"}
    for field in ("index", "id", "pid", "restarts", "uptime_ms", "rss_bytes"):
        assert isinstance(instance[field], int), field
    assert instance["rss_bytes"] > 1_000_000


def test_a_log_frame_is_a_line_in_the_workers_log(agent):
    assert agent.http("py", "/log")[0] == 200
    agent.wait_for(lambda: 'warning disk nearly\\nfull {"free":12}' in agent.logs("py"), "the line")


def test_info_counts_the_requests(agent):
    before = agent.info("web")["counters"]["requests"]
    for _ in range(5):
        agent.http("web", "/count")
    assert agent.info("web")["counters"]["requests"] == before + 5


def test_status_names_the_processes(agent):
    out = agent.ctl("status").out
    assert agent.socket in out


def test_ping_answers(agent):
    assert agent.ctl("ping").code == 0
