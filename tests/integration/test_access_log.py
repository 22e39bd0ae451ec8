"""`access_log on`: one line a request, in a file of the daemon."""

import os
import re
import signal
import stat

import pytest
from blocks import node, plain
from harness import Agent
from websocket import WebSocket

LINE = re.compile(r'^(\S+) - - \[[^]]+\] "([^"]*)" (\d+) (\d+) "[^"]*" "([^"]*)" \d+\.\d{3}$')


def lines(agent, name="web"):
    path = agent.info(name)["access_log_file"]
    assert path == f"{agent.state}/logs/{name}.access.log"
    with open(path) as file:
        return file.read().splitlines()


def wait_for_lines(agent, count, name="web"):
    found = agent.wait_for(lambda: len(lines(agent, name)) >= count and lines(agent, name), f"{count} lines")
    return [LINE.match(line).groups() for line in found]


def test_a_request_leaves_a_line_with_client_status_and_bytes():
    with Agent(node(extra="access_log on;")) as agent:
        agent.ctl("start", "web")
        _, _, body = agent.http("web", "/hello?a=1", headers={"User-Agent": "test/1"})
        line, = wait_for_lines(agent, 1)
        assert line == ("127.0.0.1", "GET /hello?a=1 HTTP/1.1", "200", str(len(body)), "test/1")
        mode = stat.S_IMODE(os.stat(agent.info("web")["access_log_file"]).st_mode)
        assert mode & 0o137 == 0  # Not for others.
        assert "web.access.log" in agent.ctl("info", "web").out


def test_the_client_behind_a_trusted_proxy_is_named():
    with Agent(node(extra="access_log on; trust_proxy on;")) as agent:
        agent.ctl("start", "web")
        agent.http("web", headers={"X-Forwarded-For": "192.0.2.7"})
        assert wait_for_lines(agent, 1)[0][0] == "192.0.2.7"


def test_a_peer_on_a_unix_socket_is_unix():
    with Agent(node(server="http://unix:./web.sock", extra="access_log on;")) as agent:
        agent.ctl("start", "web")
        agent.http("web")
        assert wait_for_lines(agent, 1)[0][0] == "unix"


def test_a_websocket_leaves_a_line_when_it_ends():
    with Agent(node(server="ws://127.0.0.1:0", extra="access_log on;")) as agent:
        agent.ctl("start", "web")
        socket = WebSocket(agent.connect("web"))
        socket.send("four")
        assert socket.receive() == "four"
        assert lines(agent) == []
        socket.socket.close()
        line, = wait_for_lines(agent, 1)
        assert line[1:4] == ("GET / HTTP/1.1", "101", "4")


@pytest.mark.parametrize("program", ["agent", "proxy"])
def test_a_new_program_goes_on_with_the_file(program):
    with Agent(node(extra="access_log on;")) as agent:
        agent.ctl("start", "web")
        agent.http("web", "/before")
        wait_for_lines(agent, 1)
        pid = agent.ctl("status", "--output", "json").json[f"{program}_pid"]
        os.kill(pid, signal.SIGKILL)

        def is_new():
            status = agent.ctl("status", "--output", "json", check=False)
            return status.code == 0 and status.json[f"{program}_pid"] not in (0, pid)

        agent.wait_for(is_new, f"a new {program}")
        agent.ctl("start", "web")
        agent.http("web", "/after")
        assert [line[1] for line in wait_for_lines(agent, 2)] == ["GET /before HTTP/1.1", "GET /after HTTP/1.1"]


def test_without_the_directive_there_is_no_file():
    with Agent(node()) as agent:
        agent.ctl("start", "web")
        agent.http("web")
        assert agent.info("web")["access_log_file"] == ""
        assert not (agent.state / "logs" / "web.access.log").exists()


def test_no_worker_logs_into_the_access_log_of_another():
    with Agent(node(extra="access_log on;") + plain("web.access", "sleep 1000")) as agent:
        assert set(agent.workers()) == {"web"}
        assert "would write to one file" in agent.ctl("status").out + agent.read_log()
