import pytest

from keeper_harness import Keeper, temporary_folder


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
