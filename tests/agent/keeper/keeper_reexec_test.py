"""The keeper becomes another program: nothing that it kept may be lost."""

import errno
import os
import shutil
import signal
import subprocess

import pytest

from apm.internal.v1 import keeper_pb2 as pb
from keeper_harness import BIN, Channel, key, pidfd_ended
from keeper_life_test import connected, proxy_channel
from keeper_test import SHELL, failure, start_waiting, status_field


def install(keeper, script=None):
    """Replaces apm-keeper as a package manager does: by a new file. `script`
    becomes the new program; "$@" are its arguments, $REAL is the real one."""
    program = keeper.bin / "apm-keeper"
    real = keeper.bin / "apm-keeper.real"
    shutil.copy(BIN / "apm-keeper", real)
    if script is not None:
        text = f"#!/bin/sh\nREAL='{real}'\n{script}\n"
        real = keeper.bin / "apm-keeper.new"
        real.write_text(text)
        real.chmod(0o755)
    real.rename(program)
    if script is not None:
        shutil.copy(BIN / "apm-keeper", keeper.bin / "apm-keeper.real")


# For install(): does `action` once the program is ours, then becomes apm-keeper.
def after_the_check(action):
    return f'case "$*" in *--check-state*) ;; *) {action};; esac\nexec "$REAL" "$@"'


def succeeded(report):
    assert report.error == b"", report
    assert report.version
    return report


def descriptors(keeper):
    return sorted(os.listdir(f"/proc/{keeper.pid}/fd"))


def inheritable(keeper):
    """Descriptors above 2 that a child of the keeper would get."""
    found = []
    for fd in descriptors(keeper):
        info = open(f"/proc/{keeper.pid}/fdinfo/{fd}").read()
        flags = int(info.split("flags:")[1].split()[0], 8)
        if int(fd) > 2 and not flags & os.O_CLOEXEC:
            found.append(fd)
    return found


def expect_exit(agent, a_key=None):
    exited, _ = agent.expect("exited")
    assert exited.key == (a_key or key())
    return exited


# ---- what stays ----


def test_program_is_the_new_one_in_the_same_process(keeper, agent):
    install(keeper)
    succeeded(agent.reexec())
    assert os.path.samefile(f"/proc/{keeper.pid}/exe", keeper.bin / "apm-keeper")
    assert keeper.process.poll() is None


def test_processes_stay_ours_and_their_exits_are_told(keeper, agent):
    spawned, stdin, output = start_waiting(agent)
    report = succeeded(agent.reexec())
    assert (report.processes, report.descriptors) == (1, 0)
    stdin.close()
    assert output.read() == b"%d\n" % spawned.pid
    exited = expect_exit(agent)
    assert (exited.pid, exited.signaled, exited.status) == (spawned.pid, False, 0)


def test_many_processes_stay(keeper, agent):
    workers = [start_waiting(agent, key(instance=i)) for i in range(150)]
    assert succeeded(agent.reexec()).processes == 150
    for _, stdin, _ in workers:
        stdin.close()
    exited = {agent.expect("exited")[0].key.instance for _ in workers}
    assert exited == set(range(150))


def test_next_agent_is_welcomed_with_all_that_was_kept(keeper, agent):
    spawned, _stdin, _output = start_waiting(agent)
    reader, writer = os.pipe()
    agent.send([writer], put_fd=pb.PutFd(name="stdin:web/0/1"))
    os.close(writer)
    agent.send(put_state=pb.PutState(name="process:web/0/1", value=b"\0\xff"))
    assert succeeded(agent.reexec()).descriptors == 1
    agent.kill()
    second = keeper.agent()
    assert second.welcome.agent_incarnation == 2
    assert second.welcome.keeper_pid == keeper.pid
    (running,) = second.welcome.running
    assert (running.key, running.pid, running.start_ticks) == (
        key(), spawned.pid, spawned.start_ticks)
    assert list(second.welcome.states) == [
        pb.PutState(name="process:web/0/1", value=b"\0\xff")]
    assert list(second.welcome.stored_fds) == ["stdin:web/0/1"]
    second.expect("proxy_started")
    second.send(fetch_fd=pb.FetchFd(name="stdin:web/0/1"))
    _, fds = second.expect("stored_fd")
    os.write(fds[0], b"alive")
    assert os.read(reader, 5) == b"alive"


def test_what_a_new_agent_is_told_is_the_same_with_and_without(keeper, agent):
    _, _stdin, _output = start_waiting(agent)
    agent.kill()
    before = keeper.agent()
    before.expect("proxy_started")
    succeeded(before.reexec())
    before.kill()
    after = keeper.agent().welcome
    after.agent_incarnation -= 1
    assert after == before.welcome


def test_proxy_stays_and_a_new_one_gets_the_next_number(keeper, agent):
    _, to_agent = proxy_channel(keeper.proxy)
    to_proxy = Channel(agent.to_proxy[1][0])
    succeeded(agent.reexec())
    assert connected(to_proxy, to_agent)
    keeper.proxy.kill()
    exited, _ = agent.expect("proxy_exited")
    assert (exited.pid, exited.incarnation) == (keeper.proxy.pid, 1)
    started, _ = agent.expect("proxy_started")
    assert started.incarnation == 2
    assert proxy_channel(keeper.accept("apm-proxy"))[0].proxy_incarnation == 2


def test_group_of_a_dead_leader_can_still_be_killed(keeper, agent):
    _, _stdin, output = start_waiting(agent, script="/bin/sleep 1000 & exit 0")
    expect_exit(agent)
    succeeded(agent.reexec())
    agent.send(signal=pb.Signal(key=key(), signal=signal.SIGKILL, to_group=True))
    output.read()


def test_exit_that_is_not_acknowledged_is_told_to_each_next_agent(keeper, agent):
    agent.spawn(key(), [SHELL, "-c", "exit 5"])
    agent.expect("spawned")
    first = expect_exit(agent)
    succeeded(agent.reexec())
    agent.kill()
    second = keeper.agent()
    assert [running.exited for running in second.welcome.running] == [True]
    assert expect_exit(second) == first
    second.expect("proxy_started")
    second.send(ack_exit=pb.AckExit(key=key()))
    succeeded(second.reexec())
    second.kill()
    third = keeper.agent()
    assert list(third.welcome.running) == []
    third.expect("proxy_started")  # Nothing in between.


def test_no_descriptor_is_leaked_or_lost(keeper, agent):
    _, _stdin, _output = start_waiting(agent)
    agent.send([0], put_fd=pb.PutFd(name="a"))
    agent.sync()
    before = descriptors(keeper)
    for _ in range(3):
        succeeded(agent.reexec())
        assert len(descriptors(keeper)) == len(before)
        assert inheritable(keeper) == []


def test_processes_started_afterwards_inherit_nothing(keeper, agent):
    agent.send([0], put_fd=pb.PutFd(name="a"))
    succeeded(agent.reexec())
    listed = agent.run(key(), ["/bin/ls", "/proc/self/fd"])
    assert listed.split() == [b"0", b"1", b"2", b"3"]
    assert status_field(agent.run(key(generation=2), ["/bin/cat", "/proc/self/status"]),
                        b"SigBlk") == [b"0" * 16]


def test_keeper_stays_small(keeper, agent):
    if os.environ.get("APM_SANITIZE"):
        pytest.skip("a sanitizer has its own memory")
    workers = [start_waiting(agent, key(instance=i)) for i in range(100)]
    succeeded(agent.reexec())
    status = open(f"/proc/{keeper.pid}/status", "rb").read()
    assert int(status_field(status, b"VmRSS")[0]) < 2560
    assert len(workers) == 100


def test_pid_file_stays_locked_and_is_removed_at_the_end(keeper, agent):
    succeeded(agent.reexec())
    assert keeper.pid_file.read_text() == f"{keeper.pid}\n"
    second = subprocess.run([keeper.bin / "apm-keeper", f"--state-dir={keeper.state}"],
                            capture_output=True, text=True)
    assert second.returncode == 1
    assert f"apm-keeper runs already with pid {keeper.pid}" in second.stderr
    assert keeper.stop(agent) == 0
    assert not keeper.pid_file.exists()


def test_options_are_those_of_the_start(start):
    keeper = start("--config=a.conf", "--socket", "@x")
    agent = keeper.serve()
    succeeded(agent.reexec())
    agent.kill()
    assert keeper.agent().about["args"] == agent.about["args"]


def test_nothing_is_left_at_the_end(keeper, agent):
    # Also what it adopted, and what its workers' leaders left.
    scripts = [
        "trap '' TERM; echo $$; read line; read line",
        "(setsid /bin/sh -c 'echo $$; /bin/sleep 1000; :' &); exec /bin/cat",
        "/bin/sleep 1000 & echo $!; exit 0",
    ]
    workers = [start_waiting(agent, key(instance=i), script)
               for i, script in enumerate(scripts)]
    pidfds = [os.pidfd_open(int(output.readline())) for _, _, output in workers]
    expect_exit(agent, key(instance=2))
    succeeded(agent.reexec())
    assert keeper.stop(agent) == 0
    for pidfd in pidfds:
        assert pidfd_ended(pidfd)


# ---- what is on its way ----


def test_packets_that_the_agent_has_not_read_are_kept_in_order(keeper, agent):
    reader, writer = os.pipe()
    agent.send([writer], put_fd=pb.PutFd(name="pipe"))
    os.close(writer)
    count = 1000  # Far above what the socket takes.
    for i in range(count):
        agent.send(fetch_fd=pb.FetchFd(name="pipe" if i % 10 == 0 else str(i)))
    agent.send(reexec=pb.Reexec())
    for i in range(count):
        stored, fds = agent.expect("stored_fd")
        assert stored.name == ("pipe" if i % 10 == 0 else str(i))
        for fd in fds:
            os.write(fd, b"x")
            os.close(fd)
    succeeded(agent.expect("reexeced")[0])
    assert os.read(reader, count) == b"x" * (count // 10)


def test_requests_behind_the_reexec_are_obeyed(keeper, agent):
    agent.send(reexec=pb.Reexec())
    outputs = [agent.spawn(key(instance=i), ["/bin/echo", str(i)]) for i in range(200)]
    assert [output.read() for output in outputs] == [b"%d\n" % i for i in range(200)]
    kinds = []
    while kinds.count("exited") < 200:
        kinds.append(pb.FromKeeper.FromString(agent.channel.receive_bytes()[0]).WhichOneof("body"))
    assert (kinds.count("spawned"), kinds.count("reexeced")) == (200, 1)


def hold_starts(keeper, folder):
    """From now on apm-exec waits for a writer of this FIFO."""
    fifo = folder / "gate"
    os.mkfifo(fifo)
    exec_program = keeper.bin / "apm-exec"
    exec_program.rename(keeper.bin / "apm-exec.real")
    exec_program.write_text(f"#!/bin/sh\nread line <'{fifo}'\nexec '{exec_program}.real'\n")
    exec_program.chmod(0o755)
    return fifo


def test_process_that_is_starting_runs_afterwards(keeper, agent, folder):
    gate = hold_starts(keeper, folder)
    output = agent.spawn(key(), ["/bin/echo", "late"])
    assert succeeded(agent.reexec()).processes == 1
    gate.write_text("go\n")
    agent.expect("spawned")
    assert output.read() == b"late\n"
    expect_exit(agent)


def test_start_that_fails_afterwards_says_where(keeper, agent, folder):
    gate = hold_starts(keeper, folder)
    agent.spawn(key(), ["/no/such/file"])
    succeeded(agent.reexec())
    gate.write_text("go\n")
    failed, _ = agent.expect("spawn_failed")
    assert (failed.step, failed.error) == ("exec", errno.ENOENT)


def test_process_that_is_starting_is_listed_as_such(keeper, agent, folder):
    gate = hold_starts(keeper, folder)
    output = agent.spawn(key(), ["/bin/echo", "late"])
    succeeded(agent.reexec())
    agent.kill()
    second = keeper.agent()
    (running,) = second.welcome.running
    assert (running.key, running.starting, running.exited) == (key(), True, False)
    second.expect("proxy_started")
    gate.write_text("go\n")
    assert second.expect("spawned")[0].pid == running.pid
    assert output.read() == b"late\n"


def test_children_that_die_in_between_are_reaped_and_told(keeper, agent):
    workers = [start_waiting(agent, key(instance=i)) for i in range(20)]
    pids = " ".join(str(spawned.pid) for spawned, _, _ in workers)
    install(keeper, after_the_check(f"kill -9 {pids}"))
    succeeded(agent.reexec())
    for i in range(20):
        assert agent.expect("exited")[0].status == signal.SIGKILL


def test_proxy_that_dies_in_between_is_started_again(keeper, agent):
    install(keeper, after_the_check(f"kill -9 {keeper.proxy.pid}"))
    succeeded(agent.reexec())
    keeper.proxy.channel.close()
    assert agent.expect("proxy_exited")[0].incarnation == 1
    assert agent.expect("proxy_started")[0].incarnation == 2


def test_agent_that_dies_in_between_is_started_again(keeper, agent):
    install(keeper, after_the_check(f"kill -9 {agent.pid}"))
    agent.send(reexec=pb.Reexec())
    assert keeper.agent().welcome.agent_incarnation == 2


def test_termination_signal_in_between_is_obeyed(keeper, agent):
    install(keeper, after_the_check("kill -TERM $$"))
    succeeded(agent.reexec())
    agent.expect("shutdown_requested")
    assert keeper.stop(agent) == 0


def test_proxy_that_waits_to_be_started_is_started(keeper, agent):
    program = keeper.bin / "apm-proxy"
    program.rename(keeper.bin / "apm-proxy.away")
    keeper.proxy.kill()
    agent.expect("proxy_exited")
    succeeded(agent.reexec())
    (keeper.bin / "apm-proxy.away").rename(program)
    assert agent.expect("proxy_started")[0].incarnation == 2


# ---- what refuses ----


REFUSALS = [
    ("exit 3", b"its check exited with 3"),
    ("exit 0", b"is not an apm-keeper that can take over"),
    ("kill -9 $$", b"its check was killed by signal 9"),
    ("exec /bin/sleep 1000", b"has not checked our state within 2s"),
    # Gone when it is to be executed.
    ('rm "$0"; exec "$REAL" "$@"', b"No such file or directory"),
]


@pytest.mark.parametrize("script, says", REFUSALS)
def test_keeper_goes_on_when_the_new_program_is_no_use(keeper, agent, script, says):
    _, stdin, output = start_waiting(agent)
    install(keeper, script)
    report = agent.reexec()
    assert says in report.error
    assert report.processes == 1
    assert inheritable(keeper) == []
    stdin.close()
    output.read()
    expect_exit(agent)
    install(keeper)
    succeeded(agent.reexec())


@pytest.mark.parametrize("content", [b"no program", None])
def test_keeper_goes_on_when_the_new_program_cannot_be_executed(keeper, agent, content):
    program = keeper.bin / "apm-keeper"
    program.unlink()
    if content is not None:
        program.write_bytes(content)
        program.chmod(0o755)
    assert b"execute '" in agent.reexec().error
    assert agent.run(key(), ["/bin/echo", "here"]) == b"here\n"


def test_keeper_that_is_stopping_stays_what_it_is(keeper, agent):
    keeper.process.send_signal(signal.SIGTERM)
    agent.expect("shutdown_requested")
    assert agent.reexec().error == b"the keeper is stopping"
    assert keeper.stop(agent) == 0


def test_state_that_is_none_is_refused_by_hand(keeper):
    run = subprocess.run([keeper.bin / "apm-keeper", "--state-fd=9"],
                         capture_output=True, text=True)
    assert run.returncode == 1
    assert "memfd is not sealed" in run.stderr
