"""What each command prints and returns."""

import json

import pytest


def lines(result):
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def parsed(result):
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


# ---- ping, status, version ----


def test_ping_tells_version_and_round_trip(apmctl):
    [line] = lines(apmctl("ping"))
    assert line.startswith("pong from apm 9.8.7 in ") and line.endswith(" ms")


def test_ping_as_json(apmctl):
    pong = parsed(apmctl("ping", "--output", "json"))
    assert pong["version"] == "9.8.7"
    assert isinstance(pong["round_trip_us"], int)


def test_status_shows_what_runs_and_what_is_wrong(agent, apmctl):
    shown = lines(apmctl("status"))
    assert shown[0] == (f"agent    version 9.8.7, pid {agent.process.pid}, up 5m 0s, "
                        "restarted 2 times")
    assert "proxy    not running" in shown
    assert "workers  4, 4 of 5 instances ready" in shown
    assert shown[-1] == "warning: the proxy does not run; it is being restarted"


def test_status_as_json(agent, apmctl):
    status = parsed(apmctl("status", "-o", "json"))
    assert status["running"] is True
    assert status["agent_pid"] == agent.process.pid
    assert status["config_files"] == ["/etc/apm.conf"]
    assert status["warnings"] == ["the proxy does not run; it is being restarted"]


def test_version_needs_no_agent(apmctl):
    assert apmctl("--socket", "@nobody-at-all", "version").stdout == "apmctl 0.1.0\n"


# ---- list, info ----


def test_list_is_a_table_with_troubles_below(apmctl):
    assert lines(apmctl("list")) == [
        "NAME    STATE      MODE   PID  UPTIME  RESTARTS   CPU   MEMORY  SERVERS",
        "broken  ready      plain  100  3m 12s         0  1.5%  45.3 MB  -",
        "job     crashloop  plain    -       -        10     -        -  -",
        "stuck   ready      plain  300  3m 12s         0  1.5%  45.3 MB  -",
        "web/0   ready      pipe   400  3m 12s         0  1.5%  45.3 MB  "
        "http://127.0.0.1:3000 http://unix:/run/web.sock",
        "web/1   ready      pipe   401  3m 12s         0  1.5%  45.3 MB  "
        "http://127.0.0.1:3000 http://unix:/run/web.sock",
        "",
        "job: crashloop: exited with status 1, 10 times in 5m; see: apmctl logs job",
    ]


def test_ls_is_list(apmctl):
    assert apmctl("ls").stdout == apmctl("list").stdout


def test_list_as_json_is_what_scripts_were_promised(apmctl):
    listing = parsed(apmctl("list", "--output", "json"))
    assert list(listing) == ["workers"]
    assert [worker["name"] for worker in listing["workers"]] == [
        "broken", "job", "stuck", "web"]
    assert listing["workers"][3] == {
        "name": "web", "state": "ready", "mode": "pipe", "source": "config",
        "servers": ["http://127.0.0.1:3000", "http://unix:/run/web.sock"],
        "overlays": [], "warnings": [],
        "instances": [
            {"index": 0, "id": 40, "pid": 400, "state": "ready", "restarts": 0,
             "uptime_ms": 192000, "cpu_percent": 1.5, "rss_bytes": 47500000},
            {"index": 1, "id": 41, "pid": 401, "state": "ready", "restarts": 0,
             "uptime_ms": 192000, "cpu_percent": 1.5, "rss_bytes": 47500000}]}


def test_what_does_not_run_has_zeros_in_json(apmctl):
    job = parsed(apmctl("list", "-o", "json"))["workers"][1]
    assert job["instances"][0] == {
        "index": 0, "id": 20, "pid": 0, "state": "crashloop", "restarts": 10,
        "uptime_ms": 0, "cpu_percent": 0, "rss_bytes": 0}


def test_an_empty_list_says_what_to_do(apmctl):
    assert apmctl("delete", "broken", "job", "stuck", "web").returncode == 0
    assert lines(apmctl("list")) == ["no workers; add one with: apmctl run PROGRAM"]


def test_info_as_json_adds_everything(apmctl):
    job = parsed(apmctl("info", "job", "--output", "json"))
    assert job["state"] == "crashloop"
    assert job["problem"] == "exited with status 1, 10 times in 5m"
    assert job["config"]["exec"] == "/usr/bin/env"
    assert job["config"]["stop_timeout_ms"] == 10000
    assert job["counters"]["requests"] == 0
    assert job["instances"][0]["next_retry_at"] == 1800000000000
    assert job["instances"][0]["last_exit"] == {
        "code": 1, "signal": 0, "at_unix_ms": 1700000000000,
        "text": "exited with status 1", "max_rss_bytes": 1024000, "cpu_ms": 0}


def test_info_of_what_never_exited_has_no_last_exit(apmctl):
    web = parsed(apmctl("info", "web", "-o", "json"))
    assert web["instances"][0]["last_exit"] is None
    assert web["config"]["env"] == {"GREETING": "hello"}
    assert web["counters"]["requests"] == 42


def test_info_shows_exits_and_the_next_try(apmctl):
    shown = lines(apmctl("info", "job"))
    assert "  last exit  exited with status 1, 2023-11-14 22:13:20" in shown
    assert "  next try   2027-01-15 08:00:00" in shown


# ---- start, stop, restart, reload, delete ----


@pytest.mark.parametrize("verb, outcome", [
    ("start", "web: ready, pid 400 401"), ("restart", "web: ready, pid 400 401"),
    ("reload", "web: ready, pid 400 401"), ("stop", "web: stopped")])
def test_verbs_answer_with_the_state_reached(apmctl, verb, outcome):
    assert lines(apmctl(verb, "web")) == [outcome]


def test_verbs_take_several_names_and_instances(apmctl):
    assert lines(apmctl("stop", "web/0", "job")) == ["web: stopped", "job: stopped"]


def test_a_worker_that_does_not_answer_holds_up_none_of_the_others(apmctl):
    result = apmctl("stop", "stuck", "web", "job", "--timeout", "2s")
    assert result.stdout == "web: stopped\njob: stopped\n"
    assert result.returncode == 7
    assert "no answer within 2s" in result.stderr


def test_verbs_as_json_answer_like_list(apmctl):
    answer = parsed(apmctl("stop", "web", "job", "-o", "json"))
    assert [(w["name"], w["state"]) for w in answer["workers"]] == [
        ("web", "stopped"), ("job", "stopped")]


def test_what_commands_changed_is_shown_against_the_configuration(apmctl):
    apmctl("stop", "web")
    assert lines(apmctl("list"))[-1] == (
        "web: changed by command: stopped; undo with: apmctl config apply")
    assert "by command  stopped" in lines(apmctl("info", "web"))
    assert parsed(apmctl("list", "-o", "json"))["workers"][3]["overlays"] == ["stopped"]


def test_a_worker_without_configuration_has_nothing_to_differ_from(apmctl):
    apmctl("stop", "stuck", "--timeout", "50ms")
    apmctl("stop", "job")
    assert "changed by command" not in apmctl("list").stdout
    assert "by command  stopped" in lines(apmctl("info", "job"))


def test_delete_says_what_had_to_be_killed(apmctl):
    assert lines(apmctl("delete", "job")) == [
        "job: deleted", "job/0 (pid 12) did not stop and was killed"]
    assert apmctl("info", "job").returncode == 3


def test_delete_as_json(apmctl):
    assert parsed(apmctl("delete", "job", "-o", "json")) == {
        "deleted": ["job"], "survivors": ["job/0 (pid 12)"]}


# ---- scale ----


@pytest.mark.parametrize("words, pids", [
    (["web", "4"], "400 401 402 403"), (["web=1"], "400"), (["web", "+1"], "400 401 402"),
    (["web", "-1"], "400"), (["web=-1"], "400"), (["--no-wait", "web=+1"], "400 401 402")])
def test_scale_takes_a_number_or_a_difference(apmctl, words, pids):
    assert lines(apmctl("scale", *words)) == [f"web: ready, pid {pids}"]


def test_scale_as_json_answers_like_list(apmctl):
    [worker] = parsed(apmctl("scale", "web", "3", "-o", "json"))["workers"]
    assert len(worker["instances"]) == 3
    assert worker["overlays"] == ["instances 2 -> 3"]


@pytest.mark.parametrize("words, reason", [
    (["web", "0"], "'web' cannot have 0 instances; stop it instead: apmctl stop web"),
    (["web", "-2"], "'web' has 2 instances, of which one must stay; stop it instead: "
                    "apmctl stop web"),
    (["web", "1025"], "'web' cannot have 1025 instances; the limit of a worker is 1024"),
    (["web", "5000000000"], "5000000000 instances are too many"),
    (["web/0", "2"], "'web/0' is one instance; it is its worker that has a number of them: "
                     "apmctl scale web 2")])
def test_scale_refuses_numbers_that_cannot_be(apmctl, words, reason):
    result = apmctl("scale", *words)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"apmctl: {reason}\n"


def test_scale_says_why_it_failed(apmctl):
    result = apmctl("scale", "broken", "2")
    assert result.returncode == 1
    assert "did not get ready" in result.stderr
    assert apmctl("scale", "nope", "+1").returncode == 3


# ---- config apply ----

TABLE = [
    "WORKER  ACTION   WHAT",
    "api     create",
    "old     orphan   gone from the files; --prune deletes it",
    "web     rolling  exec '/a' -> '/b', instances 2 -> 4",
]
WARNING = "warning: /etc/apm.conf:9:1: 'log' is on twice\n"


@pytest.fixture
def agreeing(apmctl):
    """An agent where no change fails."""
    apmctl("delete", "broken")
    return apmctl


def test_apply_shows_the_plan_and_what_became_of_it(agreeing):
    result = agreeing("config", "apply")
    assert lines(result) == TABLE + ["applied 2 changes"]
    assert result.stderr == WARNING


def test_apply_with_nothing_to_do_says_so(agreeing):
    agreeing("config", "apply")
    assert lines(agreeing("config", "apply")) == [
        "nothing to do: the workers agree with the configuration"]


def test_a_dry_run_changes_nothing(agreeing):
    for _ in range(2):
        result = agreeing("config", "apply", "--dry-run")
        assert lines(result) == TABLE
        assert result.stderr == WARNING


def test_pruning_deletes_what_is_gone(agreeing):
    assert lines(agreeing("config", "apply", "--prune"))[2:] == [
        "old     delete", TABLE[3], "applied 3 changes"]


def test_a_change_that_fails_is_named_and_makes_it_1(apmctl):
    result = apmctl("config", "apply")
    assert result.returncode == 1
    assert result.stdout.splitlines()[-1] == "applied 2 of 3 changes"
    assert result.stderr == WARNING + "apmctl: broken: the disk is full\n"


def test_files_with_errors_change_nothing(apmctl):
    apmctl("run", "/bin/true", "--name", "invalid")
    result = apmctl("config", "apply")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "apmctl: /etc/apm.conf:3:5: error: 'exec' is missing\n"


def test_apply_as_json(agreeing):
    answer = parsed(agreeing("config", "apply", "-o", "json"))
    assert answer["changes"][2] == {
        "worker": "web", "action": "rolling",
        "fields": ["exec '/a' -> '/b'", "instances 2 -> 4"], "error": ""}
    assert answer["warnings"] == ["/etc/apm.conf:9:1: 'log' is on twice"]
    assert parsed(agreeing("config", "apply", "-o", "json"))["changes"] == []


def test_apply_as_json_fails_with_the_change(apmctl):
    result = apmctl("config", "apply", "-o", "json")
    assert result.returncode == 1
    assert json.loads(result.stdout)["changes"][3]["error"] == "the disk is full"


# ---- upgrade, save, resurrect ----


def test_upgrade_tells_what_runs_now_and_what_was_kept(apmctl):
    assert lines(apmctl("upgrade", "--keeper")) == [
        "keeper: version 9.8.8, pid 7; kept 5 processes and 12 descriptors"]


def test_upgrade_as_json(apmctl):
    assert parsed(apmctl("upgrade", "--keeper", "-o", "json")) == {
        "keeper_version": "9.8.8", "keeper_pid": 7, "processes_kept": 5,
        "descriptors_kept": 12}


def test_save_and_resurrect_need_neither_work_nor_agent(apmctl):
    for verb, reason in (("save", "nothing to save: "),
                         ("resurrect", "nothing to bring back: ")):
        [line] = lines(apmctl("--socket", "@nobody-at-all", verb))
        assert line.startswith(reason)
        answer = parsed(apmctl("--socket", "@nobody-at-all", verb, "-o", "json"))
        assert answer == {"needed": False, "reason": line}


# ---- run ----


def test_run_sends_what_the_caller_means(apmctl, tmp_path):
    (tmp_path / "server.py").touch()
    assert lines(apmctl(
        "run", "./server.py", "--server", "127.0.0.1:8080", "--listen", "./s.sock",
        "-i", "3", "--env", "A=1", "--env", "B=x=y", "--restart", "on-failure",
        "--trust-proxy", "--access-log", "--stop-timeout", "2s", "--", "--verbose", "now",
        cwd=tmp_path)) == ["server: ready, pid 500 501 502"]
    config = parsed(apmctl("info", "server", "-o", "json"))["config"]
    assert config["exec"].endswith("/python3")
    assert config["params"] == [str(tmp_path / "server.py"), "--verbose", "now"]
    assert config["path"] == str(tmp_path)
    assert config["env"] == {"A": "1", "B": "x=y"}
    assert config["servers"] == [
        "http://127.0.0.1:8080", f"http://unix:{tmp_path}/s.sock"]
    assert (config["instances"], config["restart"]) == (3, "on-failure")
    assert (config["trust_proxy"], config["stop_timeout_ms"]) == (True, 2000)
    assert config["access_log"] is True


def test_run_takes_a_folder_and_a_name(apmctl, tmp_path):
    (tmp_path / "below").mkdir()
    assert lines(apmctl("run", "sleep", "1", "--name", "nap", "--cwd", "below",
                        cwd=tmp_path)) == ["nap: ready, pid 500"]
    config = parsed(apmctl("info", "nap", "-o", "json"))["config"]
    assert config["path"] == str(tmp_path / "below")
    assert config["params"] == ["1"]


def test_run_refuses_a_name_that_is_taken(apmctl):
    result = apmctl("run", "/bin/true", "--name", "web")
    assert result.returncode == 1
    assert result.stderr == "apmctl: there is a worker 'web' already\n"


@pytest.mark.parametrize("program, reason", [
    ("/", "is a folder"), ("./nothing.py", "No such file or directory"),
    ("no-such-program", "is not in PATH"), ("/etc/passwd", "may not be executed")])
def test_run_says_why_a_program_is_none(apmctl, program, reason):
    result = apmctl("run", program)
    assert result.returncode == 1
    assert reason in result.stderr


# ---- kill ----


def test_kill_waits_until_all_is_gone(agent, apmctl):
    assert lines(apmctl("kill")) == [
        "stopped 4 workers and the agent",
        "stuck/0 (pid 300) did not stop and was killed"]
    assert agent.process.wait(timeout=10) == 0
    assert apmctl("kill").returncode == 4


def test_kill_as_json(apmctl):
    assert parsed(apmctl("kill", "-o", "json")) == {
        "workers_stopped": 4, "survivors": ["stuck/0 (pid 300)"]}
