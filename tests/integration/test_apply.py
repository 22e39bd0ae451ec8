"""What `apmctl config apply` changes, and what it leaves alone."""

import socket

from blocks import node, plain
from harness import Agent
from load import Load


def apply(agent, text, *options):
    """Returns {worker: action}; every change has to succeed."""
    agent.config.write_text(text)
    answer = agent.ctl("config", "apply", *options, "--output", "json").json
    assert [change["error"] for change in answer["changes"]] == [""] * len(answer["changes"])
    return {change["worker"]: change["action"] for change in answer["changes"]}


def test_a_new_worker_is_started_and_an_apply_twice_does_nothing():
    with Agent() as agent:
        assert apply(agent, node("web", extra="instances 2;")) == {"web": "create"}
        assert agent.worker("web")["source"] == "config"
        assert agent.worker("web")["state"] == "ready"
        assert agent.http("web")[0] == 200
        before = agent.pids("web")
        again = agent.ctl("config", "apply")
        assert again.out == "nothing to do: the workers agree with the configuration\n"
        assert agent.pids("web") == before


def test_what_no_process_has_to_learn_is_updated_in_place():
    with Agent(node("web")) as agent:
        agent.ctl("start", "web")
        before = agent.pids("web")
        changed = node("web", extra="stop_timeout 3s; restart on-failure; trust_proxy true; log rate 9/1s;")
        assert apply(agent, changed) == {"web": "update"}
        assert agent.pids("web") == before
        config = agent.info("web")["config"]
        assert (config["stop_timeout_ms"], config["restart"], config["trust_proxy"]) == (3000, "on-failure", True)
        assert agent.http("web")[0] == 200


def test_what_a_process_learns_at_its_start_is_rolled_out_without_a_failed_request():
    with Agent(node("web", extra="instances 2;")) as agent:
        agent.ctl("start", "web")
        before = agent.pids("web")
        with Load(agent.address("web"), rate=200, connections=8) as load:
            load.wait_for(50)
            assert apply(agent, node("web", extra="instances 2; env GREETING hello;")) == {"web": "rolling"}
            load.wait_for(50)
        assert load.failed == 0, load.summary()
        after = agent.pids("web")
        assert len(after) == 2 and not set(before) & set(after)
        assert agent.info("web")["config"]["env"] == {"GREETING": "hello"}


def test_a_server_comes_and_goes_while_the_others_stay():
    with Agent(node("web")) as agent:
        agent.ctl("start", "web")
        place = agent.address("web")
        before = agent.pids("web")
        path = agent.folder / "web.sock"
        with agent.client("web") as client:
            def ask():
                client.request("GET", "/")
                answer = client.getresponse()
                answer.read()
                return answer.status

            assert ask() == 200
            two = node("web", server=f"http://127.0.0.1:0 http://unix:{path}")
            assert apply(agent, two) == {"web": "update"}
            assert agent.address("web", 0) == place
            assert agent.http("web", index=1)[0] == 200
            assert ask() == 200
            assert apply(agent, node("web")) == {"web": "update"}
            assert agent.worker("web")["servers"] == [f"http://{place[0]}:{place[1]}"]
            assert not path.exists()
            assert ask() == 200
        assert agent.http("web")[0] == 200
        assert agent.pids("web") == before


def test_instances_come_and_go_while_the_others_stay():
    with Agent(node("web")) as agent:
        agent.ctl("start", "web")
        first = agent.pids("web")
        assert apply(agent, node("web", extra="instances 3;")) == {"web": "update"}
        three = agent.pids("web")
        assert three[:1] == first and len(three) == 3 and 0 not in three
        assert apply(agent, node("web", extra="instances 2;")) == {"web": "update"}
        assert agent.pids("web") == three[:2]
        assert agent.http("web")[0] == 200


def test_an_instance_that_is_not_wanted_any_more_is_not_replaced_first():
    with Agent(node("web", extra="instances 2;")) as agent:
        agent.ctl("start", "web")
        assert apply(agent, node("web", extra="env A 1;")) == {"web": "rolling"}
        assert len(agent.pids("web")) == 1
        starts = [line for line in agent.ctl("events", "web/1").out.splitlines() if "stopped -> starting" in line]
        assert len(starts) == 1


def test_an_orphan_runs_on_until_it_is_pruned():
    with Agent(node("web") + node("old")) as agent:
        agent.ctl("start", "web", "old")
        before = agent.pids("old")
        assert apply(agent, node("web")) == {"old": "orphan"}
        assert agent.pids("old") == before
        assert agent.http("old")[0] == 200
        assert apply(agent, node("web"), "--prune") == {"old": "delete"}
        assert list(agent.workers()) == ["web"]
        # For good: its name is free again.
        assert apply(agent, node("web") + node("old")) == {"old": "create"}


def test_a_dry_run_changes_nothing():
    with Agent(node("web")) as agent:
        agent.ctl("start", "web")
        before = agent.pids("web")
        assert apply(agent, node("web", extra="env A 1;") + node("new"), "--dry-run") == {
            "new": "create", "web": "rolling"}
        assert list(agent.workers()) == ["web"]
        assert agent.pids("web") == before


def test_files_with_errors_change_nothing():
    with Agent(node("web")) as agent:
        agent.ctl("start", "web")
        before = agent.workers()["web"]["servers"], agent.pids("web")
        agent.config.write_text(node("web", extra="env A 1;") + node("new") + "worker {\n  name x;\n  exce y;\n}\n")
        failed = agent.ctl("config", "apply", check=False)
        assert failed.code == 1
        assert failed.out == ""
        assert f"{agent.config}:5:3: error: " in failed.err
        assert "nothing was changed" in failed.err
        assert list(agent.workers()) == ["web"]
        assert (agent.worker("web")["servers"], agent.pids("web")) == before


def test_a_port_that_is_taken_changes_nothing_and_names_the_holder():
    with socket.socket() as holder, Agent(node("web")) as agent:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        agent.ctl("start", "web")
        before = agent.worker("web")["servers"], agent.pids("web")
        taken = node("taken", server=f"http://127.0.0.1:{port}")
        agent.config.write_text(node("web", extra="env A 1;") + node("new") + taken)
        failed = agent.ctl("config", "apply", check=False)
        assert failed.code == 1
        assert f"127.0.0.1:{port} is in use by " in failed.err
        assert "nothing was changed" in failed.err
        assert list(agent.workers()) == ["web"]
        assert (agent.worker("web")["servers"], agent.pids("web")) == before
        holder.close()
        agent.ctl("config", "apply")
        assert agent.http("taken")[0] == 200


def test_what_commands_changed_is_undone():
    with Agent(node("a") + node("b", extra="instances 2;") + node("c") + node("d")) as agent:
        agent.ctl("start", "a", "b", "c", "d")
        agent.ctl("stop", "a", "b/1")
        agent.ctl("scale", "c", "3")
        agent.ctl("delete", "d")
        assert apply(agent, agent.config.read_text()) == {
            "a": "overlay", "b": "overlay", "c": "overlay", "d": "overlay"}
        workers = agent.workers()
        assert {name: worker["overlays"] for name, worker in workers.items()} == {"a": [], "b": [], "c": [], "d": []}
        assert {name: [instance["state"] for instance in worker["instances"]] for name, worker in workers.items()} == {
            "a": ["ready"], "b": ["ready", "ready"], "c": ["ready"], "d": ["ready"]}


def test_a_worker_gets_servers_and_loses_them():
    with Agent(plain("web", "exec sleep 1000", "restart never;")) as agent:
        agent.ctl("start", "web")
        for stopped in False, True:
            if stopped:
                agent.ctl("stop", "web")
            assert apply(agent, node("web")) == {"web": "update" if stopped else "rolling"}
            assert agent.worker("web")["mode"] == "pipe"
            assert agent.http("web")[0] == 200
            place = agent.address("web")
            if stopped:
                agent.ctl("stop", "web")
            assert apply(agent, plain("web", "exec sleep 1000")) == {"web": "update" if stopped else "rolling"}
            worker = agent.worker("web")
            assert (worker["mode"], worker["servers"], worker["state"]) == ("plain", [], "ready")
            with socket.socket() as probe:
                assert probe.connect_ex(place) != 0


def test_a_change_that_fails_is_named_and_the_others_are_made():
    with Agent(node("web") + node("other")) as agent:
        agent.ctl("start", "web", "other")
        before = agent.pids("web")
        broken = "worker { name web; exec /no/such/program; server http://127.0.0.1:0; }\n"
        agent.config.write_text(broken + node("other", extra="instances 2;"))
        failed = agent.ctl("config", "apply", check=False)
        assert failed.code == 1
        assert "apmctl: web: " in failed.err and "/no/such/program" in failed.err
        assert len(agent.pids("other")) == 2
        # Until the new one can be started the old one serves.
        assert agent.pids("web") == before
        assert agent.http("web")[0] == 200
        assert apply(agent, node("web") + node("other", extra="instances 2;")) != {}
        assert agent.http("web")[0] == 200
