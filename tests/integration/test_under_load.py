"""Nothing is lost while things happen."""

import os
import re
import signal

import pytest
from blocks import node, original, python
from harness import WORKERS, Agent
from load import Load


def test_reload_under_load_fails_no_request():
    with Agent(node(extra="instances 2;")) as agent:
        agent.ctl("start", "web")
        with Load(agent.address("web"), rate=500) as load:
            for _ in range(3):
                agent.ctl("reload", "web")
                load.wait_for(100)
        assert load.failed == 0, load.summary()
        assert load.sent > 300


def test_reload_of_a_single_instance_under_load_fails_no_request():
    with Agent(python()) as agent:
        agent.ctl("start", "py")
        with Load(agent.address("py"), rate=300) as load:
            for _ in range(3):
                agent.ctl("reload", "py")
                load.wait_for(50)
        assert load.failed == 0, load.summary()


def test_reload_of_an_original_worker_fails_no_request():
    """It says nothing before its first request: only the agent can vouch for it."""
    with Agent(original()) as agent:
        agent.ctl("start", "old")
        with Load(agent.address("old"), rate=300) as load:
            for _ in range(2):
                agent.ctl("reload", "old")
                load.wait_for(50)
        assert load.failed == 0, load.summary()
        assert set(load.bodies) == {b"original"}


@pytest.mark.parametrize("instances", [1, 2])
def test_a_reload_to_a_process_that_dies_at_once_fails_no_request(instances):
    agent = Agent()
    script = agent.folder / "server.py"
    script.write_text((WORKERS / "server.py").read_text())
    agent.config.write_text(f"worker {{ name web; exec python3; params {script}; "
                            f"server http://127.0.0.1:0; instances {instances}; }}\n")
    with agent:
        agent.ctl("start", "web")
        before = agent.pids("web")
        with Load(agent.address("web"), rate=300) as load:
            script.write_text("import time\ntime.sleep(0.2)\nraise SystemExit(7)\n")
            failed = agent.ctl("reload", "web", check=False)
            load.wait_for(50)
        assert failed.code == 1
        assert "exited with status 7" in failed.err
        assert load.failed == 0, load.summary()
        assert agent.pids("web") == before


def test_a_kill_fails_only_requests_in_flight_on_that_worker():
    with Agent(node(extra="instances 2;")) as agent:
        agent.ctl("start", "web")
        connections = 16
        with Load(agent.address("web"), rate=500, connections=connections) as load:
            for _ in range(3):
                victim = agent.pids("web")[0]
                os.kill(victim, signal.SIGKILL)
                agent.wait_for(lambda: agent.pids("web")[0] not in (0, victim), "a new process")
                load.wait_for(100)
        # At most one request of each connection can be in flight at a kill.
        assert load.failed <= 3 * connections, load.summary()
        assert set(load.failures) <= {"status 502"} or all(
            "closed" in what or "reset" in what.lower() or what == "status 502" for what in load.failures)


def lines_with(agent, name, pattern):
    return len(re.findall(pattern, agent.logs(name, "-n", "10000"), re.MULTILINE))


def test_console_log_under_load_loses_no_frame_and_no_line():
    with Agent(node()) as agent:
        agent.ctl("start", "web")
        with Load(agent.address("web"), rate=1000, path="/print?x") as load:
            load.wait_for(1000)
        assert load.failed == 0, load.summary()
        assert set(load.bodies) == {b"printed"}
        agent.wait_for(lambda: lines_with(agent, "web", "console.log says") == load.sent, "every line in the log")


def test_print_under_load_loses_no_frame_and_no_line():
    with Agent(python()) as agent:
        agent.ctl("start", "py")
        with Load(agent.address("py"), rate=1000, path="/print?x") as load:
            load.wait_for(1000)
        assert load.failed == 0, load.summary()
        assert set(load.bodies) == {b"printed"}
        agent.wait_for(lambda: lines_with(agent, "py", "print says") == load.sent, "every line in the log")
