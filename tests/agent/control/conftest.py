import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "testing"))
import fake_agent  # noqa: E402


@pytest.fixture(scope="session")
def programs():
    copies = fake_agent.Programs()
    yield copies
    copies.remove()
