"""Open WebSockets do not hold up what an operator asks for."""

import time

import pytest
from blocks import node, original, python
from harness import Agent
from websocket import Closed, WebSocket

# Idle sessions must not wait for the drain's deadline of 10 s.
SOON = 5.0


def connected(agent, name, count=5):
    sockets = [WebSocket(agent.connect(name)) for _ in range(count)]
    for socket in sockets:
        assert socket.status == 101
        socket.send("hello")
        assert socket.receive() == "hello"
    return sockets


def code_of(socket):
    with pytest.raises(Closed) as closed:
        socket.receive()
    return closed.value.code


@pytest.mark.parametrize("block", [node, python, original])
@pytest.mark.parametrize("command, code", [("reload", 1012), ("restart", 1012), ("stop", 1001)])
def test_idle_websockets_are_closed_and_hold_nothing_up(block, command, code):
    with Agent(block("web", "ws://127.0.0.1:0")) as agent:
        agent.ctl("start", "web")
        sockets = connected(agent, "web")
        begun = time.monotonic()
        agent.ctl(command, "web")
        assert time.monotonic() - begun < SOON
        assert {code_of(socket) for socket in sockets} == {code}
        if command != "stop":
            connected(agent, "web")  # They come back to the new process.


def test_the_end_of_the_daemon_says_going_away():
    with Agent(node("web", "ws://127.0.0.1:0")) as agent:
        agent.ctl("start", "web")
        sockets = connected(agent, "web")
        begun = time.monotonic()
        assert agent.stop() == 0
        assert time.monotonic() - begun < SOON
        assert {code_of(socket) for socket in sockets} == {1001}
