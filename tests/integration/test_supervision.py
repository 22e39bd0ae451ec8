"""What the supervisor does with real processes."""

import os
import signal

import pytest
from blocks import node, plain, python
from harness import WORKERS, Agent, alive


def test_a_killed_worker_is_replaced_at_once():
    with Agent(node()) as agent:
        agent.ctl("start", "web")
        pid, = agent.pids("web")
        os.kill(pid, signal.SIGKILL)
        agent.wait_for(lambda: agent.pids("web")[0] not in (0, pid), "a new process")
        assert agent.worker("web")["instances"][0]["restarts"] == 1
        agent.ctl("start", "web")
        assert agent.http("web")[0] == 200
        assert agent.info("web")["instances"][0]["last_exit"]["signal"] == signal.SIGKILL


def test_stop_start_restart_and_delete():
    with Agent(python()) as agent:
        agent.ctl("start", "py")
        first, = agent.pids("py")
        agent.ctl("stop", "py")
        assert agent.worker("py")["state"] == "stopped"
        assert not alive(first)
        agent.ctl("start", "py")
        second, = agent.pids("py")
        assert second != first
        agent.ctl("restart", "py")
        assert agent.pids("py") != [second]
        assert not alive(second)
        agent.ctl("delete", "py")
        assert agent.workers() == {}
        assert agent.ctl("info", "py", check=False).code == 3


def test_reload_replaces_the_process():
    with Agent(node(extra="instances 2;")) as agent:
        agent.ctl("start", "web")
        before = set(agent.pids("web"))
        agent.ctl("reload", "web")
        after = set(agent.pids("web"))
        assert len(after) == 2
        assert not before & after
        assert not any(map(alive, before))


def test_reload_keeps_the_old_process_when_the_new_one_fails():
    with Agent() as agent:
        script = agent.folder / "server.py"
        script.write_text((WORKERS / "server.py").read_text())
        agent.ctl("run", script, "--name", "web", "--server", "http://127.0.0.1:0")
        before = agent.pids("web")
        script.write_text("raise SystemExit('broken on purpose')\n")
        failed = agent.ctl("reload", "web", check=False)
        assert failed.code == 1
        assert "web" in failed.err
        assert agent.pids("web") == before
        assert agent.http("web")[0] == 200


def test_a_worker_that_cannot_start_says_why():
    with Agent("worker { name ghost; exec /no/such/program; }\n") as agent:
        failed = agent.ctl("start", "ghost", check=False)
        assert failed.code == 1
        assert "/no/such/program" in failed.err and "No such file" in failed.err
        assert agent.worker("ghost")["instances"][0]["pid"] == 0


def test_a_run_that_fails_says_that_the_worker_stays_and_how_to_remove_it():
    with Agent() as agent:
        failed = agent.ctl("run", "false", "--name", "failing", check=False)
        assert failed.code == 1
        assert "apmctl logs failing" in failed.err and "apmctl delete failing" in failed.err
        agent.ctl("delete", "failing")
        assert agent.workers() == {}


def test_a_directory_as_exec_is_named():
    with Agent("worker { name dir; exec /usr/bin; }\n") as agent:
        failed = agent.ctl("start", "dir", check=False)
        assert failed.code == 1
        assert "is a directory" in failed.err


def test_a_worker_that_keeps_dying_is_in_backoff_with_a_time():
    with Agent(plain("dying", "echo last words >&2; exit 3")) as agent:
        agent.wait_for(lambda: agent.worker("dying")["instances"][0]["state"] == "backoff", "a backoff")
        instance = agent.info("dying")["instances"][0]
        assert instance["next_retry_at"]
        assert instance["last_exit"]["code"] == 3
        assert "last words" in agent.logs("dying")


def test_restart_never_leaves_it_exited():
    with Agent(plain("once", "exit 0", "restart never;")) as agent:
        agent.wait_for(lambda: agent.worker("once")["instances"][0]["state"] == "exited", "the exit")
        assert agent.worker("once")["instances"][0]["restarts"] == 0


def test_environment_is_the_configured_one():
    with Agent(plain("env", "env; sleep 60", "env GREETING hello;")) as agent:
        agent.wait_for(lambda: "APM_NAME=env" in agent.logs("env"), "the environment")
        printed = agent.logs("env")
        for line in ("GREETING=hello", "APM_INDEX=0", "NODE_APP_INSTANCE=0"):
            assert line in printed
        assert "APM_TEST_SECRET" not in printed


def test_a_worker_that_ignores_term_is_killed_after_its_stop_timeout():
    with Agent(plain("stubborn", "trap '' TERM; echo armed; while :; do sleep 1; done",
                     "stop_timeout 300ms;")) as agent:
        agent.wait_for(lambda: "armed" in agent.logs("stubborn"), "the trap")
        pid, = agent.pids("stubborn")
        agent.ctl("stop", "stubborn")
        assert not alive(pid)


def test_sigterm_ends_everything_with_exit_0():
    agent = Agent(node() + plain("sleeper", "sleep 1000"))
    agent.start()
    try:
        agent.ctl("start", "web", "sleeper")
        pids = agent.pids("web") + agent.pids("sleeper")
        keeper = agent.keeper.pid
        children = [int(pid) for pid in open(f"/proc/{keeper}/task/{keeper}/children").read().split()]
    finally:
        status = agent.stop()
    assert status == 0
    assert not [pid for pid in pids + children if alive(pid)]


def test_kill_stops_the_daemon():
    with Agent(python()) as agent:
        agent.ctl("start", "py")
        pid, = agent.pids("py")
        assert agent.ctl("kill").code == 0
        assert agent.keeper.wait(30) == 0
        assert not alive(pid)
        assert agent.ctl("ping", check=False).code == 4


@pytest.mark.parametrize("program", ["apm-agent", "apm-proxy"])
def test_the_keeper_starts_a_killed_program_again(program):
    with Agent(node()) as agent:
        agent.ctl("start", "web")
        status = agent.ctl("status", "--output", "json").json
        pid = status["agent_pid" if program == "apm-agent" else "proxy_pid"]
        os.kill(pid, signal.SIGKILL)

        def back():
            ping = agent.ctl("status", "--output", "json", check=False)
            if ping.code != 0:
                return False
            now = ping.json["agent_pid" if program == "apm-agent" else "proxy_pid"]
            return now not in (0, pid)

        agent.wait_for(back, f"a new {program}")
        agent.ctl("start", "web")
        assert agent.http("web")[0] == 200
