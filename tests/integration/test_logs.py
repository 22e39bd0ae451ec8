"""Workers' logs end to end: every line, over rotations, to whoever follows.

APM_LOG_LINES=1000000 for the full size.
"""

import os
import re
import signal
import stat
import subprocess

from blocks import plain
from harness import Agent

LINES = int(os.environ.get("APM_LOG_LINES", "200000"))

STORED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z out 0 (\S+)\n")


class Follower:
    """A running `apmctl logs -f --raw`."""

    def __init__(self, agent, *arguments):
        self.process = subprocess.Popen(
            [agent.bin / "apmctl", "--socket", agent.socket, "logs", "-f", "--raw", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def take(self, count):
        return [self.process.stdout.readline().rstrip("\n") for _ in range(count)]


def printer(name, log=""):
    """Prints `ready`, waits for somebody to write to NAME.go, counts to LINES."""
    return plain(name, f"echo ready; read go < {name}.go; seq {LINES}; exec sleep 1000",
                 extra=f"path {{folder}}; {log}")


def go(agent, name):
    with open(agent.folder / f"{name}.go", "w") as fifo:
        fifo.write("go\n")


def agent_with(*workers):
    agent = Agent()
    agent.config.write_text("".join(workers).replace("{folder}", str(agent.folder)))
    for name in "one", "two":
        os.mkfifo(agent.folder / f"{name}.go")
    return agent


def numbers(first, last):
    return [str(number) for number in range(first, last + 1)]


def test_a_follower_sees_every_line_over_rotations_that_remove_files():
    # A line has about 41 bytes in the file: some 40 rotations, of which 5 stay.
    size = max(LINES // 1000, 64)
    with agent_with(printer("one", f"log rotate size={size}k keep=5;")) as agent:
        with Follower(agent, "one") as follower:
            assert follower.take(1) == ["ready"]
            go(agent, "one")
            assert follower.take(LINES) == numbers(1, LINES)
        folder = agent.state / "logs"
        files = [folder / name for name in
                 ("one.log.5", "one.log.4", "one.log.3", "one.log.2", "one.log.1", "one.log")]
        assert sorted(files) == sorted(folder.iterdir())
        assert all(stat.S_IMODE(file.stat().st_mode) & 0o137 == 0 for file in files)
        assert all(file.stat().st_size <= size * 1024 for file in files)
        kept = []
        for file in files:
            for line in file.open():
                kept.append(STORED.fullmatch(line).group(1))
        assert kept == numbers(LINES - len(kept) + 1, LINES)
        assert agent.info("one")["counters"]["log_lines_dropped"] == 0


def test_a_follower_misses_nothing_when_the_agent_is_killed():
    with agent_with(printer("one", "log rotate size=1M keep=100;")) as agent:
        with Follower(agent, "one") as follower:
            assert follower.take(1) == ["ready"]
            before = agent.ctl("status", "--output", "json").json
            os.kill(before["agent_pid"], signal.SIGKILL)
            assert "went away" in follower.process.stderr.readline()
            go(agent, "one")  # Nobody reads its pipe for now.
            assert follower.take(LINES) == numbers(1, LINES)
            assert "is back" in follower.process.stderr.readline()


def test_several_workers_are_followed_at_once():
    with agent_with(printer("one"), printer("two", "log format json;")) as agent:
        with Follower(agent, "--grep", "^ready$|99$") as follower:
            assert follower.take(2) == ["ready", "ready"]
            go(agent, "one")
            go(agent, "two")
            expected = [number for number in numbers(1, LINES) if number.endswith("99")]
            assert sorted(follower.take(2 * len(expected))) == sorted(2 * expected)


def test_a_rate_limit_says_how_many_lines_it_dropped():
    with agent_with(printer("one", "log rate 1000/1s;")) as agent:
        with Follower(agent, "one", "--err", "-n", "1") as follower:
            go(agent, "one")
            [line] = follower.take(1)
        match = re.fullmatch(r"\[apm\] (\d+) lines? dropped: more than 1000 in 1s", line)
        assert 0 < int(match.group(1)) <= agent.info("one")["counters"]["log_lines_dropped"]
