"""What the agent may rely on: spawn, exits, signals, the store of descriptors."""

import errno
import os
import pathlib
import resource
import signal

import pytest

from apm.internal.v1 import keeper_pb2 as pb
from keeper_harness import NOBODY, key, pidfd_ended

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
SHELL = "/bin/sh"


def cat(agent, *paths, **spec):
    return agent.run(key("cat"), ["/bin/cat", *paths], **spec)


def status_field(text, name):
    return next(line.split(b":")[1].split() for line in text.splitlines()
                if line.startswith(name + b":"))


def start_waiting(agent, a_key=None, script="echo $$; exec /bin/cat"):
    """A worker that waits for the end of its stdin; returns pid and pipes."""
    stdin, ours = os.pipe()
    output, theirs = os.pipe()
    agent.spawn(a_key or key(), [SHELL, "-c", script], [stdin, theirs, theirs])
    os.close(stdin)
    os.close(theirs)
    spawned, _ = agent.expect("spawned")
    return spawned, open(ours, "wb"), open(output, "rb")


# ---- spawn: what the program gets ----


def test_argv_is_as_given(agent):
    out = agent.run(key(), ["/bin/cat", "/proc/self/cmdline", "/dev/null"])
    assert out == b"/bin/cat\0/proc/self/cmdline\0/dev/null\0"


def test_argv_0_need_not_be_the_executable(agent):
    out = agent.run(key(), ["web: one", "-c", 'echo "$0"', "x y"], executable=SHELL.encode())
    assert out == b"x y\n"


def test_environment_is_exactly_as_given_even_if_it_is_not_text(agent):
    out = cat(agent, "/proc/self/environ", env=[b"A=1", b"B=\xff\xfe", b"C="])
    assert out == b"A=1\0B=\xff\xfe\0C=\0"


def test_spec_larger_than_a_packet_arrives(agent):
    env = [b"V%d=" % i + b"x" * 1000 for i in range(200)]
    assert cat(agent, "/proc/self/environ", env=env) == b"\0".join(env) + b"\0"


def test_working_directory_is_as_given(agent, folder):
    assert agent.run(key(), ["/bin/pwd", "-P"], cwd=bytes(folder)) == bytes(folder) + b"\n"


def test_stdio_is_as_given_and_nothing_else_is_open(agent):
    # 3 is the folder that ls reads.
    assert agent.run(key(), ["/bin/ls", "/proc/self/fd"]).split() == [b"0", b"1", b"2", b"3"]


def test_stdin_stdout_and_stderr_are_three_descriptors(agent):
    pipes = [os.pipe() for _ in range(3)]
    stdio = [pipes[0][0], pipes[1][1], pipes[2][1]]
    agent.spawn(key(), [SHELL, "-c", "cat; echo error >&2"], stdio)
    for fd in stdio:
        os.close(fd)
    with open(pipes[0][1], "wb") as stdin:
        stdin.write(b"hello")
    assert open(pipes[1][0], "rb").read() == b"hello"
    assert open(pipes[2][0], "rb").read() == b"error\n"


def test_worker_leads_its_own_session_and_group(agent):
    pid, rest = cat(agent, "/proc/self/stat").split(b" ", 1)
    group, session = rest.rsplit(b")", 1)[1].split()[2:4]
    assert pid == group == session


def cat_status(agent):
    return cat(agent, "/proc/self/status")


def test_signals_are_neither_blocked_nor_ignored(start):
    def ignore_some():
        for number in (signal.SIGUSR1, signal.SIGINT, signal.SIGQUIT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])

    status = cat_status(start(preexec_fn=ignore_some).serve())
    assert status_field(status, b"SigIgn") == [b"0" * 16]
    assert status_field(status, b"SigBlk") == [b"0" * 16]


def test_umask_is_022(agent):
    assert status_field(cat_status(agent), b"Umask") == [b"0022"]


def test_niceness_and_oom_score_are_reset(start):
    agent = start(preexec_fn=lambda: os.nice(5)).serve()
    if os.geteuid() == 0:
        fields = cat(agent, "/proc/self/stat").rsplit(b")", 1)[1].split()
        assert fields[16] == b"0"  # Field 19.
    assert cat(agent, "/proc/self/oom_score_adj") == b"0\n"


def limits_line(agent, name, **spec):
    line = next(line for line in cat(agent, "/proc/self/limits", **spec).splitlines()
                if line.startswith(name))
    return line[len(name):].split()[:2]


def test_soft_limit_of_open_files_is_the_usual_one(agent):
    assert limits_line(agent, b"Max open files")[0] == b"1024"


def test_resource_limits_are_as_given(agent):
    files = pb.Rlimit(resource=resource.RLIMIT_NOFILE, soft=77, hard=88)
    core = pb.Rlimit(resource=resource.RLIMIT_CORE, soft=0, hard=4096)
    assert limits_line(agent, b"Max open files", rlimits=[files]) == [b"77", b"88"]
    assert limits_line(agent, b"Max core file size", rlimits=[core]) == [b"0", b"4096"]


@AS_ROOT
def test_user_group_and_supplementary_groups_are_as_given(agent):
    status = cat(agent, "/proc/self/status", change_user=True, uid=NOBODY, gid=4242,
                 groups=[1001, 1002])
    assert status_field(status, b"Uid") == [b"65534"] * 4
    assert status_field(status, b"Gid") == [b"4242"] * 4
    assert status_field(status, b"Groups") == [b"1001", b"1002"]
    assert status_field(status, b"CapEff") == [b"0" * 16]
    assert status_field(status, b"CapPrm") == [b"0" * 16]


@AS_ROOT
def test_supplementary_groups_of_the_keeper_are_not_inherited(agent):
    status = cat(agent, "/proc/self/status", change_user=True, uid=NOBODY, gid=NOBODY)
    assert status_field(status, b"Groups") == []


# ---- spawn: the step that fails ----


def failure(agent, argv=("/bin/true",), **spec):
    output = agent.spawn(key(), list(argv), **spec)
    failed, _ = agent.expect("spawn_failed")
    assert failed.key == key()
    with output:
        assert output.read() == b""
    return failed.step, failed.error, failed.detail


def test_exec_of_a_missing_file_fails(agent):
    assert failure(agent, ["/no/such/file"]) == ("exec", errno.ENOENT, b"/no/such/file")


def test_exec_of_a_file_that_is_not_executable_fails(agent, folder):
    path = folder / "plain"
    path.write_text("#!/bin/sh\n")
    assert failure(agent, [str(path)]) == ("exec", errno.EACCES, bytes(path))


def test_exec_without_argv_fails(agent):
    step, error, _ = failure(agent, [], executable=b"/bin/true")
    assert (step, error) == ("exec", errno.EINVAL)


def test_missing_working_directory_fails(agent):
    assert failure(agent, cwd=b"/no/such\xff") == ("chdir", errno.ENOENT, b"/no/such\xff")


def test_impossible_limit_fails(agent):
    wrong = pb.Rlimit(resource=resource.RLIMIT_NOFILE, soft=9, hard=8)
    assert failure(agent, rlimits=[wrong]) == ("rlimit", errno.EINVAL, b"RLIMIT_NOFILE")


def test_unknown_limit_fails(agent):
    wrong = pb.Rlimit(resource=99, soft=1, hard=1)
    assert failure(agent, rlimits=[wrong]) == ("rlimit", errno.EINVAL, b"limit 99")


@pytest.mark.parametrize("ids", [{"uid": 2**32 - 1, "gid": 1}, {"uid": 1, "gid": 2**32 - 1}])
def test_the_uid_that_means_no_change_to_the_kernel_fails(agent, ids):
    step, error, _ = failure(agent, change_user=True, **ids)
    assert (step, error) == ("user", errno.EINVAL)


@AS_ROOT
def test_change_of_user_fails_without_the_right_to_it(start):
    agent = start(user=NOBODY).serve()
    step, error, _ = failure(agent, change_user=True, uid=12345, gid=12345)
    assert (step, error) == ("user", errno.EPERM)


@AS_ROOT
def test_working_directory_is_entered_with_the_permissions_of_the_user(agent, folder):
    private = folder / "private"
    private.mkdir(mode=0o700)
    assert failure(agent, cwd=bytes(private), change_user=True, uid=NOBODY, gid=NOBODY) == (
        "chdir", errno.EACCES, bytes(private))


def test_spawn_without_its_three_descriptors_fails(agent):
    agent.spawn(key(), ["/bin/true"], [0, 1])
    failed, _ = agent.expect("spawn_failed")
    assert (failed.step, failed.error) == ("stdio", errno.EBADF)


def test_missing_apm_exec_fails_as_fork(keeper, agent):
    (keeper.bin / "apm-exec").unlink()
    step, error, detail = failure(agent)
    assert (step, error) == ("fork", errno.ENOENT)
    assert detail.endswith(b"/apm-exec")


def test_long_detail_is_cut(agent):
    step, error, detail = failure(agent, ["/" + "x" * 10000])
    assert (step, error) == ("exec", errno.ENAMETOOLONG)
    assert len(detail) == 3072


def test_key_that_failed_may_be_tried_again(agent):
    failure(agent, ["/no/such/file"])
    assert agent.run(key(), ["/bin/echo", "now"]) == b"now\n"


# ---- spawn: once ----


def test_spawn_of_a_running_key_starts_nothing(agent):
    first, stdin, output = start_waiting(agent)
    second = agent.spawn(key(), ["/bin/echo", "twice"])
    again, _ = agent.expect("spawned")
    assert again == first
    assert second.read() == b""  # Its descriptors were closed.
    stdin.close()
    assert output.read() == b"%d\n" % first.pid


def test_spawn_of_a_key_on_its_way_is_answered_once(agent):
    outputs = [agent.spawn(key(), ["/bin/echo", "once"]) for _ in range(3)]
    assert b"".join(output.read() for output in outputs) == b"once\n"
    kinds = []
    while "exited" not in kinds:
        data, _ = agent.channel.receive_bytes()
        kinds.append(pb.FromKeeper.FromString(data).WhichOneof("body"))
    assert "spawn_failed" not in kinds


def test_spawn_of_an_exited_key_repeats_its_exit(agent):
    agent.spawn(key(), [SHELL, "-c", "exit 3"])
    spawned, _ = agent.expect("spawned")
    exited, _ = agent.expect("exited")
    assert agent.spawn(key(), ["/bin/echo", "twice"]).read() == b""
    assert agent.expect("spawned")[0] == spawned
    assert agent.expect("exited")[0] == exited


def test_start_ticks_are_those_of_proc(agent):
    spawned, *_pipes = start_waiting(agent)
    stat_text = open(f"/proc/{spawned.pid}/stat").read()
    assert int(stat_text.rsplit(")", 1)[1].split()[19]) == spawned.start_ticks


# ---- exits ----


def test_exit_status_is_reported(agent):
    agent.spawn(key(), [SHELL, "-c", "exit 7"])
    spawned, _ = agent.expect("spawned")
    exited, _ = agent.expect("exited")
    assert exited.key == key()
    assert (exited.pid, exited.signaled, exited.status) == (spawned.pid, False, 7)
    assert exited.max_rss_kb > 0
    assert exited.exited_unix_ms > 1_700_000_000_000


def test_fatal_signal_is_reported(agent):
    agent.spawn(key(), [SHELL, "-c", "kill -USR1 $$"])
    agent.expect("spawned")
    exited, _ = agent.expect("exited")
    assert (exited.signaled, exited.status) == (True, signal.SIGUSR1)


def test_cpu_time_is_reported(agent):
    agent.spawn(key(), [SHELL, "-c", "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done"])
    agent.expect("spawned")
    exited, _ = agent.expect("exited")
    assert exited.user_us + exited.system_us > 0


def test_spawned_comes_before_exited_however_short_the_life(agent):
    keys = [key(instance=i) for i in range(40)]
    for one in keys:
        agent.spawn(one, ["/bin/true"]).close()
    seen = {i: [] for i in range(40)}
    for _ in range(80):
        data, _ = agent.channel.receive_bytes()
        message = pb.FromKeeper.FromString(data)
        kind = message.WhichOneof("body")
        seen[getattr(message, kind).key.instance].append(kind)
    assert all(kinds == ["spawned", "exited"] for kinds in seen.values())


def test_exit_is_repeated_to_each_new_agent_until_acknowledged(keeper, agent):
    agent.spawn(key(), [SHELL, "-c", "exit 5"])
    agent.expect("spawned")
    first, _ = agent.expect("exited")
    agent.kill()
    second_agent = keeper.agent()
    (listed,) = second_agent.welcome.running
    assert (listed.key, listed.exited, listed.starting) == (key(), True, False)
    assert second_agent.expect("exited")[0] == first
    second_agent.expect("proxy_started")
    second_agent.send(ack_exit=pb.AckExit(key=key()))
    second_agent.sync()
    second_agent.kill()
    third_agent = keeper.agent()
    third_agent.expect("proxy_started")  # Nothing in between.


def test_exit_while_there_is_no_agent_is_told_to_the_next(keeper, agent):
    _, stdin, output = start_waiting(agent)
    agent.kill()
    stdin.close()
    output.read()
    second_agent = keeper.agent()
    kinds = []  # ProxyStarted comes before or after, as it happens.
    while "exited" not in kinds:
        data, _ = second_agent.channel.receive_bytes()
        kinds.append(pb.FromKeeper.FromString(data).WhichOneof("body"))


def test_acknowledging_what_runs_changes_nothing(agent):
    spawned, stdin, _output = start_waiting(agent)
    agent.send(ack_exit=pb.AckExit(key=key()))
    stdin.close()
    exited, _ = agent.expect("exited")
    assert exited.pid == spawned.pid


# ---- signals ----


def test_signal_to_a_group_reaches_all_of_it(agent):
    # The child holds stdout too: its end is the end of all holders.
    _, _stdin, output = start_waiting(agent, script="/bin/sleep 1000 & echo $!; wait")
    agent.send(signal=pb.Signal(key=key(), signal=signal.SIGKILL, to_group=True))
    exited, _ = agent.expect("exited")
    assert (exited.signaled, exited.status) == (True, signal.SIGKILL)
    output.read()


def test_signal_to_a_group_reaches_what_its_dead_leader_left(agent):
    _, _stdin, output = start_waiting(agent, script="/bin/sleep 1000 & exit 0")
    agent.expect("exited")
    agent.send(signal=pb.Signal(key=key(), signal=signal.SIGKILL, to_group=True))
    output.read()


def test_signal_to_a_process_spares_its_children(agent):
    _, _stdin, output = start_waiting(agent, script="/bin/sleep 1000 & echo $!; wait")
    child = int(output.readline())
    agent.send(signal=pb.Signal(key=key(), signal=signal.SIGTERM))
    exited, _ = agent.expect("exited")
    assert (exited.signaled, exited.status) == (True, signal.SIGTERM)
    os.kill(child, 0)
    agent.send(signal=pb.Signal(key=key(), signal=signal.SIGKILL, to_group=True))
    output.read()


def test_signal_to_an_unknown_key_or_of_a_wrong_number_is_ignored(agent):
    spawned, stdin, _output = start_waiting(agent)
    agent.send(signal=pb.Signal(key=key("other"), signal=signal.SIGKILL, to_group=True))
    for number in (-1, 0, 65, 2**31 - 1):
        for to_group in (False, True):
            agent.send(signal=pb.Signal(key=key(), signal=number, to_group=to_group))
    agent.sync()
    os.kill(spawned.pid, 0)


def test_signal_in_the_middle_of_a_start_is_not_lost(agent):
    keys = [key(instance=i) for i in range(30)]
    for one in keys:
        agent.spawn(one, ["/bin/sleep", "1000"]).close()
        agent.send(signal=pb.Signal(key=one, signal=signal.SIGKILL, to_group=True))
    ended = set()
    while len(ended) < len(keys):
        data, _ = agent.channel.receive_bytes()
        message = pb.FromKeeper.FromString(data)
        if message.WhichOneof("body") == "exited":
            ended.add(message.exited.key.instance)


# ---- the store of descriptors ----


def test_stored_descriptor_outlives_the_agent(keeper, agent):
    reader, writer = os.pipe()
    agent.send([writer], put_fd=pb.PutFd(name="web/0/stdin"))
    os.close(writer)
    agent.sync()
    agent.kill()
    second_agent = keeper.agent()
    assert list(second_agent.welcome.stored_fds) == ["web/0/stdin"]
    second_agent.expect("proxy_started")
    second_agent.send(fetch_fd=pb.FetchFd(name="web/0/stdin"))
    stored, fds = second_agent.expect("stored_fd")
    assert stored == pb.StoredFd(name="web/0/stdin", found=True)
    os.write(fds[0], b"alive")
    assert os.read(reader, 5) == b"alive"


def test_dropped_descriptor_is_closed(agent):
    reader, writer = os.pipe()
    agent.send([writer], put_fd=pb.PutFd(name="a"))
    os.close(writer)
    agent.send(drop_fd=pb.DropFd(name="a"))
    assert os.read(reader, 1) == b""
    agent.send(fetch_fd=pb.FetchFd(name="a"))
    stored, fds = agent.expect("stored_fd")
    assert (stored.found, fds) == (False, [])


def test_stored_descriptor_does_not_reach_workers(agent):
    _, writer = os.pipe()
    agent.send([writer], put_fd=pb.PutFd(name="a"))
    assert len(agent.run(key(), ["/bin/ls", "/proc/self/fd"]).split()) == 4


def test_store_leaves_descriptors_for_messages_and_spawns(start):
    few = (512, 512)
    keeper = start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, few))
    agent = keeper.serve()
    for i in range(1000):
        agent.send([0], put_fd=pb.PutFd(name=str(i)))
    assert agent.run(key(), ["/bin/echo", "still"]) == b"still\n"
    assert "no room for descriptor" in keeper.log_text()
    agent.kill()
    assert 100 < len(keeper.agent().welcome.stored_fds) < 160


def test_spawns_leave_descriptors_for_messages(start):
    few = (400, 400)
    keeper = start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, few))
    agent = keeper.serve()
    for i in range(200):
        agent.spawn(key(instance=i), ["/bin/sleep", "1000"]).close()
    failed = set()
    for _ in range(200):
        data, _ = agent.channel.receive_bytes()
        message = pb.FromKeeper.FromString(data)
        if message.WhichOneof("body") == "spawn_failed":
            failed.add((message.spawn_failed.step, message.spawn_failed.error))
    assert failed == {("fork", errno.EMFILE)}


# ---- notes ----


def test_note_outlives_the_agent(keeper, agent):
    agent.send(put_state=pb.PutState(name="process:web/0/1", value=b"\0\xff"))
    agent.send(put_state=pb.PutState(name="gone", value=b"x"))
    agent.send(drop_state=pb.DropState(name="gone"))
    agent.sync()
    agent.kill()
    assert list(keeper.agent().welcome.states) == [
        pb.PutState(name="process:web/0/1", value=b"\0\xff")]


def test_notes_of_all_sizes_reach_the_next_agent_in_one_welcome(keeper, agent):
    notes = {str(i): b"x" * (64 << 10) for i in range(100)}
    for name, value in notes.items():
        agent.send(put_state=pb.PutState(name=name, value=value))
    agent.sync()
    agent.kill()
    assert {n.name: n.value for n in keeper.agent().welcome.states} == notes


def test_note_over_the_limit_is_refused_with_a_line(keeper, agent):
    agent.send(put_state=pb.PutState(name="big", value=b"x" * ((64 << 10) + 1)))
    agent.sync()
    assert "note 'big' is too long" in keeper.log_text()
    agent.kill()
    assert list(keeper.agent().welcome.states) == []


# ---- bad messages ----


def test_malformed_and_unknown_messages_are_ignored_and_counted(keeper, agent):
    agent.channel.send_bytes(b"\xff\xff\xff")
    agent.channel.send_bytes(b"")
    agent.channel.send_bytes(b"\xfa\x01\x00")  # A body from the future.
    agent.send(put_fd=pb.PutFd(name="without a descriptor"))
    agent.sync()
    assert keeper.log_text().count("ignored a message of apm-agent") == 3  # 1, 2, 4.


def test_broken_packet_costs_the_agent_its_channel_and_nothing_else(keeper, agent):
    spawned, *_pipes = start_waiting(agent)
    agent.channel.socket.send(b"\1")  # Promises a memfd.
    agent.kill()
    assert [r.pid for r in keeper.agent().welcome.running] == [spawned.pid]


def test_message_of_a_proxy_is_ignored(keeper, agent):
    keeper.proxy.channel.send_bytes(b"hello")
    keeper.proxy.kill()
    agent.expect("proxy_exited")
    assert "ignored a message of apm-proxy" in keeper.log_text()


# ---- orphans ----


def parent_of(pid):
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def test_orphan_of_a_worker_is_adopted_and_reaped_silently(keeper, agent):
    _, stdin, output = start_waiting(
        agent, script="(/bin/sh -c 'echo $$; exec /bin/sleep 1000' &) ; exec /bin/cat")
    orphan = int(output.readline())
    pidfd = os.pidfd_open(orphan)
    while parent_of(orphan) != keeper.pid:
        pass  # Its first parent is about to end.
    os.kill(orphan, signal.SIGKILL)
    assert pidfd_ended(pidfd)
    agent.sync()  # Nothing but the answer to this.
    with pytest.raises(FileNotFoundError):
        os.stat(f"/proc/{orphan}")
