"""What goes on while the disk of state and logs is full: see test_full_disk.py."""

import errno
import os
import signal
import subprocess

import pytest
from blocks import node
from harness import Agent
from scenarios import kill_agent


@pytest.fixture
def agent():
    agent = Agent(node("web") + node("other"))
    agent.state.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", agent.state], check=True)
    try:
        with agent:
            agent.ctl("start", "web", "other")
            yield agent
    finally:
        subprocess.run(["umount", "--lazy", agent.state], check=True)


def fill(agent):
    with open(agent.state / "ballast", "wb", buffering=0) as ballast:
        for size in (65536, 4096, 1):
            try:
                while True:
                    ballast.write(bytes(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC


def make_room(agent):
    (agent.state / "ballast").unlink()


def warnings_of(answer):
    worker, = answer.json["workers"]
    return " ".join(worker.get("warnings", []))


def events(agent, kind):
    listed = agent.ctl("events", "--output", "json").out
    return [line for line in listed.splitlines() if f'"{kind}"' in line]


def test_supervision_goes_on(agent):
    fill(agent)
    old, = agent.pids("web")
    os.kill(old, signal.SIGKILL)
    agent.wait_for(lambda: agent.pids("web") not in ([old], [0]) and agent.worker("web")["state"] == "ready", "the next process")
    assert agent.http("web")[0] == 200


def test_a_command_is_obeyed_and_says_that_it_will_be_forgotten(agent):
    fill(agent)
    answer = agent.ctl("stop", "web", "--output", "json")
    assert agent.worker("web")["state"] == "stopped"
    assert "disk" in warnings_of(answer) or "space" in warnings_of(answer), answer
    assert events(agent, "store.failed")
    assert any("disk" in text or "space" in text for text in agent.ctl("status", "--output", "json").json["warnings"])


def test_when_there_is_room_again_everything_is_stored(agent):
    fill(agent)
    agent.ctl("stop", "web")
    make_room(agent)
    agent.wait_for(lambda: events(agent, "store.recovered"), "the recovery")
    assert not warnings_of(agent.ctl("stop", "other", "--output", "json"))
    os.kill(agent.keeper.pid, signal.SIGKILL)
    agent.keeper.wait(30)
    agent.start()
    assert agent.worker("web")["state"] == agent.worker("other")["state"] == "stopped"


def test_what_cannot_be_logged_blocks_no_worker_and_is_counted(agent):
    fill(agent)
    with agent.client("web") as client:
        for _ in range(500):
            client.request("GET", "/print?" + 500 * "x")
            assert client.getresponse().read() == b"printed"
    agent.wait_for(lambda: agent.info("web")["counters"]["log_lines_dropped"] > 0, "the count of dropped lines")
    make_room(agent)
    agent.http("web", "/print?after")
    agent.wait_for(lambda: "console.log says after" in agent.logs("web"), "a line after the disk was full")


def test_the_next_agent_starts_on_a_full_disk(agent):
    before = agent.pids("web")
    fill(agent)
    kill_agent(agent)
    assert agent.pids("web") == before
    assert agent.http("web")[0] == 200
