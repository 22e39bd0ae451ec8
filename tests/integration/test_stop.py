"""Whatever ends a worker ends what it has left behind, wherever that went."""

import json
import os
import re
import signal

import pytest
from harness import WORKERS, Agent, alive

DESERTER = f"worker {{ name web; exec python3; params {WORKERS}/deserter.py; }}\n"


def ended(pid):
    try:
        return not alive(pid)
    except FileNotFoundError:
        return True


def left_behind(agent):
    """The process that the worker says it has left, the latest last."""
    said = agent.wait_for(lambda: re.findall(r"left (\d+)", agent.logs("web")), "a process that is left behind")
    return [int(pid) for pid in said]


def survivors(agent):
    events = map(json.loads, agent.ctl("events", "web", "--output", "json").out.splitlines())
    return [event["text"] for event in events if event["type"] == "worker.survivors"]


def crash(agent):
    pid, = agent.pids("web")
    os.kill(pid, signal.SIGKILL)
    agent.wait_for(lambda: agent.pids("web")[0] not in (0, pid), "the next process")


ENDS = {
    "stop": lambda agent: agent.ctl("stop", "web"),
    "restart": lambda agent: agent.ctl("restart", "web"),
    "reload": lambda agent: agent.ctl("reload", "web"),
    "crash": crash,
}


@pytest.mark.parametrize("end", ENDS)
def test_what_a_worker_left_is_gone_and_named(end):
    with Agent(DESERTER) as agent:
        [left] = left_behind(agent)
        assert alive(left)
        ENDS[end](agent)
        # A crash is answered by nothing; the event comes after the kill.
        [text] = agent.wait_for(lambda: survivors(agent), "the event")
        assert f"pid {left} 'python3'" in text
        assert "which had left the process group of its worker" in text
        assert ended(left)


def test_delete_answers_with_what_it_had_to_kill():
    with Agent(DESERTER) as agent:
        [left] = left_behind(agent)
        deleted = agent.ctl("delete", "web", "--output", "json").json
        assert deleted == {"deleted": ["web"], "survivors": [f"web/0 (pid {left}, python3)"]}
        assert ended(left)


def test_kill_answers_with_what_it_had_to_kill():
    with Agent(DESERTER) as agent:
        [left] = left_behind(agent)
        killed = agent.ctl("kill", "--output", "json").json
        assert killed == {"workers_stopped": 1, "survivors": [f"web/0 (pid {left}, python3)"]}
        assert agent.keeper.wait(30) == 0
        assert ended(left)


def test_a_stop_that_a_killed_agent_began_is_finished_with_what_was_left():
    with Agent(DESERTER) as agent:
        [left] = left_behind(agent)
        pid, = agent.pids("web")
        agent.ctl("stop", "web", "--no-wait")
        os.kill(agent.ctl("status", "--output", "json").json["agent_pid"], signal.SIGKILL)
        agent.wait_for(lambda: ended(pid) and ended(left), "the end of both")
        agent.wait_for(lambda: agent.ctl("ping", check=False).code == 0, "the next agent")
        agent.wait_for(lambda: agent.worker("web")["state"] == "stopped", "the stop")


def test_what_a_killed_daemon_left_is_gone_before_the_next_one_starts_anything():
    with Agent(DESERTER) as agent:
        [left] = left_behind(agent)
        for pid in agent.ctl("status", "--output", "json").json["agent_pid"], agent.keeper.pid:
            os.kill(pid, signal.SIGKILL)
        agent.keeper.wait()
        agent.start()
        assert ended(left)
        agent.wait_for(lambda: len(left_behind(agent)) == 2, "another one")


def test_a_daemon_that_is_stopped_leaves_nothing_half_written():
    with Agent(DESERTER) as agent:
        left_behind(agent)
        agent.ctl("stop", "web")
        assert agent.stop() == 0
        # The journal of SQLite goes when it is closed.
        assert [file.name for file in agent.state.glob("state.db*")] == ["state.db"]
        assert "apm-agent" not in re.findall(r"info: (\S+) \(pid \d+\) was killed", agent.read_log())
