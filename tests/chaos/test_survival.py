"""The scenarios of survival, small; bench/survival runs them large."""

import pytest
import scenarios


def promised(figures):
    print(figures.title, figures.rows)
    assert not figures.wrong, "\n".join([figures.title, *figures.wrong])


def test_rolling_reloads_fail_no_request():
    promised(scenarios.rolling_reloads(4))


def test_live_scale_fails_no_request():
    promised(scenarios.live_scale(1))


def test_a_killed_agent_is_noticed_by_nobody():
    promised(scenarios.agent_kills(4))


def test_a_killed_proxy_breaks_its_open_connections_only():
    promised(scenarios.proxy_kills(4))


def test_a_keeper_is_replaced_unnoticed():
    promised(scenarios.keeper_upgrades(3))


@pytest.mark.parametrize("ending", scenarios.ENDINGS)
def test_a_worker_that_runs_away_is_caught(ending):
    promised(scenarios.escapee(ending))


def test_no_log_line_is_lost_in_a_rotation():
    promised(scenarios.log_lines(50_000, 8))


@pytest.mark.parametrize("with_workers", [False, True], ids=["services", "workers too"])
def test_all_is_as_before_when_everything_was_killed(with_workers):
    promised(scenarios.everything_killed(with_workers))
