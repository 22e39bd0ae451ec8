"""Who may command the agent. Root only: it takes several users to try."""

import grp
import os
import pwd
import subprocess

import pytest
from blocks import plain
from harness import BIN, Agent

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root to act as several users")

NOBODY = pwd.getpwnam("daemon").pw_uid  # An ordinary uid that every Debian has.
GROUP = grp.getgrnam("games")


def readable(agent):
    """apmctl must be reachable for another uid, wherever the checkout lies."""
    target = agent.folder / "bin"
    target.mkdir()
    subprocess.run(["cp", "-L", BIN / "apmctl", target / "apmctl"], check=True)
    agent.bin = target
    return agent


@pytest.fixture(scope="module")
def agent():
    with Agent(f"daemon {{ allow_group {GROUP.gr_name}; }}\n" + plain("sleeper", "sleep 1000")) as running:
        yield readable(running)


def test_another_user_is_refused_and_told_how_to_get_in(agent):
    refused = agent.ctl("list", check=False, user=NOBODY, groups=[])
    assert refused.code == 5, refused
    assert f"user daemon (uid {NOBODY})" in refused.err
    assert f"usermod -aG {GROUP.gr_name} daemon" in refused.err


def test_another_user_cannot_stop_a_worker(agent):
    pids = agent.pids("sleeper")
    assert agent.ctl("stop", "sleeper", check=False, user=NOBODY, groups=[]).code == 5
    assert agent.pids("sleeper") == pids


def test_a_member_of_allow_group_operates_workers(agent):
    listed = agent.ctl("list", user=NOBODY, groups=[GROUP.gr_gid])
    assert "sleeper" in listed.out
    assert agent.ctl("restart", "sleeper", user=NOBODY, groups=[GROUP.gr_gid]).code == 0


def test_a_member_of_allow_group_does_not_stop_the_daemon(agent):
    assert agent.ctl("kill", check=False, user=NOBODY, groups=[GROUP.gr_gid]).code == 5
    assert agent.ctl("ping").code == 0


def test_a_worker_of_an_operator_runs_as_the_operator(agent):
    agent.ctl("run", "/bin/sleep", "--name", "theirs", "--cwd", "/", "--", "1000",
              user=NOBODY, groups=[GROUP.gr_gid])
    pid, = agent.pids("theirs")
    with open(f"/proc/{pid}/status") as status:
        uids = next(line for line in status if line.startswith("Uid:")).split()[1:]
    assert set(uids) == {str(NOBODY)}
    agent.ctl("delete", "theirs")


def test_an_operator_gets_no_port_of_root_through_the_agent(agent):
    refused = agent.ctl("run", "/bin/sleep", "--name", "low", "--cwd", "/", "--server", "127.0.0.1:81", "--", "1000",
                        check=False, user=NOBODY, groups=[GROUP.gr_gid])
    assert refused.code == 5, refused
    assert "below 1024" in refused.err
    assert "low" not in agent.workers()


def test_a_path_owned_by_a_user_runs_as_that_user():
    agent = Agent(plain("owned", "sleep 1000", "path ./app;"))
    app = agent.folder / "app"
    app.mkdir()
    os.chown(app, NOBODY, NOBODY)
    with agent:
        agent.ctl("start", "owned")
        pid, = agent.pids("owned")
        assert os.stat(f"/proc/{pid}").st_uid == NOBODY


def squat(name):
    """Holds an abstract socket as another user."""
    program = ("import socket, sys; s = socket.socket(socket.AF_UNIX); "
               f"s.bind('\\0{name}'); s.listen(); print('held', flush=True); sys.stdin.read()")
    holder = subprocess.Popen(["/usr/bin/python3", "-c", program], user=NOBODY, group=NOBODY, extra_groups=[],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_squatter_on_the_socket_is_refused_by_apmctl_and_named():
    agent = Agent()
    holder = squat(agent.socket[1:])
    try:
        refused = agent.ctl("list", check=False)
        assert refused.code == 5, refused
        assert f"uid {NOBODY}" in refused.err and str(holder.pid) in refused.err
        assert "--daemon-user" in refused.err
    finally:
        holder.communicate("")


def test_a_daemon_whose_socket_is_held_says_by_whom_and_ends():
    agent = Agent()
    holder = squat(agent.socket[1:])
    try:
        agent.start(wait=False)
        assert agent.keeper.wait(30) == 1
        assert f"uid {NOBODY}" in agent.read_log() and str(holder.pid) in agent.read_log()
    finally:
        holder.communicate("")
        agent.keeper = None


def test_a_second_daemon_on_the_socket_ends_and_harms_nothing():
    with Agent(plain("sleeper", "sleep 1000")) as first:
        second = Agent()
        second.socket = first.socket
        second.start(wait=False)
        assert second.keeper.wait(30) == 1
        second.keeper = None
        assert first.ctl("ping").code == 0


def test_nobody_answers_is_exit_4():
    done = Agent().ctl("list", check=False)
    assert done.code == 4
    assert "apm-keeper" in done.err


def test_an_unmapped_user_is_refused(agent):
    done = agent.ctl("list", check=False, user=65534, groups=[])
    assert done.code == 5
