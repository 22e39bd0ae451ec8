"""What is left after SIGKILL of each of our programs: nothing, or a new one."""

import os
import signal
import socket

import pytest
from blocks import node, plain
from harness import Agent, alive


def ended(pid):
    try:
        return not alive(pid)
    except FileNotFoundError:
        return True


def test_nothing_outlives_a_killed_keeper():
    with Agent(node() + plain("sleeper", "sleep 1000") + plain("deaf", "trap '' TERM; sleep 1000 & wait")) as agent:
        agent.ctl("start", "web", "sleeper", "deaf")
        status = agent.ctl("status", "--output", "json").json
        pids = [status["agent_pid"], status["proxy_pid"], *agent.pids("web"), *agent.pids("sleeper"), *agent.pids("deaf")]
        place = agent.address("web")
        agent.keeper.kill()
        agent.keeper.wait()
        agent.wait_for(lambda: all(map(ended, pids)), "the end of every process")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(place, timeout=5)
        agent.start()
        agent.ctl("start", "web", "sleeper", "deaf")


def test_a_killed_agent_leaves_its_workers_alone():
    talker = plain("talker", "while read line <&3; do echo \"heard $line\"; done 3<> ear; sleep 1000", "path {folder};")
    with Agent() as agent:
        os.mkfifo(agent.folder / "ear")
        agent.config.write_text(talker.replace("{folder}", str(agent.folder)) + node())
        agent.ctl("config", "apply")
        agent.ctl("start", "talker", "web")
        agent.ctl("run", "--name", "made", "--", "sleep", "1000")
        before = agent.workers()
        for life in range(3):
            os.kill(agent.ctl("status", "--output", "json").json["agent_pid"], signal.SIGKILL)
            agent.wait_for(lambda: agent.ctl("ping", check=False).code == 0, "the next agent")
            (agent.folder / "ear").write_text(f"{life}\n")
            agent.wait_for(lambda: f"heard {life}" in agent.logs("talker"), "a line that is written after the kill")
            assert agent.http("web")[0] == 200
            for name, worker in agent.workers().items():
                for now, then in zip(worker["instances"], before[name]["instances"], strict=True):
                    assert (now["pid"], now["id"], now["restarts"]) == (then["pid"], then["id"], 0)
                    assert now["state"] == "ready"


@pytest.mark.parametrize("command", ["start", "restart", "reload"])
def test_no_process_is_started_without_its_listeners(command):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with Agent(node("taken", f"http://127.0.0.1:{port}")) as agent:
            failed = agent.ctl(command, "taken", check=False)
            assert failed.code == 1
            assert "in use by" in failed.err
            assert agent.pids("taken") == [0]
            holder.close()
            agent.ctl("start" if command == "reload" else command, "taken")
            assert agent.http("taken")[0] == 200


def test_kill_reports_only_what_it_had_to_kill_itself():
    deaf = plain("deaf", "trap '' TERM; echo armed; while :; do sleep 1; done", "stop_timeout 300ms;")
    with Agent(deaf) as agent:
        agent.wait_for(lambda: "armed" in agent.logs("deaf"), "the trap")
        agent.ctl("stop", "deaf")
        stopped = agent.ctl("kill")
        assert "deaf" not in stopped.out + stopped.err
        agent.keeper.wait(30)
