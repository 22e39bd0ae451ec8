import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "testing"))
import fake_agent  # noqa: E402


@pytest.fixture(scope="session")
def programs():
    copies = fake_agent.Programs()
    yield copies
    copies.remove()


@pytest.fixture
def agent(programs):
    with fake_agent.FakeAgent(programs) as running:
        yield running


@pytest.fixture
def apmctl(agent):
    return agent.apmctl
