"""apmctl commands that go on until they are ended."""

import contextlib
import signal
import subprocess


class Follower:
    def __init__(self, programs, socket, *command):
        self.process = subprocess.Popen([programs.apmctl, "--socket", socket, *command],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def lines(self, count):
        """The next lines on stdout."""
        return [self.process.stdout.readline().rstrip("\n") for _ in range(count)]

    def said(self):
        """The next line on stderr."""
        return self.process.stderr.readline()

    def end(self):
        """Ctrl-C; what it still printed and said."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=10)


@contextlib.contextmanager
def follower_of(programs, socket, *command):
    follower = Follower(programs, socket, *command)
    try:
        yield follower
    finally:
        follower.process.kill()
        follower.process.communicate()


def kill_9(agent):
    agent.process.kill()
    agent.process.wait()
