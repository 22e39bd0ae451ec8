"""Fault points act in the chaos variants, and are nothing in what users get."""

import os

import pytest
from faults import VARIABLE, Board
from harness import BIN, Agent
from world import CHAOS_BIN

PROGRAMS = ("apm-agent", "apm-proxy", "apm-exec")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_variant_looks_for_a_board_and_the_product_does_not(program):
    assert VARIABLE.encode() in (CHAOS_BIN / program).read_bytes()
    assert VARIABLE.encode() not in (BIN / program).read_bytes()


@pytest.mark.parametrize("folder, visits", [(BIN, False), (CHAOS_BIN, True)], ids=["product", "variant"])
def test_only_variants_write_on_the_board(folder, visits):
    agent = Agent("worker { name sleeper; exec sleep; params 1000; }\n", bin_dir=folder)
    board = Board(agent.folder / "board")
    agent.env[VARIABLE] = str(board.path)
    board.trace()
    with agent:
        agent.ctl("start", "sleeper")
        programs = {name.split(".")[0] for name in board.stop_trace()}
    assert programs == ({"agent", "proxy", "exec"} if visits else set())
    board.close()
    assert not os.path.exists(board.path)
