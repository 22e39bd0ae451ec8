"""What is wanted of the node survives everything but a command."""

import contextlib
import os
import signal
import stat

from blocks import node
from harness import Agent, alive


def ended(pid):
    try:
        return not alive(pid)
    except FileNotFoundError:
        return True


def all_pids(agent):
    status = agent.ctl("status", "--output", "json").json
    pids = [agent.keeper.pid, status["agent_pid"], status["proxy_pid"]]
    for name in agent.workers():
        pids += agent.pids(name)
    return [pid for pid in pids if pid]


def kill_everything(agent):
    """As when the power fails; then the next start."""
    pids = all_pids(agent)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    agent.keeper.wait()
    agent.wait_for(lambda: all(map(ended, pids)), "the end of every process")
    agent.start()


def kill_agent(agent):
    pid = agent.ctl("status", "--output", "json").json["agent_pid"]
    os.kill(pid, signal.SIGKILL)
    agent.wait_for(lambda: agent.ctl("ping", check=False).code == 0, "the next agent")


def restart(agent):
    assert agent.stop() == 0
    agent.start()


def wanted(agent):
    """Of each worker what commands have a say in."""
    return {name: (worker["source"], worker["overlays"],
                   [(instance["id"], instance["state"] == "stopped") for instance in worker["instances"]])
            for name, worker in agent.workers().items()}


def settle(agent):
    """Until every process that should run is ready."""
    def settled():
        return all(instance["state"] in ("ready", "stopped")
                   for worker in agent.workers().values() for instance in worker["instances"])
    agent.wait_for(settled, "a stable state")


def test_what_commands_changed_survives_the_death_of_everything():
    with Agent(node("one") + node("two", extra="instances 2;") + node("three") + node("gone")) as agent:
        agent.ctl("start", "one", "two", "three", "gone")
        agent.ctl("stop", "one")
        agent.ctl("stop", "two/0")
        agent.ctl("scale", "three", "2")
        agent.ctl("delete", "gone")
        agent.ctl("run", "--name", "made", "-i", "2", "--server", "http://127.0.0.1:0", "--", "node",
                  agent.info("one")["config"]["params"][0])
        agent.ctl("stop", "made/1")
        before = wanted(agent)
        assert before["one"][:2] == ("config", ["stopped"])
        assert before["two"][:2] == ("config", ["instance 0 stopped"])
        assert before["three"][:2] == ("config", ["instances 1 -> 2"])
        assert before["made"][0] == "api"
        assert "gone" not in before
        for end in kill_everything, kill_agent, restart:
            end(agent)
            settle(agent)
            assert wanted(agent) == before, end.__name__
            assert agent.info("three")["overlays"] == ["instances 1 -> 2"]
            assert agent.http("made")[0] == 200


def test_ids_are_not_given_twice():
    with Agent(node("web")) as agent:
        agent.ctl("start", "web")
        script = agent.info("web")["config"]["params"][0]
        seen = {instance["id"] for instance in agent.worker("web")["instances"]}
        for name in "a", "b":
            agent.ctl("run", "--name", name, "--server", "http://127.0.0.1:0", "--", "node", script)
            [instance] = agent.worker(name)["instances"]
            assert instance["id"] not in seen
            seen.add(instance["id"])
            agent.ctl("delete", name)
            restart(agent)


def test_a_deleted_worker_stays_away_until_the_configuration_is_applied():
    with Agent(node("web") + node("other")) as agent:
        agent.ctl("start", "web")
        agent.ctl("delete", "web")
        for end in kill_agent, restart:
            end(agent)
            assert list(agent.workers()) == ["other"]
            assert agent.ctl("start", "web", check=False).code == 3
        agent.ctl("config", "apply")
        assert agent.http("web")[0] == 200
        restart(agent)
        agent.ctl("start", "web")
        assert agent.http("web")[0] == 200


def test_an_edited_file_is_applied_by_a_start_not_by_a_crash():
    with Agent(node("web") + node("old")) as agent:
        agent.ctl("start", "web", "old")
        agent.config.write_text(node("web", extra="instances 2;") + node("new"))
        kill_agent(agent)
        assert sorted(agent.workers()) == ["old", "web"]
        assert len(agent.pids("web")) == 1
        restart(agent)
        assert sorted(agent.workers()) == ["new", "web"]
        agent.ctl("start", "web", "new")
        assert len(agent.pids("web")) == 2


def test_a_broken_file_does_not_keep_a_killed_agent_from_coming_back():
    with Agent(node("web")) as agent:
        agent.ctl("start", "web")
        before = agent.pids("web")
        agent.config.write_text("worker { name web; exec }")
        kill_agent(agent)
        assert agent.pids("web") == before
        assert agent.http("web")[0] == 200


def test_a_name_belongs_to_the_configuration_or_to_a_command():
    with Agent(node("web")) as agent:
        agent.ctl("start", "web")
        script = agent.info("web")["config"]["params"][0]
        run = ("--server", "http://127.0.0.1:0", "--", "node", script)
        taken = agent.ctl("run", "--name", "web", *run, check=False)
        assert taken.code == 1
        assert "worker 'web' exists" in taken.err

        agent.ctl("run", "--name", "made", *run)
        before = agent.pids("made")
        agent.config.write_text(node("web") + node("made", extra="env A 1;"))
        refused = agent.ctl("config", "apply", check=False)
        assert refused.code == 1
        assert "'made'" in refused.err and "apmctl delete made" in refused.err
        assert agent.pids("made") == before
        assert agent.worker("made")["source"] == "api"

        # Deleted by command, it still belongs to the configuration.
        agent.ctl("delete", "web")
        taken = agent.ctl("run", "--name", "web", *run, check=False)
        assert taken.code == 1
        assert "apmctl config apply" in taken.err


def test_the_state_is_nobody_elses_to_read():
    with Agent(node("web", extra="env SECRET x;")) as agent:
        agent.ctl("start", "web")
        files = list(agent.state.glob("state.db*"))
        assert agent.state / "state.db" in files
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_corrupt_state_is_moved_aside_and_the_configuration_runs():
    with Agent(node("web")) as agent:
        agent.ctl("start", "web")
        agent.ctl("run", "--name", "made", "--server", "http://127.0.0.1:0", "--", "node",
                  agent.info("web")["config"]["params"][0])
        agent.ctl("stop", "web")
        assert agent.stop() == 0
        garbage = b"this is no database " * 1000
        (agent.state / "state.db").write_bytes(garbage)
        agent.start()
        agent.ctl("start", "web")
        assert list(agent.workers()) == ["web"]
        assert agent.http("web")[0] == 200
        [warning] = [line for line in agent.ctl("status").out.splitlines() if "state.db" in line]
        assert warning.startswith("warning: ")
        aside = [file for file in agent.state.iterdir() if file.is_file() and file.read_bytes() == garbage]
        assert len(aside) == 1
        assert str(aside[0]) in warning
