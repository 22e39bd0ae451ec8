"""What is wrong gets a message with the next step, and harms nothing else."""

import json
import os
import socket
import struct
import subprocess

import pytest
from blocks import node, plain
from harness import WORKERS, Agent

CONNECTOR_FREE = '''
import os, struct, sys, json

def send(head, body=b""):
    text = json.dumps(head).encode()
    os.write(1, b"\\x05" + struct.pack(">I", len(text) + 1 + len(body)) + text + b"\\x03" + body)

def frames():
    data = b""
    while True:
        while len(data) >= 5:
            size = struct.unpack(">I", data[1:5])[0] + 6
            if len(data) < size:
                break
            frame, data = data[:size], data[size:]
            at = frame.index(b"\\x03", 5)
            yield json.loads(frame[5:at]), frame[at + 1:]
        piece = os.read(0, 65536)
        if not piece:
            return
        data += piece

for head, body in frames():
    session = head["_sessionId"]
    path = head.get("path")
    if head.get("_sessionType") != "new":
        continue
    if path == "/garbage":
        os.write(1, bytes(range(256)) * 40 + b"\\n")
        send({"_session": session, "_command": "write", "x-status": "200"}, b"after garbage")
    elif path == "/huge-length":
        os.write(1, b"\\x05\\xff\\xff\\xff\\xff{\\n")
        send({"_session": session, "_command": "write", "x-status": "200"}, b"after a huge length")
    elif path == "/mid-frame":
        os.write(1, b"\\x05\\x00\\x00\\x10\\x00{\\"_session\\":")
        os._exit(1)
    elif path == "/never":
        continue
    elif path == "/twice":
        for _ in range(2):
            send({"_session": session, "_command": "write", "x-status": "200"}, b"once")
            send({"_session": session, "_command": "closeConnection"})
        continue
    elif path == "/bad-header":
        send({"_session": session, "_command": "write", "x-status": "200", "x-split": "a\\r\\nset-cookie: stolen"}, b"x")
    elif path == "/unknown-command":
        send({"_session": session, "_command": "explode"})
        send({"_session": session, "_command": "write", "x-status": "200"}, b"alive")
    else:
        send({"_session": session, "_command": "write", "x-status": "200"}, b"fine")
    send({"_session": session, "_command": "closeConnection"})
'''


@pytest.fixture(scope="module")
def agent():
    running = Agent()
    script = running.folder / "raw.py"
    script.write_text(CONNECTOR_FREE)
    running.config.write_text(
        f"worker {{ name raw; exec python3; params raw.py; server http://127.0.0.1:0; }}\n" + node("good"))
    with running:
        running.ctl("start", "raw", "good")
        yield running


def ask(agent, path):
    status, headers, body = agent.http("raw", path)
    return status, body


@pytest.mark.parametrize("path, body", [
    ("/garbage", b"after garbage"),
    ("/huge-length", b"after a huge length"),
    ("/twice", b"once"),
    ("/unknown-command", b"alive"),
])
def test_a_confused_worker_still_answers_the_session(agent, path, body):
    assert ask(agent, path) == (200, body)
    assert ask(agent, "/") == (200, b"fine")


def test_a_split_response_header_is_a_502(agent):
    status, headers, _ = agent.http("raw", "/bad-header")
    assert status == 502
    assert "set-cookie" not in headers


def test_a_worker_that_dies_mid_frame_fails_its_request_alone(agent):
    status, _ = ask(agent, "/mid-frame")
    assert status == 502
    agent.wait_for(lambda: ask(agent, "/") == (200, b"fine"), "an answer of the next process")
    assert agent.http("good")[0] == 200


def test_garbage_lands_in_the_log(agent):
    ask(agent, "/garbage")
    agent.wait_for(lambda: agent.info("raw")["counters"]["stray_bytes"] > 10_000, "counted stray bytes")


def raw_exchange(agent, request, name="good"):
    with agent.connect(name) as connection:
        connection.sendall(request)
        received = b""
        while True:
            try:
                piece = connection.recv(65536)
            except ConnectionResetError:
                break
            if not piece:
                break
            received += piece
        return received


@pytest.mark.parametrize("request_bytes, status", [
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", 400),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
    (b"GET / HTTP/2.5\r\nHost: x\r\n\r\n", 505),
    (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"a" * 40_000 + b"\r\n\r\n", 431),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
])
def test_a_bad_request_is_refused_and_the_connection_closed(agent, request_bytes, status):
    answer = raw_exchange(agent, request_bytes)
    assert answer.split()[1] == str(status).encode(), answer[:200]
    assert agent.http("good")[0] == 200


def test_a_client_that_vanishes_mid_response_harms_nothing(agent):
    for _ in range(20):
        with agent.connect("good") as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert agent.http("good")[0] == 200
    agent.wait_for(lambda: agent.info("good")["counters"]["requests_in_flight"] == 0, "all requests finished")


def test_a_port_in_use_names_its_holder():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with Agent(node("taken", f"http://127.0.0.1:{port}") + node("free")) as agent:
            agent.ctl("start", "free")
            assert agent.http("free")[0] == 200
            failed = agent.ctl("start", "taken", check=False)
            assert failed.code == 1
            assert f"127.0.0.1:{port} is in use by" in failed.err
            assert f"pid {os.getpid()}" in failed.err
            holder.close()
            agent.ctl("start", "taken")
            assert agent.http("taken")[0] == 200


@pytest.mark.parametrize("block, words", [
    ("worker { name a; }", ["exec"]),
    ("worker { name a; exec sleep; params 1000; trust_proxi true; }", ["trust_proxi", "did you mean 'trust_proxy'"]),
    ("worker { name a; exec sleep; params 1000; server http://127.0.0.1:99999; }", ["99999"]),
    ("worker { name a; exec sleep; params 1000; server http://unix:" + "/x" * 60 + "; }", ["107"]),
    ("worker { name a; exec sleep; params 1000; ", ["}"]),
])
def test_a_bad_block_disables_that_worker_alone(block, words):
    config = node("good") + block + "\n"
    with Agent(config) as agent:
        agent.ctl("start", "good")
        checked = agent.ctl("config", "check", agent.config, check=False)
        assert checked.code == 1
        for word in words:
            assert word in checked.out + checked.err, checked
        assert "a" not in agent.workers()
        refused = agent.ctl("start", "a", check=False)
        assert refused.code == 3
        assert "disabled by errors" in refused.err and "config check" in refused.err


def test_a_bad_optional_value_is_a_warning_and_the_worker_runs():
    with Agent(plain("a", "sleep 1000", "stop_timeout soon;")) as agent:
        checked = agent.ctl("config", "check", agent.config)
        assert "stop_timeout" in checked.out + checked.err
        assert agent.ctl("config", "check", "--strict", agent.config, check=False).code == 1
        agent.ctl("start", "a")


@pytest.mark.parametrize("kind", ["file", "folder", "symlink", "live"])
def test_what_is_in_the_way_of_a_socket_is_left_alone_and_named(kind):
    agent = Agent(node("web", "http://unix:./web.sock"))
    path = agent.folder / "web.sock"
    server = None
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    elif kind == "symlink":
        path.symlink_to("/etc/passwd")
    else:
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen()
    before = os.lstat(path)
    with agent:
        failed = agent.ctl("start", "web", check=False)
        assert failed.code == 1
        assert str(path) in failed.err
        after = os.lstat(path)
        assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)


def test_a_dead_socket_is_replaced():
    agent = Agent(node("web", "http://unix:./web.sock"))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(agent.folder / "web.sock"))
    with agent:
        agent.ctl("start", "web")
        assert agent.http("web")[0] == 200


def test_wrong_usage_is_exit_2():
    agent = Agent()
    for args in (["explode"], ["stop"], ["list", "--output", "xml"]):
        assert agent.ctl(*args, check=False).code == 2, args


def test_a_missing_configuration_ends_the_daemon_with_words():
    agent = Agent()
    agent.config.unlink()
    agent.start(wait=False)
    assert agent.keeper.wait(30) == 1
    assert "does not exist" in agent.read_log()
    agent.keeper = None


def test_a_folder_below_one_that_is_not_there_is_made():
    agent = Agent()
    agent.state = agent.folder / "not/there/yet"
    with agent:
        assert (agent.state / "apm.pid").read_text() == f"{agent.keeper.pid}\n"


@pytest.mark.parametrize("options, words", [
    (["--state-dir", "/dev/null/x"], "--state-dir"),
    (["--socket", "/no/such/folder/apm.sock"], "--socket"),
    (["--log-file", "/no/such/folder/apm.log"], "--log-file"),
])
def test_what_cannot_be_made_names_the_option_to_change(options, words):
    agent = Agent()
    command = [agent.bin / "apm-keeper", "--state-dir", agent.state, "--socket", agent.socket]
    for name in options[::2]:
        if name in command:
            at = command.index(name)
            del command[at:at + 2]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert words in done.stderr


def test_json_is_printable_whatever_the_worker_says(agent):
    json.loads(agent.ctl("logs", "raw", "--output", "json").out.splitlines()[0])


def test_an_address_of_another_worker_is_refused_by_that_workers_name(agent):
    host, port = agent.address("good")
    refused = agent.ctl("run", "/bin/cat", "--name", "twin", "--server", f"http://{host}:{port}", check=False)
    assert refused.code == 1
    assert "'good'" in refused.err, refused
    assert "twin" not in agent.workers()
