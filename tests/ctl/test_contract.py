"""What holds for every command: exit codes, errors, waiting, colors."""

import os
import pathlib
import pty
import shutil
import subprocess
import threading

import pytest
from fake_agent import FakeAgent, new_socket, run_apmctl

DONE, FAILED, USAGE, NO_WORKER, NO_AGENT, DENIED, TIMED_OUT, PARTLY = range(8)


@pytest.mark.parametrize("command", [
    "info nope", "logs nope", "scale nope 2", "start nope", "delete nope", "stop nope nope"])
def test_an_unknown_worker_is_3_and_says_where_to_look(apmctl, command):
    result = apmctl(*command.split())
    assert result.returncode == NO_WORKER
    assert result.stdout == ""
    assert "apmctl: no worker 'nope'; look with: apmctl list\n" in result.stderr


def test_a_failed_operation_is_1_with_the_agents_reason(apmctl):
    result = apmctl("restart", "broken")
    assert result.returncode == FAILED
    assert result.stderr == ("apmctl: 'broken' did not get ready: exited with status 1; "
                             "see: apmctl logs broken\n")


def test_some_of_several_is_7(apmctl):
    result = apmctl("restart", "web", "nope", "broken")
    assert result.returncode == PARTLY
    assert result.stdout == "web: ready, pid 400 401\n"
    assert len(result.stderr.splitlines()) == 2


@pytest.mark.parametrize("arguments", [
    [], ["lst"], ["info"], ["run"], ["start"], ["list", "extra"], ["list", "--", "x"],
    ["list", "--output", "xml"], ["list", "--timeout", "soon"], ["list", "--timeout", "-1s"],
    ["run", "--env", "A", "x"], ["run", "x", "-i", "0"], ["logs", "web", "-n", "0"],
    ["logs", "web", "-n", "10001"], ["logs", "web", "--stream", "both"],
    ["run", "x", "--restart", "sometimes"], ["config"], ["scale", "web"], ["scale", "4"],
    ["scale", "web", "many"], ["scale", "web="], ["scale", "=4"], ["scale", "web", "4", "5"],
    ["upgrade"], ["config", "apply", "a.conf"], ["save", "x"]])
def test_wrong_usage_is_2_and_names_the_help(apmctl, arguments):
    result = apmctl(*arguments)
    assert result.returncode == USAGE
    assert result.stderr.startswith("apmctl: ")
    assert result.stderr.endswith("--help\n")


@pytest.mark.parametrize("arguments", [
    ["--help"], ["run", "--help"], ["scale", "--help"], ["config", "apply", "--help"],
    ["upgrade", "--help"]])
def test_help_is_an_answer(apmctl, arguments):
    result = apmctl(*arguments)
    assert result.returncode == DONE
    assert "Usage: apmctl" in result.stdout
    assert result.stderr == ""


# ---- No agent ----


@pytest.mark.parametrize("command", [
    "ping", "list", "info web", "stop web", "scale web 2", "config apply", "upgrade --keeper",
    "kill"])
def test_no_agent_is_4_and_says_how_to_start_one(programs, command):
    name = new_socket()
    result = run_apmctl(programs.apmctl, name, *command.split())
    assert result.returncode == NO_AGENT
    assert result.stderr == (f"apmctl: no agent answers on '{name}'; start one with: "
                             f"apm-keeper --socket {name}; where apm-keeper runs, "
                             "its log says why there is no agent\n")


def test_a_path_without_an_agent_is_4(programs, tmp_path):
    result = run_apmctl(programs.apmctl, str(tmp_path / "none.sock"), "list")
    assert result.returncode == NO_AGENT


def test_status_without_an_agent_is_an_answer_too(programs):
    result = run_apmctl(programs.apmctl, new_socket(), "status")
    assert (result.returncode, result.stdout) == (NO_AGENT, "not running\n")
    name = new_socket()
    result = run_apmctl(programs.apmctl, name, "status", "-o", "json")
    assert result.stdout == f'{{"running":false,"socket":"{name}"}}\n'


@pytest.mark.parametrize("words, line", [
    (["explode"], "apmctl: no command 'explode'; see: apmctl --help"),
    ([], "apmctl: a command is missing; see: apmctl --help"),
    (["config"], "apmctl: a command is missing; see: apmctl config --help"),
    (["stop"], "apmctl: NAME is required; see: apmctl stop --help"),
    (["run", "sleep", "-i", "0"], "apmctl: --instances: '0' is less than 1; see: apmctl run --help"),
])
def test_wrong_usage_says_what_is_wrong(programs, words, line):
    result = run_apmctl(programs.apmctl, new_socket(), *words)
    assert (result.returncode, result.stderr) == (USAGE, line + "\n")


def test_the_last_of_two_options_counts(programs):
    result = run_apmctl(programs.apmctl, new_socket(), "--timeout", "1s", "--timeout", "2s", "--version")
    assert (result.returncode, result.stdout[:7]) == (DONE, "apmctl ")


def test_a_bad_socket_name_is_refused(programs):
    result = run_apmctl(programs.apmctl, "relative.sock", "list")
    assert result.returncode == USAGE
    assert "write @NAME or an absolute path" in result.stderr


def test_what_is_no_socket_is_named(programs, tmp_path):
    result = run_apmctl(programs.apmctl, str(tmp_path), "list")
    assert result.returncode == NO_AGENT
    assert f"'{tmp_path}' is not a socket" in result.stderr


def test_the_option_goes_before_the_environment(agent, programs):
    result = run_apmctl(programs.apmctl, new_socket(), "ping", "--socket", agent.socket)
    assert result.returncode == DONE


def test_an_agent_may_listen_on_a_path(programs, tmp_path):
    with FakeAgent(programs, socket=str(tmp_path / "control.sock")) as agent:
        assert agent.apmctl("ping").returncode == DONE
    assert not (tmp_path / "control.sock").exists()


# ---- Time ----


def test_a_call_that_takes_too_long_is_6(apmctl):
    result = apmctl("--timeout", "200ms", "restart", "stuck")
    assert result.returncode == TIMED_OUT
    assert result.stderr.startswith("apmctl: no answer within 200ms; ")


def test_ping_waits_for_an_agent_to_appear(programs):
    name = new_socket()
    waiting = subprocess.Popen(
        [programs.apmctl, "--socket", name, "ping", "--wait", "20s"],
        stdout=subprocess.PIPE, text=True)
    with FakeAgent(programs, socket=name):
        output, _ = waiting.communicate(timeout=20)
    assert waiting.returncode == DONE
    assert output.startswith("pong")


def test_ping_does_not_wait_for_ever(programs):
    result = run_apmctl(programs.apmctl, new_socket(), "ping", "--wait", "50ms")
    assert result.returncode == NO_AGENT


# ---- An agent that dies ----

GONE = "went away before it answered; see the state with: "


@pytest.fixture
def doomed(agent):
    """An agent with a worker that kills it."""
    assert agent.apmctl("run", "/bin/true", "--name", "fatal").returncode == DONE
    return agent


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "reload"])
def test_what_became_of_a_command_is_for_the_user_to_see(doomed, verb):
    result = doomed.apmctl(verb, "fatal/0")
    assert result.returncode == NO_AGENT
    assert result.stderr == (f"apmctl: the agent on '{doomed.socket}' {GONE}"
                             "apmctl info fatal\n")


def test_a_scale_that_is_interrupted_says_where_to_look(doomed):
    result = doomed.apmctl("scale", "fatal", "2")
    assert result.returncode == NO_AGENT
    assert result.stderr.endswith(GONE + "apmctl info fatal\n")


def test_a_question_is_asked_again_of_the_next_agent(doomed):
    successors = []

    def succeed():
        doomed.process.wait()
        successors.append(FakeAgent(doomed.programs, socket=doomed.socket))

    keeper = threading.Thread(target=succeed)
    keeper.start()
    result = doomed.apmctl("info", "fatal")
    keeper.join()
    with successors[0]:
        assert result.stderr == "apmctl: no worker 'fatal'; look with: apmctl list\n"
        assert result.returncode == NO_WORKER


def test_a_question_without_a_next_agent_is_4(doomed):
    result = doomed.apmctl("info", "fatal")
    assert result.returncode == NO_AGENT
    assert result.stderr.endswith(GONE + "apmctl status\n")


def test_a_command_waits_for_an_agent_that_is_about_to_come(programs):
    name = new_socket()
    waiting = subprocess.Popen(
        [programs.apmctl, "--socket", name, "stop", "web"], stdout=subprocess.PIPE, text=True)
    with FakeAgent(programs, socket=name):
        output, _ = waiting.communicate(timeout=20)
    assert (waiting.returncode, output) == (DONE, "web: stopped\n")


# ---- Warnings and hints ----


def test_warnings_are_no_failure_and_not_part_of_the_answer(apmctl):
    warning = "warning: unsaved: it is not stored\n"
    result = apmctl("run", "/bin/true", "--name", "unsaved")
    assert (result.returncode, result.stderr) == (DONE, warning)
    for command in ("stop unsaved", "scale unsaved 2", "info unsaved", "list", "list -o json"):
        result = apmctl(*command.split())
        assert (result.returncode, result.stderr) == (DONE, warning)
        assert warning not in result.stdout


def hints(agent, *arguments):
    """What apmctl says when stderr is a terminal."""
    master, slave = pty.openpty()
    result = subprocess.run([agent.programs.apmctl, *arguments], stdout=subprocess.DEVNULL,
                            stderr=slave, env={"APM_SOCKET": agent.socket}, timeout=30)
    os.close(slave)
    assert result.returncode == DONE
    try:
        said = os.read(master, 4096).decode().replace("\r\n", "\n")
    except OSError:  # EIO: it was closed without a word.
        said = ""
    os.close(master)
    return said


@pytest.mark.parametrize("arguments, hint", [
    (["stop", "web"], "web stays stopped, over restarts too, until: apmctl start web, or "
                      "apmctl config apply"),
    (["scale", "web", "3"], "web keeps this number, over restarts too, until: "
                            "apmctl config apply"),
    (["delete", "web"], "web is still in the configuration (/etc/apm.conf): remove it there "
                        "too, or apmctl config apply brings it back")])
def test_a_person_is_told_how_long_a_change_lasts(agent, arguments, hint):
    assert hints(agent, *arguments) == f"hint: {hint}\n"


@pytest.mark.parametrize("arguments", [["stop", "job"], ["delete", "job"], ["start", "web"]])
def test_there_is_no_hint_where_nothing_can_undo_a_change(agent, arguments):
    assert hints(agent, *arguments) == ""


def test_scripts_get_no_hints(apmctl):
    assert apmctl("stop", "web").stderr == ""
    assert apmctl("delete", "web").stderr == ""


# ---- The terminal ----


def on_terminal(agent, *arguments, **env):
    """What apmctl prints when its output is a terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [agent.programs.apmctl, *arguments], stdout=slave,
        env={"APM_SOCKET": agent.socket, "TERM": "xterm", **env})
    os.close(slave)
    output = b""
    try:
        while chunk := os.read(master, 4096):
            output += chunk
    except OSError:  # EIO: the other side is closed.
        pass
    os.close(master)
    assert process.wait(timeout=10) == 0
    return output.decode()


def test_states_are_colored_on_a_terminal(agent):
    shown = on_terminal(agent, "list")
    assert "\x1b[32mready\x1b[0m" in shown
    assert "\x1b[31mcrashloop\x1b[0m" in shown


@pytest.mark.parametrize("arguments, env", [
    (["list", "--no-color"], {}), (["list"], {"NO_COLOR": "1"}),
    (["list"], {"TERM": "dumb"}), (["list", "-o", "json"], {})])
def test_colors_can_be_refused(agent, arguments, env):
    assert "\x1b" not in on_terminal(agent, *arguments, **env)


def test_there_are_no_colors_in_a_pipe(apmctl):
    for command in (["list"], ["info", "job"], ["status"], ["restart", "web"]):
        assert "\x1b" not in apmctl(*command).stdout


def test_a_workers_escape_sequences_do_not_reach_the_terminal(agent):
    assert "listening on \\x1b[31mport 3000" in on_terminal(agent, "logs", "web")


def test_output_that_cannot_be_written_is_a_failure(agent):
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [agent.programs.apmctl, "--socket", agent.socket, "list"], stdout=full)
    assert result.returncode == FAILED


# ---- config check, which is the agent's own parser ----


@pytest.fixture
def with_agent_beside(tmp_path, programs):
    """apmctl in a folder with an apm-agent that shows its arguments."""
    shutil.copy(programs.apmctl, tmp_path)
    stand_in = tmp_path / "apm-agent"
    stand_in.write_text('#!/bin/sh\necho "$@"\nexit 1\n')
    stand_in.chmod(0o755)
    return tmp_path


def check(folder, *arguments):
    return run_apmctl(pathlib.Path(folder) / "apmctl", "@unused", "config", "check",
                      *arguments)


def test_config_check_asks_the_agent_beside_it(with_agent_beside):
    result = check(with_agent_beside, "a.conf", "b.conf", "--strict")
    assert result.stdout == "--check-config a.conf b.conf --strict\n"
    assert result.returncode == 1


def test_config_check_without_that_agent_says_what_is_missing(with_agent_beside):
    (with_agent_beside / "apm-agent").unlink()
    result = check(with_agent_beside)
    assert result.returncode == FAILED
    assert "apmctl and apm-agent belong in one folder" in result.stderr
