"""apmctl logs: what was printed, and following over the death of agents."""

import datetime
import json
import os
import pty
import subprocess

import pytest
from fake_agent import FakeAgent, new_log, new_socket
from followers import follower_of, kill_9

GONE = "apmctl: the agent on '{}' went away; waiting for it to come back\n"
BACK = "apmctl: the agent is back\n"


def lines(result):
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.splitlines()


# ---- What was printed ----


def test_logs_show_instance_and_stream(apmctl):
    assert lines(apmctl("logs", "web")) == [
        "web/0 err | listening on \x1b[31mport 3000", "web/1 out | hello"]


@pytest.mark.parametrize("filters", [
    ["web/1"], ["web", "-n", "1"], ["web", "--stream", "out"], ["web", "--out"],
    ["web", "--grep", "^h.l+o$"], ["web", "--since", "2026-11-21T12:00:01Z"]])
def test_logs_can_be_narrowed(apmctl, filters):
    assert lines(apmctl("logs", *filters)) == ["web/1 out | hello"]


def test_err_is_the_other_stream(apmctl):
    assert lines(apmctl("logs", "web", "--err", "--raw")) == [
        "listening on \x1b[31mport 3000"]


def test_without_a_name_all_workers_are_shown_by_time(agent):
    other = agent.log.parent / "job.log"
    other.write_text("2026-11-21T12:00:00.500000Z out 0 between\n")
    assert lines(agent.apmctl("logs")) == [
        "web/0 err | listening on \x1b[31mport 3000", "job/0 out | between",
        "web/1 out | hello"]


def test_rotated_files_are_read_too(agent):
    agent.log.rename(f"{agent.log}.1")
    agent.log.write_text("2026-11-21T12:00:02.000000Z out 0 new\n")
    assert lines(agent.apmctl("logs", "web", "-n", "2", "--raw")) == ["hello", "new"]


def test_logs_with_timestamps(apmctl):
    assert lines(apmctl("logs", "web/1", "--timestamps")) == [
        "2026-11-21T12:00:01.000+00:00 web/1 out | hello"]


@pytest.mark.parametrize("option", [["-o", "json"], ["--json"]])
def test_logs_as_json_are_an_object_a_line(apmctl, option):
    [first, second] = lines(apmctl("logs", "web", *option))
    assert json.loads(second) == {"time_unix_us": 1795262401000000, "worker": "web",
                                  "instance": 1, "stream": "out", "text": "hello"}
    assert json.loads(first)["text"] == "listening on \x1b[31mport 3000"


def test_since_may_be_a_while_ago(agent):
    now = datetime.datetime.now(datetime.timezone.utc)
    with agent.log.open("a") as log:
        for ago, text in (3600, "old"), (60, "young"):
            time = now - datetime.timedelta(seconds=ago)
            log.write(f"{time:%Y-%m-%dT%H:%M:%S.%f}Z out 0 {text}\n")
    assert lines(agent.apmctl("logs", "web", "--since", "10m", "--raw")) == ["young"]


@pytest.mark.parametrize("arguments, reason", [
    (["--grep", "("], "bad regular expression '(': missing )"),
    (["--since", "yesterday"], "is no time"),
    (["--out", "--err"], "excludes"), (["--json", "--raw"], "excludes"),
    (["-n", "10001"], "10001"), (["-n", "0"], "--follow")])
def test_wrong_usage_is_2_and_says_why(apmctl, arguments, reason):
    result = apmctl("logs", "web", *arguments)
    assert result.returncode == 2
    assert reason in result.stderr


def test_a_worker_that_does_not_exist_is_3(apmctl):
    for follow in [], ["-f"]:
        assert apmctl("logs", "wbe", *follow).returncode == 3


def test_a_terminal_gets_colors_and_no_control_characters_of_workers(agent):
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0) as screen:
        result = subprocess.run(
            [agent.programs.apmctl, "--socket", agent.socket, "logs", "web", "-n", "2"],
            stdout=theirs, stderr=subprocess.PIPE, timeout=30,
            env={**os.environ, "TERM": "xterm", "NO_COLOR": ""})
        assert (result.returncode, result.stderr) == (0, b"")
        shown = screen.read(1000)
        os.close(theirs)
    assert b"\x1b[31merr\x1b[0m | listening on \\x1b[31mport 3000\r\n" in shown


# ---- Following ----


def following(programs, socket, *arguments):
    return follower_of(programs, socket, "logs", "-f", "--raw", *arguments)


def numbered(first, last):
    return [f"line {i}" for i in range(first, last + 1)]


def print_numbered(agent, first, last):
    agent.web_prints("".join(f"{line}\n" for line in numbered(first, last)))


def test_a_follower_sees_the_last_lines_then_what_is_printed(agent, programs):
    with following(programs, agent.socket, "web", "-n", "1") as follower:
        assert follower.lines(1) == ["hello"]
        print_numbered(agent, 1, 3)
        assert follower.lines(3) == numbered(1, 3)
        assert follower.end() == ("", "")


def test_a_follower_may_choose_lines(agent, programs):
    with following(programs, agent.socket, "--grep", "^hello$|2$", "-n", "1") as follower:
        assert follower.lines(1) == ["hello"]
        print_numbered(agent, 1, 12)
        assert follower.lines(2) == ["line 2", "line 12"]


def test_kill_9_of_the_agent_is_no_gap_and_no_line_comes_twice(programs):
    socket, log = new_socket(), new_log(programs.folder)
    with FakeAgent(programs, socket=socket, log=log) as agent:
        with following(programs, socket, "web") as follower:
            assert follower.lines(2)[1] == "hello"
            print_numbered(agent, 1, 3)
            assert follower.lines(3) == numbered(1, 3)
            kill_9(agent)
            assert follower.said() == GONE.format(socket)
            # What is printed while the agent is away, and a rotation.
            with log.open("a") as file:
                file.write("2026-11-21T12:00:02.000000Z out 0 line 4\n")
            log.rename(f"{log}.1")
            with FakeAgent(programs, socket=socket, log=log) as second:
                print_numbered(second, 5, 6)
                assert follower.lines(3) == numbered(4, 6)
                assert follower.said() == BACK
                assert follower.end() == ("", "")


def test_lines_that_are_gone_are_said_to_be_missing(programs):
    socket, log = new_socket(), new_log(programs.folder)
    with FakeAgent(programs, socket=socket, log=log) as agent:
        with following(programs, socket, "web") as follower:
            follower.lines(2)
            kill_9(agent)
            log.unlink()
            log.write_text("2026-11-21T12:00:02.000000Z out 0 line 9\n")
            with FakeAgent(programs, socket=socket, log=log):
                assert follower.lines(1) == ["line 9"]
                said = [follower.said() for _ in range(3)]
    assert "apmctl: lines of 'web' are missing: their file has been removed\n" in said


def test_it_ends_quietly_when_nobody_reads(agent, programs):
    with following(programs, agent.socket, "web") as follower:
        follower.lines(2)
        follower.process.stdout.close()
        assert follower.process.wait(timeout=10) == 0
        assert follower.process.stderr.read() == ""
