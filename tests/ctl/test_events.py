"""apmctl events: listings, and following over the death of agents."""

import contextlib
import json
import os
import select
import signal
import subprocess

import pytest
from fake_agent import FakeAgent, new_socket, run_apmctl
from followers import follower_of, kill_9

GONE = "apmctl: the agent on '{}' went away; waiting for it to come back\n"
BACK = "apmctl: the agent is back\n"


def texts(output):
    """The texts of --output json."""
    return [json.loads(line)["text"] for line in output.splitlines()]


# ---- Listings ----


def test_events_are_lines_and_a_crash_has_its_last_words_below(apmctl):
    assert apmctl("events").stdout.splitlines() == [
        "2026-11-21T12:00:01.000+00:00 I - agent.started: version 9.8.7",
        "2026-11-21T12:00:01.000+00:00 I web/1 starting -> ready",
        "2026-11-21T12:00:01.000+00:00 E job/0 ready -> crashloop: exited with status 1",
        "    | (earlier lines: 2; see: --output json)",
        *(f"    | \\x1b[31mline {i}" for i in range(3, 13)),
        "2026-11-21T12:00:01.000+00:00 W web worker.scaled: instances 1 -> 2\\x0aforged",
    ]


def test_times_are_local(agent):
    result = agent.apmctl("events", "-n", "1", env={"TZ": "Fixed/UTC+02:00:00"})
    assert result.stdout.startswith("2026-11-21T14:00:01.000+02:00 ")


def test_events_as_json_are_an_object_a_line_with_everything(apmctl):
    events = [json.loads(line)
              for line in apmctl("events", "--output", "json").stdout.splitlines()]
    assert [event["cursor"] for event in events] == ["7:1", "7:2", "7:3", "7:4"]
    assert events[1] == {
        "cursor": "7:2", "time_unix_us": 1795262401000000, "type": "worker.state",
        "severity": "info", "worker": "web", "instance": 1, "generation": 3, "pid": 401,
        "from_state": "starting", "to_state": "ready", "text": "", "exit": None,
        "stderr_tail": []}
    assert events[2]["exit"] == {"code": 1, "signal": 0, "core_dumped": False,
                                 "max_rss_bytes": 1024000, "cpu_ms": 7}
    assert len(events[2]["stderr_tail"]) == 12


@pytest.mark.parametrize("arguments, cursors", [
    (["-n", "2"], ["7:3", "7:4"]),
    (["-n", "0"], []),
    (["web"], ["7:2", "7:4"]),
    (["web/1", "job"], ["7:2", "7:3"]),
    (["--after", "7:0"], ["7:1", "7:2", "7:3", "7:4"]),
    (["--after", "7:2"], ["7:3", "7:4"]),
    (["--after", "7:1", "-n", "1"], ["7:2"]),
    (["--after", "7:1", "-n", "1", "job"], ["7:3"]),
    (["--after", "7:4"], [])])
def test_listings_can_be_narrowed(apmctl, arguments, cursors):
    result = apmctl("events", "-o", "json", *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert [json.loads(line)["cursor"] for line in result.stdout.splitlines()] == cursors


def test_fifty_is_the_default(programs):
    with FakeAgent(programs, events="7:60") as agent:
        shown = texts(agent.apmctl("events", "-o", "json").stdout)
    assert shown == [f"event {i}" for i in range(11, 61)]


def test_many_come_page_by_page(programs):
    with FakeAgent(programs, events="7:2500") as agent:
        shown = texts(agent.apmctl("events", "-o", "json", "--after", "7:0").stdout)
    assert shown == [f"event {i}" for i in range(1, 2501)]


def test_an_empty_listing_says_so(apmctl):
    assert apmctl("events", "wbe").stdout == "no events of wbe\n"
    assert apmctl("events", "wbe", "-o", "json").stdout == ""


def test_a_cursor_of_another_life_is_an_error_with_the_next_step(apmctl):
    result = apmctl("events", "--after", "6:2")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == ("apmctl: the cursor 6:2 is of an earlier life of the daemon; "
                             "without --after the newest are shown: apmctl events\n")


@pytest.mark.parametrize("arguments", [
    ["--after", "7"], ["--after", "7:x"], ["--after", ":1"], ["-n", "10001"], ["-n", "-1"],
    ["-f", "--after", "7:1", "-n", "2"]])
def test_wrong_usage_is_2_and_names_the_help(apmctl, arguments):
    result = apmctl("events", *arguments)
    assert result.returncode == 2
    assert result.stderr.endswith("; see: apmctl events --help\n")


@pytest.mark.parametrize("arguments", [[], ["-f"], ["-f", "-n", "0"]])
def test_no_agent_is_4(programs, arguments):
    result = run_apmctl(programs.apmctl, new_socket(), "events", *arguments)
    assert result.returncode == 4
    assert "no agent answers" in result.stderr


# ---- Following ----


def next_texts(follower, count):
    """The texts of the next events."""
    return [json.loads(line)["text"] for line in follower.lines(count)]


def following(programs, socket, *arguments):
    return follower_of(programs, socket, "events", "-f", "-o", "json", *arguments)


def has_output(follower):
    return bool(select.select([follower.process.stdout], [], [], 0.05)[0])


def numbered(first, last):
    return [f"event {i}" for i in range(first, last + 1)]


@contextlib.contextmanager
def following_with_agent(programs, socket):
    with FakeAgent(programs, socket=socket, events="7:3") as agent:
        with following(programs, socket) as follower:
            assert next_texts(follower, 3) == numbered(1, 3)
            yield agent, follower


def test_a_follower_sees_the_last_and_then_what_happens(agent, programs):
    with following(programs, agent.socket, "-n", "1") as follower:
        assert next_texts(follower, 1) == ["instances 1 -> 2\nforged"]
        agent.apmctl("stop", "web")
        agent.apmctl("start", "web")
        assert next_texts(follower, 2) == ["as told", "as told"]
        assert follower.end() == ("", "")


def test_a_follower_may_want_only_what_is_new(programs):
    with FakeAgent(programs, events="7:3") as agent:
        with following(programs, agent.socket, "-n", "0") as follower:
            # There is nothing to see of when it watches: until then, repeat.
            taken = []
            while not taken:
                agent.apmctl("restart", "web")
                if has_output(follower):
                    taken = next_texts(follower, 1)
        assert taken == ["as told"]


def test_a_follower_of_one_worker_hears_nothing_of_others(agent, programs):
    with following(programs, agent.socket, "job") as follower:
        assert next_texts(follower, 1) == ["exited with status 1"]
        agent.apmctl("stop", "web")
        agent.apmctl("stop", "job")
        assert next_texts(follower, 1) == ["as told"]
        assert follower.end() == ("", "")


def test_a_follower_goes_on_from_a_cursor(programs):
    with FakeAgent(programs, events="7:2500") as agent:
        with following(programs, agent.socket, "--after", "7:10") as follower:
            assert next_texts(follower, 2490) == numbered(11, 2500)


def test_kill_9_of_the_agent_is_no_gap_and_nothing_comes_twice(programs):
    socket = new_socket()
    with following_with_agent(programs, socket) as (agent, follower):
        kill_9(agent)
        assert follower.said() == GONE.format(socket)
        with FakeAgent(programs, socket=socket, events="7:5") as second:
            assert next_texts(follower, 2) == numbered(4, 5)
            assert follower.said() == BACK
            kill_9(second)
        assert follower.said() == GONE.format(socket)
        with FakeAgent(programs, socket=socket, events="7:9"):
            assert next_texts(follower, 4) == numbered(6, 9)
            assert follower.said() == BACK
            assert follower.end() == ("", "")


def test_an_agent_that_stops_in_order_is_waited_for_too(programs):
    socket = new_socket()
    with following_with_agent(programs, socket) as (agent, follower):
        agent.__exit__()
        assert follower.said() == GONE.format(socket)
        with FakeAgent(programs, socket=socket, events="7:4"):
            assert next_texts(follower, 1) == ["event 4"]


def test_a_new_life_of_the_daemon_is_said_and_followed_from_its_beginning(programs):
    socket = new_socket()
    with following_with_agent(programs, socket) as (agent, follower):
        kill_9(agent)
        with FakeAgent(programs, socket=socket, events="8:2"):
            assert next_texts(follower, 2) == numbered(1, 2)
            assert follower.said() == GONE.format(socket)
            assert follower.said() == (
                "apmctl: events were missed: the cursor 7:3 is of an earlier life of the "
                "daemon; going on from the oldest that is kept\n")


def test_events_that_were_dropped_meanwhile_are_said_to_be_missed(programs):
    socket = new_socket()
    with following_with_agent(programs, socket) as (agent, follower):
        kill_9(agent)
        with FakeAgent(programs, socket=socket, events="7:10010"):
            assert next_texts(follower, 10_000) == numbered(11, 10_010)
            assert follower.said() == GONE.format(socket)
            assert "no longer kept, the oldest is 7:11; going on" in follower.said()


def test_a_foreign_cursor_does_not_keep_a_follower_from_following(programs):
    with FakeAgent(programs, events="7:2") as agent:
        with following(programs, agent.socket, "--after", "6:9") as follower:
            assert next_texts(follower, 2) == numbered(1, 2)
            assert "events were missed" in follower.said()


def test_ctrl_c_ends_it_quietly(agent, programs):
    with following(programs, agent.socket) as follower:
        next_texts(follower, 4)
        assert follower.end() == ("", "")
        # What a shell calls 130.
        assert follower.process.returncode == -signal.SIGINT


def test_ctrl_c_ends_the_waiting_too(programs):
    socket = new_socket()
    with following_with_agent(programs, socket) as (agent, follower):
        kill_9(agent)
        follower.said()
        assert follower.end() == ("", "")


def test_it_ends_quietly_when_nobody_reads_though_nothing_happens(agent, programs):
    with following(programs, agent.socket) as follower:
        next_texts(follower, 4)
        follower.process.stdout.close()
        assert follower.process.wait(timeout=10) == 0
        assert follower.process.stderr.read() == ""


def test_it_ends_quietly_when_nobody_reads_while_there_is_no_agent(programs):
    socket = new_socket()
    with following_with_agent(programs, socket) as (agent, follower):
        kill_9(agent)
        follower.said()
        follower.process.stdout.close()
        assert follower.process.wait(timeout=10) == 0


def test_a_listing_into_head_is_quiet(programs):
    with FakeAgent(programs, events="7:9000") as agent:
        result = subprocess.run(
            ["sh", "-c", f"'{programs.apmctl}' events -f -n 9000 | head -n 1"],
            env={**os.environ, "APM_SOCKET": agent.socket}, capture_output=True, text=True,
            timeout=20)
    assert result.stdout.count("\n") == 1
    assert result.stderr == ""
