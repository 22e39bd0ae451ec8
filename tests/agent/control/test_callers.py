"""Who may call: other users, groups and namespaces, seen through apmctl."""

import os
import socket
import subprocess
import sys

import pytest
from fake_agent import FakeAgent, new_socket, run_apmctl

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be others")

STRANGER = 54321
MEMBER = 54322
GROUP = 50505
DAEMON = 1  # A user with a name on every host: daemon.

PERMISSION_DENIED = 5
ADMITTED = f"{GROUP}:apm-admin"


def as_user(uid, *groups):
    return {"user": uid, "group": uid, "extra_groups": groups}


@pytest.fixture(scope="module")
def agent(programs):
    with FakeAgent(programs, ADMITTED) as running:
        yield running


def test_a_stranger_is_told_who_he_is_and_what_to_ask_for(agent):
    result = agent.apmctl("list", **as_user(STRANGER))
    assert result.returncode == PERMISSION_DENIED
    assert result.stderr == (
        f"apmctl: user unknown (uid {STRANGER}) is neither root, the owner (uid 0), "
        "nor in allow_group 'apm-admin'; ask for: usermod -aG apm-admin unknown, "
        "then log in again\n")


def test_a_stranger_is_named(agent):
    result = agent.apmctl("status", **as_user(DAEMON))
    assert result.returncode == PERMISSION_DENIED
    assert "user daemon (uid 1) is neither root" in result.stderr


@pytest.mark.parametrize("command", [
    "status", "list", "info web", "logs web", "start web", "stop web", "restart web",
    "reload web", "delete web", "scale web 2", "config apply", "upgrade --keeper", "kill", "run /bin/true", "ping"])
def test_a_stranger_may_do_nothing(agent, command):
    result = agent.apmctl(*command.split(), **as_user(STRANGER))
    assert result.returncode == PERMISSION_DENIED
    assert result.stdout == ""


def test_a_member_operates(agent):
    member = as_user(MEMBER, GROUP)
    assert agent.apmctl("restart", "web", **member).returncode == 0
    assert agent.apmctl("run", "/bin/true", "--name", "his", **member).returncode == 0


def test_a_member_may_not_end_the_agent(agent):
    result = agent.apmctl("kill", **as_user(MEMBER, GROUP))
    assert result.returncode == PERMISSION_DENIED
    assert "may operate workers, but not end the agent" in result.stderr


@pytest.mark.parametrize("command, task", [
    ("config apply", "apply the configuration"),
    ("upgrade --keeper", "replace the agent's programs")])
def test_a_member_may_not_change_what_is_the_administrators(agent, command, task):
    result = agent.apmctl(*command.split(), **as_user(MEMBER, GROUP))
    assert result.returncode == PERMISSION_DENIED
    assert f"may operate workers, but not {task}" in result.stderr


def test_without_an_allow_group_the_refusal_says_how_to_set_one(programs):
    with FakeAgent(programs) as agent:
        result = agent.apmctl("list", **as_user(STRANGER))
    assert result.returncode == PERMISSION_DENIED
    assert "no allow_group is set; to admit a group, write" in result.stderr


def test_the_unmapped_user_is_never_admitted(agent):
    result = agent.apmctl("list", **as_user(65534, GROUP))
    assert result.returncode == PERMISSION_DENIED
    assert "is never admitted" in result.stderr


@pytest.mark.parametrize("namespace", [
    ["--mount"], ["--pid", "--fork"], ["--user", "--map-root-user"]])
def test_root_of_another_namespace_is_nobody(agent, namespace):
    prefix = ["unshare", *namespace]
    if subprocess.run([*prefix, "true"], capture_output=True).returncode != 0:
        pytest.skip(f"unshare {namespace[0]} is not permitted here")
    result = agent.apmctl("list", prefix=prefix)
    assert result.returncode == PERMISSION_DENIED
    assert "is not in the agent's user, pid and mount namespaces" in result.stderr


def connect(name):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(name.replace("@", "\0", 1))
    connection.settimeout(10)
    return connection


# Runs as a stranger: gRPC greets every connection that it is given, and the
# others are closed without a word.
COUNT_GREETED = """
import socket, sys
kept = []
for _ in range(20):
    c = socket.socket(socket.AF_UNIX)
    c.settimeout(10)
    c.connect("\\0" + sys.argv[1][1:])
    kept.append(c)
print(sum(1 for c in kept if c.recv(9)))
"""


def test_a_stranger_gets_sixteen_connections(agent):
    greeted = subprocess.run(
        [sys.executable, "-c", COUNT_GREETED, agent.socket], text=True,
        capture_output=True, timeout=30, cwd="/", **as_user(STRANGER))
    assert greeted.stdout == "16\n", greeted.stderr
    assert agent.apmctl("ping").returncode == 0


def test_bytes_that_are_no_http2_harm_nobody(agent):
    with connect(agent.socket) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n" + os.urandom(4096))
        while connection.recv(4096):
            pass
    assert agent.apmctl("ping").returncode == 0


# ---- An agent of a user, which may not look into others' processes ----


@pytest.fixture(scope="module")
def users_agent(programs):
    with FakeAgent(programs, ADMITTED, uid=DAEMON) as running:
        yield running


def test_root_and_the_owner_control_a_users_agent(users_agent):
    trust = ["--daemon-user", "daemon"]
    assert users_agent.apmctl("ping", *trust).returncode == 0
    assert users_agent.apmctl("ping", **as_user(DAEMON)).returncode == 0


def test_a_member_operates_a_users_agent_but_creates_nothing(users_agent):
    trust = ["--daemon-user", "daemon"]
    member = as_user(MEMBER, GROUP)
    assert users_agent.apmctl("restart", "web", *trust, **member).returncode == 0
    result = users_agent.apmctl("run", "/bin/true", *trust, **member)
    assert result.returncode == PERMISSION_DENIED
    assert "they would run as uid 1, the owner" in result.stderr


def test_root_of_a_container_is_nobody_to_a_users_agent(users_agent):
    prefix = ["unshare", "--pid", "--fork"]
    if subprocess.run([*prefix, "true"], capture_output=True).returncode != 0:
        pytest.skip("unshare --pid is not permitted here")
    result = users_agent.apmctl("list", "--daemon-user", "daemon", prefix=prefix)
    assert result.returncode == PERMISSION_DENIED


# ---- Somebody else on the socket ----


def test_an_agent_names_who_holds_its_socket(programs, users_agent):
    late = FakeAgent(programs, socket=users_agent.socket)
    _, error = late.process.communicate(timeout=10)
    assert late.process.returncode == 1
    assert error == (
        f"fake_agent: {users_agent.socket} is held by uid 1 (daemon), "
        f"pid {users_agent.process.pid}; end it (if it is an agent of yours: apmctl "
        "kill), or choose another socket: --socket @NAME\n")
    assert users_agent.apmctl("ping", **as_user(DAEMON)).returncode == 0


def test_apmctl_refuses_another_users_agent_and_names_him(users_agent):
    result = users_agent.apmctl("list")
    assert result.returncode == PERMISSION_DENIED
    assert result.stderr == (
        f"apmctl: {users_agent.socket} is held by uid 1 (daemon), "
        f"pid {users_agent.process.pid}; if you mean daemon's daemon: "
        "--daemon-user daemon\n")


def test_the_trusted_user_may_come_from_the_environment(users_agent):
    result = users_agent.apmctl("list", env={"APM_DAEMON_USER": "daemon"})
    assert result.returncode == 0


def test_a_user_without_a_name_is_trusted_by_number(programs):
    with FakeAgent(programs, uid=STRANGER) as agent:
        refused = agent.apmctl("list")
        assert refused.stderr.endswith(f"{STRANGER}'s daemon: --daemon-user {STRANGER}\n")
        assert agent.apmctl("list", "--daemon-user", str(STRANGER)).returncode == 0


def test_trusting_one_user_does_not_trust_another(users_agent):
    result = users_agent.apmctl("list", "--daemon-user", "bin")
    assert result.returncode == PERMISSION_DENIED


def test_a_squatter_that_does_not_answer_cannot_hold_apmctl_up(programs):
    name = new_socket()
    with socket.socket(socket.AF_UNIX) as squatter:
        squatter.bind(name.replace("@", "\0", 1))
        squatter.listen()
        result = run_apmctl(programs.apmctl, name, "list", "--timeout", "200ms")
    assert result.returncode == 6
