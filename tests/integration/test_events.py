"""What has happened on the node: told once, in order, to whoever asks."""

import json
import os
import signal
import subprocess
import threading

from blocks import node, plain
from harness import DEADLINE, Agent


def events(agent, *names):
    return [json.loads(line) for line in
            agent.ctl("events", *names, "-n", "1000", "--output", "json").out.splitlines()]


def steps(agent, name):
    return [(event["from_state"], event["to_state"]) for event in events(agent, name)
            if event["type"] == "worker.state"]


def of_type(agent, kind):
    return [event for event in events(agent) if event["type"] == kind]


def place(event):
    epoch, sequence = event["cursor"].split(":")
    return int(epoch), int(sequence)


class Follower:
    """A running `apmctl events -f`."""

    def __init__(self, agent, *arguments):
        self.process = subprocess.Popen(
            [agent.bin / "apmctl", "--socket", agent.socket, "events", "-f", "--output", "json", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.seen = []
        self.limit = threading.Timer(DEADLINE, self.process.kill)

    def __enter__(self):
        self.limit.start()
        return self

    def __exit__(self, *_):
        self.limit.cancel()
        self.process.kill()
        _, self.said = self.process.communicate()

    def until(self, wanted):
        """Takes events up to the first that is `wanted`, and returns it."""
        while True:
            line = self.process.stdout.readline()
            assert line, "the follower has ended"
            self.seen.append(json.loads(line))
            if wanted(self.seen[-1]):
                return self.seen[-1]


def agent_pid(agent):
    return agent.ctl("status", "--output", "json").json["agent_pid"]


def kill_agent(agent):
    os.kill(agent_pid(agent), signal.SIGKILL)
    agent.wait_for(lambda: agent.ctl("ping", check=False).code == 0, "the next agent")


# ---- What is told ----


def test_the_states_of_a_life_are_in_order():
    with Agent(node("web")) as agent:
        agent.ctl("start", "web")
        pid, = agent.pids("web")
        agent.ctl("stop", "web")
        assert steps(agent, "web/0") == [
            ("stopped", "starting"), ("starting", "ready"), ("ready", "stopping"), ("stopping", "stopped")]
        started, ready, stopping, stopped = events(agent, "web/0")
        assert ready["pid"] == stopping["pid"] == stopped["pid"] == pid
        assert {event["generation"] for event in events(agent, "web/0")} == {started["generation"]}
        assert stopped["exit"]["signal"] == signal.SIGTERM
        assert stopped["stderr_tail"] == []
        assert {event["severity"] for event in events(agent, "web/0")} == {"info"}


def test_a_crash_tells_how_it_ended_and_its_last_words():
    with Agent(plain("job", "echo one >&2; echo two >&2; exit 3", "restart on-failure;")) as agent:
        crash = agent.wait_for(lambda: [event for event in events(agent, "job") if event["exit"]], "a crash")[0]
        assert crash["exit"]["code"] == 3 and crash["exit"]["signal"] == 0
        assert crash["stderr_tail"] == ["one", "two"]
        assert crash["severity"] == "warning"
        assert crash["from_state"] == "starting"
        # It is about the process that has ended, not about the next one.
        started = events(agent, "job")[0]
        assert (crash["generation"], crash["pid"] > 0) == (started["generation"], True)


def test_an_end_that_was_to_be_is_no_crash():
    with Agent(plain("once", "echo done >&2; exit 0", "restart never;")) as agent:
        agent.wait_for(lambda: agent.worker("once")["instances"][0]["state"] == "exited", "the end")
        ended = events(agent, "once")[-1]
        assert (ended["to_state"], ended["severity"], ended["stderr_tail"]) == ("exited", "info", [])
        assert ended["exit"]["code"] == 0


def test_commands_are_told():
    with Agent(node("web")) as agent:
        agent.ctl("start", "web")
        agent.ctl("scale", "web", "2")
        agent.ctl("reload", "web")
        agent.config.write_text(node("web") + node("new"))
        agent.ctl("config", "apply")
        agent.ctl("run", "--name", "made", "--server", "http://127.0.0.1:0", "--", "node",
                  agent.info("web")["config"]["params"][0])
        agent.ctl("delete", "made")
        told = [(event["type"], event["worker"]) for event in events(agent) if event["type"] != "worker.state"]
        told = [kind for kind in told if kind[0] not in ("agent.started", "proxy.started")]
        assert told == [("worker.scaled", "web"), ("worker.reloaded", "web"), ("config.applied", ""),
                        ("worker.created", "made"), ("worker.deleted", "made")]


def test_a_reload_that_fails_is_told():
    with Agent() as agent:
        script = agent.folder / "job.sh"
        script.write_text("#!/bin/sh\nexec sleep 1000\n")
        script.chmod(0o755)
        agent.ctl("run", "--name", "job", "--", script)
        script.write_text("#!/bin/sh\nexit 3\n")
        assert agent.ctl("reload", "job", check=False).code == 1
        [failed] = of_type(agent, "worker.reload_failed")
        assert (failed["worker"], failed["severity"]) == ("job", "error")


def test_the_end_of_a_proxy_is_told_with_the_next_one():
    with Agent(node("web")) as agent:
        agent.ctl("start", "web")
        pid = agent.ctl("status", "--output", "json").json["proxy_pid"]
        before = len(of_type(agent, "proxy.started"))
        os.kill(pid, signal.SIGKILL)
        agent.wait_for(lambda: len(of_type(agent, "proxy.started")) > before, "the next proxy")
        [ended] = of_type(agent, "proxy.exited")
        assert f"pid {pid}" in ended["text"] and "killed by signal 9" in ended["text"]
        assert ended["severity"] == "error"


# ---- To whom ----


def test_a_follower_misses_nothing_and_hears_nothing_twice_over_killed_agents():
    with Agent(node("web")) as agent:
        agent.ctl("start", "web")
        with Follower(agent, "-n", "1000") as follower:
            for life in range(2, 5):
                follower.until(lambda event: event["type"] == "worker.state" and event["to_state"] == "ready")
                kill_agent(agent)
                follower.until(lambda event: event["type"] == "agent.started"
                               and f"agent {life} of this daemon" in event["text"])
                agent.ctl("restart", "web")
            last = follower.until(lambda event: event["to_state"] == "ready")
        epoch, sequence = place(last)
        assert [place(event) for event in follower.seen] == [(epoch, n) for n in range(1, sequence + 1)]
        assert events(agent)[:len(follower.seen)] == follower.seen


def test_a_new_daemon_is_a_new_epoch_and_a_follower_is_told():
    with Agent(node("web")) as agent:
        agent.ctl("start", "web")
        with Follower(agent, "-n", "1000") as follower:
            follower.until(lambda event: event["to_state"] == "ready")
            old, _ = place(follower.seen[-1])
            assert agent.stop() == 0
            agent.start()
            first = follower.until(lambda event: place(event)[0] != old)
            follower.until(lambda event: event["to_state"] == "ready")
        new, sequence = place(first)
        assert new > old and sequence == 1
        assert "events were missed" in follower.said
        assert {place(event)[0] for event in events(agent)} == {new}
        gone = agent.ctl("events", "--after", f"{old}:1", check=False)
        assert gone.code != 0
