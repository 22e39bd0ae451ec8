"""The life of the keeper itself: start, its two services, survival, the end."""

import os
import pathlib
import shutil
import signal
import stat
import subprocess

import pytest

from apm.internal.v1 import keeper_pb2 as pb
from keeper_harness import BIN, Channel, Closed, Keeper, key, pidfd_ended, temporary_folder
from keeper_test import SHELL, start_waiting, status_field


def connected(one, other):
    """Whether two channel ends belong together."""
    one.send_bytes(b"ping")
    return other.receive_bytes()[0] == b"ping"


def proxy_channel(proxy):
    data, fds = proxy.channel.receive_bytes()
    return pb.AgentChannel.FromString(data), Channel(fds[0])


# ---- start ----


def test_first_agent_is_welcomed_with_nothing(keeper):
    agent = keeper.agent()
    assert agent.welcome == pb.Welcome(agent_incarnation=1, keeper_pid=keeper.pid)


def test_options_of_the_agent_are_forwarded(start, folder):
    keeper = start("--config", "a.conf", "--socket=@test", "--config=b.conf",
                   f"--pid-file={folder}/other.pid", "--system")
    assert keeper.agent().about["args"] == [
        "--keeper-fd", "3", f"--state-dir={keeper.state}", "--config=a.conf",
        "--socket=@test", "--config=b.conf", "--system"]
    assert keeper.accept("apm-proxy").about["args"] == ["--keeper-fd", "3"]


def test_services_inherit_their_channel_and_nothing_else(start):
    extra, _ = os.pipe()
    keeper = start(pass_fds=[extra])
    # 4 is the control socket of the fake, 5 the folder that it reads.
    assert keeper.agent().about["fds"] == [0, 1, 2, 3, 4, 5]
    assert keeper.accept("apm-proxy").about["fds"] == [0, 1, 2, 3, 4, 5]


def test_services_are_out_of_reach_of_the_terminal(keeper):
    agent = keeper.agent()
    assert os.getpgid(agent.pid) == agent.pid
    assert os.getsid(agent.pid) == agent.pid


def test_services_start_with_no_signal_blocked(keeper):
    status = keeper.agent().about["status"].encode()
    assert status_field(status, b"SigBlk") == [b"0" * 16]


def test_agent_and_proxy_get_the_two_ends_of_a_channel(keeper, agent):
    started, fds = agent.to_proxy
    assert started == pb.ProxyStarted(pid=keeper.proxy.pid, incarnation=1)
    to_agent, channel = proxy_channel(keeper.proxy)
    assert to_agent == pb.AgentChannel(proxy_incarnation=1, agent_incarnation=1)
    assert connected(Channel(fds[0]), channel)


def test_memory_of_the_keeper_stays_small(keeper, agent):
    if os.environ.get("APM_SANITIZE"):
        pytest.skip("a sanitizer has its own memory")
    workers = [start_waiting(agent, key(instance=i)) for i in range(100)]
    status = open(f"/proc/{keeper.pid}/status", "rb").read()
    assert int(status_field(status, b"VmRSS")[0]) < 2560
    assert len(workers) == 100


def test_keeper_is_static(keeper):
    if os.environ.get("APM_SANITIZE"):
        pytest.skip("a sanitizer needs its library")
    for program in ("apm-keeper", "apm-exec"):
        ldd = subprocess.run(["ldd", keeper.bin / program], capture_output=True, text=True)
        assert "not a dynamic executable" in ldd.stderr


def test_keeper_without_its_siblings_does_not_start(folder):
    lonely = folder / "apm-keeper"
    shutil.copy(BIN / "apm-keeper", lonely)
    run = subprocess.run([lonely, f"--state-dir={folder}/state"], capture_output=True, text=True)
    assert run.returncode == 1
    assert f"find '{folder}/apm-agent': No such file or directory" in run.stderr


@pytest.mark.parametrize("args, says", [
    (["--colour"], "option '--colour' is unknown"),
    (["--config"], "option '--config' needs a value"),
    (["now"], "argument 'now' is unknown"),
])
def test_wrong_usage_exits_with_2(args, says):
    run = subprocess.run([BIN / "apm-keeper", *args], capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr == f"apm-keeper: {says}; see apm-keeper --help\n"


def test_help_and_version_are_printed():
    for option, says in (("--help", "usage: apm-keeper"), ("--version", "apm-keeper 0.")):
        run = subprocess.run([BIN / "apm-keeper", option], capture_output=True, text=True)
        assert run.returncode == 0
        assert run.stdout.startswith(says)


def test_apm_exec_by_hand_explains_itself():
    run = subprocess.run([BIN / "apm-exec"], capture_output=True, text=True)
    assert run.returncode == 2
    assert "apm-exec is started by apm-keeper" in run.stderr


# ---- files ----


def test_pid_file_holds_the_pid_and_is_removed_at_the_end(keeper, agent):
    assert keeper.pid_file.read_text() == f"{keeper.pid}\n"
    assert stat.S_IMODE(keeper.pid_file.stat().st_mode) == 0o644
    assert stat.S_IMODE(keeper.state.stat().st_mode) == 0o700
    assert keeper.stop(agent) == 0
    assert list(keeper.state.iterdir()) == []


def test_stale_pid_file_is_replaced(start, folder):
    (folder / "state").mkdir()
    (folder / "state/apm.pid").write_text(f"{os.getpid()}\n")  # Alive, but no keeper.
    keeper = start()
    keeper.agent()
    assert keeper.pid_file.read_text() == f"{keeper.pid}\n"
    assert f"replaced the stale PID file '{keeper.pid_file}'" in keeper.log_text()
    assert f"left by pid {os.getpid()}" in keeper.log_text()


def test_pid_file_of_a_killed_keeper_is_replaced(start):
    first = start()
    first.agent()
    first.process.kill()
    first.wait()
    assert first.pid_file.read_text() == f"{first.pid}\n"
    first.close()
    second = start()
    second.agent()
    assert second.pid_file.read_text() == f"{second.pid}\n"
    assert f"left by pid {first.pid}" in second.log_text()


def test_pid_of_a_keeper_of_another_folder_is_stale(folder, keeper, agent):
    other = folder / "other.pid"
    other.write_text(f"{keeper.pid}\n")  # As if the pid had been used again.
    with temporary_folder() as second_folder:
        second = Keeper(second_folder, f"--pid-file={other}")
        second.agent()
        assert other.read_text() == f"{second.pid}\n"
        second.close()


def test_second_keeper_is_refused_with_the_pid_of_the_first(keeper, agent):
    second = subprocess.run([keeper.bin / "apm-keeper", f"--state-dir={keeper.state}"],
                            capture_output=True, text=True)
    assert second.returncode == 1
    assert f"apm-keeper runs already with pid {keeper.pid}" in second.stderr
    assert keeper.pid_file.read_text() == f"{keeper.pid}\n"


def test_unwritable_pid_file_is_a_warning(start):
    keeper = start("--pid-file=/no/such/folder/apm.pid")
    keeper.agent()
    assert "no PID file is written: create '/no/such/folder/apm.pid" in keeper.log_text()


def test_log_file_takes_what_keeper_and_services_write(start, folder):
    keeper = start(f"--log-file={folder}/apm.log")
    agent = keeper.serve()
    with open(f"/proc/{agent.pid}/fd/2", "a") as stderr:
        stderr.write("from the agent\n")
    assert keeper.stop(agent) == 0
    text = (folder / "apm.log").read_text()
    assert f"apm-keeper[{keeper.pid}] info: started apm-agent (pid {agent.pid})\n" in text
    assert "from the agent\n" in text
    assert stat.S_IMODE((folder / "apm.log").stat().st_mode) == 0o640
    assert agent.about["args"][-1] == f"--log-file={folder}/apm.log"


def test_log_file_that_cannot_be_opened_is_an_error(start):
    keeper = start("--log-file=/no/such/folder/apm.log")
    assert keeper.wait() == 1
    assert "open log file '/no/such/folder/apm.log': No such file" in keeper.log_text()


# ---- survival ----


def test_killed_agent_is_started_again_and_told_what_runs(keeper, agent):
    spawned, stdin, output = start_waiting(agent)
    agent.kill()
    second = keeper.agent()
    assert second.welcome.agent_incarnation == 2
    (running,) = second.welcome.running
    assert (running.key, running.pid, running.start_ticks) == (
        key(), spawned.pid, spawned.start_ticks)
    stdin.close()  # The worker has noticed nothing.
    assert output.read() == b"%d\n" % spawned.pid
    assert "was killed by SIGKILL" in keeper.log_text()


def test_proxy_gets_a_new_channel_to_a_new_agent(keeper, agent):
    proxy_channel(keeper.proxy)
    agent.kill()
    second = keeper.agent()
    started, fds = second.expect("proxy_started")
    assert (started.pid, started.incarnation) == (keeper.proxy.pid, 1)
    to_agent, channel = proxy_channel(keeper.proxy)
    assert to_agent.agent_incarnation == 2
    assert connected(Channel(fds[0]), channel)


def test_killed_proxy_is_started_again(keeper, agent):
    keeper.proxy.kill()
    exited, _ = agent.expect("proxy_exited")
    assert (exited.pid, exited.incarnation, exited.signaled, exited.status) == (
        keeper.proxy.pid, 1, True, signal.SIGKILL)
    second = keeper.accept("apm-proxy")
    started, fds = agent.expect("proxy_started")
    assert (started.pid, started.incarnation) == (second.pid, 2)
    to_agent, channel = proxy_channel(second)
    assert to_agent.proxy_incarnation == 2
    assert connected(Channel(fds[0]), channel)


def test_agent_and_log_say_when_the_next_proxy_comes(keeper, agent):
    keeper.proxy.kill()
    exited, _ = agent.expect("proxy_exited")
    agent.expect("proxy_started")
    when = f"in {exited.restart_in_ms}ms" if exited.restart_in_ms else "now"
    line = next(line for line in keeper.log_text().splitlines() if "was killed" in line)
    assert f"apm-proxy (pid {keeper.proxy.pid}) was killed by SIGKILL after " in line
    assert line.endswith(f"starting it again {when}")


def test_last_messages_of_an_agent_count(keeper, agent):
    pidfd = os.pidfd_open(agent.pid)
    keeper.process.send_signal(signal.SIGSTOP)
    keeper.process.send_signal(signal.SIGHUP)  # So that it looks at signals first.
    agent.send([0], put_fd=pb.PutFd(name="a"))
    agent.send([0], put_fd=pb.PutFd(name="b"))
    agent.kill()
    assert pidfd_ended(pidfd)
    keeper.process.send_signal(signal.SIGCONT)
    assert list(keeper.agent().welcome.stored_fds) == ["a", "b"]


def test_agent_whose_channel_leaked_is_started_again_all_the_same(keeper, agent):
    os.kill(agent.pid, signal.SIGKILL)  # The test keeps its channel open.
    assert keeper.agent().welcome.agent_incarnation == 2


def test_channels_of_the_keeper_close_when_it_is_killed(keeper, agent):
    keeper.process.kill()
    keeper.wait()
    with pytest.raises(Closed):
        agent.channel.receive_bytes()
    with pytest.raises(Closed):
        while True:
            keeper.proxy.channel.receive_bytes()
    agent.close()
    keeper.proxy.close()


@pytest.mark.parametrize("status", [2, 78])
def test_first_agent_that_cannot_start_ends_the_keeper(keeper, status):
    keeper.agent().exit(status)
    assert keeper.wait() == 1
    assert f"exited with {status}" in keeper.log_text()
    assert not keeper.pid_file.exists()


def test_agent_that_has_worked_is_started_again_whatever_its_status(keeper, agent):
    agent.sync()
    agent.exit(78)
    assert keeper.agent().welcome.agent_incarnation == 2


def test_agent_that_fails_otherwise_is_started_again(keeper):
    keeper.agent().exit(1)
    assert keeper.agent().welcome.agent_incarnation == 2


# ---- the end ----


def test_sigterm_asks_the_agent_and_ends_with_0(keeper, agent):
    keeper.process.send_signal(signal.SIGTERM)
    agent.expect("shutdown_requested")
    assert keeper.stop(agent) == 0


def test_sigint_does_the_same(keeper, agent):
    keeper.process.send_signal(signal.SIGINT)
    agent.expect("shutdown_requested")
    assert keeper.stop(agent) == 0


def test_shutdown_by_the_agent_needs_no_signal(keeper, agent):
    assert keeper.stop(agent) == 0


def test_sighup_changes_nothing(keeper, agent):
    keeper.process.send_signal(signal.SIGHUP)
    agent.sync()
    assert "ignored SIGHUP" in keeper.log_text()


def test_second_sigterm_does_not_wait_for_the_agent(keeper, agent):
    keeper.process.send_signal(signal.SIGTERM)
    agent.expect("shutdown_requested")
    keeper.process.send_signal(signal.SIGTERM)
    assert keeper.wait() == 0


def is_stopped(pid):
    return "State:\tT (stopped)" in pathlib.Path(f"/proc/{pid}/status").read_text()


def test_workers_are_killed_without_waiting_for_a_hanging_agent(keeper, agent):
    _, _stdin, output = start_waiting(agent)
    os.kill(agent.pid, signal.SIGSTOP)
    while not is_stopped(agent.pid):
        pass
    agent.send(shutdown=pb.Shutdown())
    output.read()
    assert is_stopped(agent.pid)
    os.kill(agent.pid, signal.SIGCONT)
    assert keeper.wait() == 0


def test_agent_that_dies_while_stopping_ends_the_keeper(keeper, agent):
    keeper.process.send_signal(signal.SIGTERM)
    agent.expect("shutdown_requested")
    agent.kill()
    assert keeper.wait() == 0


def marked(marker):
    """Processes with this in their environment, wherever they went."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if marker in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            pass  # It has just ended.
    return found


# Forked twice, in sessions of their own, deaf to SIGTERM.
DAEMONS = {
    "a_daemon": "trap '' TERM HUP INT; echo up; while :; do read line; done",
    "a_daemon_that_starts_others_all_the_time":
        "trap '' TERM; echo up; while :; do (setsid /bin/sleep 1000 &); sleep 0.005; done",
    # Its only process is a new one every time: it ends when it has forked.
    "a_daemon_that_never_stays": """exec /usr/bin/python3 -c '
import os, time
print("up", flush=True)
end = time.monotonic() + 8
while time.monotonic() < end:
    if os.fork(): os._exit(0)
'""",
}


@pytest.mark.parametrize("daemon", DAEMONS.values(), ids=DAEMONS.keys())
def test_end_reaches_what_workers_hid(keeper, agent, daemon, folder):
    (folder / "daemon").write_text(daemon)
    marker = os.fsencode(f"MARKER={folder}")
    reader, writer = os.pipe()
    null = os.open("/dev/null", os.O_RDWR)
    agent.spawn(key(), [SHELL, "-c", f"(setsid /bin/sh -c '(setsid /bin/sh {folder}/daemon &)' &)"],
                [null, writer, null], env=[marker, b"PATH=/usr/bin:/bin"])
    os.close(writer)
    os.close(null)
    assert os.read(reader, 3) == b"up\n"
    # A look may miss the one that forks all the time; not every look does.
    assert any(marked(marker) for _ in range(1000))
    assert keeper.stop(agent) == 0
    assert marked(marker) == []
    assert "could not be killed" not in keeper.log_text()


def test_nothing_is_left_at_the_end(keeper, agent):
    pidfds = [os.pidfd_open(service.pid) for service in (agent, keeper.proxy)]
    scripts = [
        "echo $$; exec /bin/cat",
        "trap '' TERM; echo $$; read line; read line",
        # A daemon of its own session, and its child.
        "(setsid /bin/sh -c 'echo $$; /bin/sleep 1000; :' &); exec /bin/cat",
        "/bin/sleep 1000 & echo $!; exit 0",  # Left by its leader.
    ]
    workers = [start_waiting(agent, key(instance=i), script)
               for i, script in enumerate(scripts)]
    for _, _, output in workers:
        pidfds.append(os.pidfd_open(int(output.readline())))
    assert keeper.stop(agent) == 0
    for pidfd in pidfds:
        assert pidfd_ended(pidfd)
