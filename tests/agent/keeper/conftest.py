import signal

import pytest

from keeper_harness import DEADLINE_S, Keeper, temporary_folder


@pytest.fixture(autouse=True)
def deadline():
    """For reads of pipes, which have none of their own."""

    def give_up(*_):
        raise TimeoutError("the test waits in vain")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(DEADLINE_S)
    yield
    signal.alarm(0)


@pytest.fixture
def folder():
    with temporary_folder() as path:
        yield path


@pytest.fixture
def start(folder):
    """Starts keepers, and ends them after the test with their log shown."""
    started = []

    def start_keeper(*args, **kwargs):
        started.append(Keeper(folder, *args, **kwargs))
        return started[-1]

    yield start_keeper
    for keeper in started:
        keeper.close()
        print(keeper.log_text())


@pytest.fixture
def keeper(start):
    return start()


@pytest.fixture
def agent(keeper):
    return keeper.serve()
