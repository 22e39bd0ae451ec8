"""The promises of survival, each as a scenario with a size.

A scenario returns its Figures: rows for people, and what was wrong. The tests
run each small, bench/survival as large as they are promised.
"""

import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

import processes
from blocks import node
from forgery import WORD, Forgers, wait_until_echoed
from harness import WORKERS, Agent
from load import Load

RATE = 2000
CONNECTIONS = 32
NO_LIMIT = 1 << 40  # A scenario ends by itself.
OWN_WORKERS = pathlib.Path(__file__).resolve().parent / "workers"


@dataclasses.dataclass
class Figures:
    title: str
    rows: dict = dataclasses.field(default_factory=dict)
    wrong: list = dataclasses.field(default_factory=list)

    def expect(self, truth, text):
        if not truth:
            self.wrong.append(text)

    def count_load(self, load):
        summary = load.summary()
        self.rows |= {"requests": f"{summary['requests']:,} at {summary['per_second']:,} a second",
                      "failed": summary["failed"],
                      "p50 / p99 / worst, ms": f"{summary['p50_ms']} / {summary['p99_ms']} / {summary['worst_ms']}"}
        if summary["skipped"]:
            self.rows["not sent, for want of an idle connection"] = summary["skipped"]

    def expect_no_failure(self, load):
        self.count_load(load)
        self.expect(load.failed == 0, f"{load.failed} requests failed: {load.summary()['first_failures']}")


def load_on(agent, name="web", rate=RATE):
    return Load(agent.address(name), rate=rate, connections=CONNECTIONS, limit=NO_LIMIT)


def status(agent):
    return agent.ctl("status", "--output", "json").json


def kill_agent(agent):
    """SIGKILL; returns when the next one answers."""
    before = status(agent)
    os.kill(int(before["agent_pid"]), signal.SIGKILL)

    def next_one():
        answer = agent.ctl("status", "--output", "json", check=False)
        return answer.code == 0 and answer.json["agent_pid"] != before["agent_pid"]
    agent.wait_for(next_one, "the next agent")


def pids(agent, *names):
    listed = agent.workers()
    return {name: [instance["pid"] for instance in listed[name]["instances"]] for name in names or listed}


# ---- under load ----

def rolling_reloads(count, rate=RATE):
    figures = Figures(f"{count} rolling reloads of two Node instances")
    with Agent(node(extra="instances 2;")) as agent:
        agent.ctl("start", "web")
        with load_on(agent, rate=rate) as load:
            load.wait_for(200)
            began = time.monotonic()
            for _ in range(count):
                before = agent.pids("web")
                agent.ctl("reload", "web")
                figures.expect(not set(before) & set(agent.pids("web")), "a process outlived its reload")
            figures.rows["a reload takes, ms"] = round(1000 * (time.monotonic() - began) / count)
            load.wait_for(200)
    figures.expect_no_failure(load)
    return figures


def live_scale(rounds, rate=RATE):
    figures = Figures(f"live scale 1 -> 8 -> 2, {rounds} times")
    with Agent(node()) as agent:
        agent.ctl("start", "web")
        with load_on(agent, rate=rate) as load:
            load.wait_for(200)
            for _ in range(rounds):
                for instances in (8, 2, 1):
                    agent.ctl("scale", "web", instances)
                    now = agent.worker("web")
                    figures.expect(now["state"] == "ready" and len(now["instances"]) == instances,
                                   f"scaled to {instances}: {now['state']} with {len(now['instances'])}")
                    load.wait_for(200)
    figures.expect_no_failure(load)
    return figures


def agent_kills(count, rate=RATE):
    figures = Figures(f"SIGKILL of the agent, {count} times")
    config = node(extra="instances 2;") + 'worker { name plain; exec sleep; params 1000000; }\n'
    with Agent(config) as agent:
        agent.ctl("start", "web", "plain")
        before = pids(agent)
        with load_on(agent, rate=rate) as load:
            load.wait_for(200)
            for _ in range(count):
                kill_agent(agent)
                load.wait_for(rate)  # A second: one that dies young is started again later.
        after = pids(agent)
        restarts = [instance["restarts"] for worker in agent.workers().values() for instance in worker["instances"]]
    figures.expect_no_failure(load)
    figures.rows["worker pids"] = "unchanged" if after == before else f"{before} -> {after}"
    figures.expect(after == before, f"worker pids changed: {before} -> {after}")
    figures.expect(not any(restarts), f"restarts: {restarts}")
    return figures


def keeper_upgrades(count, rate=RATE):
    figures = Figures(f"keeper re-exec, {count} times")
    with Agent(node(extra="instances 2;")) as agent:
        agent.ctl("start", "web")
        before, services = pids(agent), status(agent)
        with load_on(agent, rate=rate) as load:
            load.wait_for(200)
            for _ in range(count):
                agent.ctl("upgrade", "--keeper")
                load.wait_for(200)
        after, now = pids(agent), status(agent)
        # What exits after it is still reaped and started again.
        os.kill(after["web"][0], signal.SIGKILL)
        agent.wait_for(lambda: agent.worker("web")["state"] == "ready" and agent.pids("web")[0] != after["web"][0],
                       "a new process after the re-exec")
    figures.expect_no_failure(load)
    for field in ("keeper_pid", "agent_pid", "proxy_pid"):
        figures.expect(services[field] == now[field], f"{field} was {services[field]}, is {now[field]}")
    figures.rows["pids of workers, keeper, agent, proxy"] = "unchanged" if not figures.wrong else "see wrong"
    figures.expect(after == before, f"worker pids changed: {before} -> {after}")
    return figures


def proxy_kills(count, rate=RATE):
    """Two workers: `web` under the load, `echo` under forged frames as well."""
    figures = Figures(f"SIGKILL of the proxy, {count} times")
    config = node(extra="instances 2;") + f"""
worker {{ name echo; exec node; params {OWN_WORKERS}/echo.js; server http://127.0.0.1:0; instances 2; }}
worker {{ name idle; exec node; params {WORKERS}/server.js; server http://127.0.0.1:0; }}
"""
    kills, gaps, torn = [], [], 0
    with Agent(config) as agent:
        agent.ctl("start", "web", "echo", "idle")
        before = pids(agent)
        idle = before["idle"]
        with load_on(agent, rate=rate) as load, Forgers(agent.address("echo")) as forgers:
            load.wait_for(200)
            for _ in range(count):
                wait_until_echoed(forgers, 2)
                old = status(agent)["proxy_pid"]
                kills.append(time.monotonic())
                os.kill(int(old), signal.SIGKILL)
                agent.wait_for(lambda: status(agent)["proxy_pid"] not in (0, old), "the next proxy")
                agent.wait_for(lambda: load.gap_after(kills[-1]), "an answer on a new connection")
                gaps.append(load.gap_after(kills[-1]))
                agent.wait_for(lambda: all(worker["state"] == "ready" for worker in agent.workers().values()), "ready workers")
                after = pids(agent)
                torn += sum(now != then for name in before for now, then in zip(after[name], before[name]))
                before = after
                wait_until_echoed(forgers, 2)
                load.wait_for(rate)  # As above.
        told = [agent.info(name) for name in before]
        logs = "".join(agent.logs(name, "-n", "10000") for name in ("web", "echo", "idle"))
    figures.count_load(load)
    unexpected = load.failures_not_open_at(kills)
    figures.rows |= {
        "failed on connections that were not open at the kill": len(unexpected),
        "service back on new connections, ms: worst": round(1000 * max(gaps)),
        "likewise, median": round(1000 * sorted(gaps)[len(gaps) // 2]),
        "instances": f"{sum(map(len, before.values()))}, and of these recycled for a torn link: {torn} in all",
        "bodies of forged frames echoed": forgers.echoed,
        "of them cut by a kill": forgers.broken,
        "late frames dropped": sum(worker["counters"]["late_frames"] for worker in told),
        "frames not understood": sum(worker["counters"]["frames_bad"] for worker in told),
    }
    connectors = {instance["connector"] for worker in told for instance in worker["instances"]}
    figures.expect(not unexpected, f"failed though their connection was not open at a kill: {unexpected[:5]}")
    figures.expect(max(gaps) < 1, f"service was back only after {max(gaps):.2f} s")
    figures.expect(before["idle"] == idle, "a worker with an idle link was replaced")
    figures.expect(not forgers.wrong, f"answers that nobody gave: {forgers.wrong[:3]}")
    figures.expect(not any(WORD.encode() in body for body in load.bodies), "a forged answer reached another client")
    figures.expect(WORD not in logs, "a forged line is in a worker's log")
    figures.expect(not any(WORD in connector for connector in connectors), "a forged greeting was believed")
    figures.expect(load.failed <= count * CONNECTIONS, f"{load.failed} failed, of {CONNECTIONS} connections")
    return figures


# ---- what is left behind ----

ENDINGS = ("stop", "delete", "kill", "SIGTERM", "SIGKILL")


def escapee(ending):
    """A worker that double-forks, calls setsid and ignores TERM."""
    figures = Figures(f"a worker that runs away, ended by {ending}")
    mark = processes.new_mark()
    config = (f"worker {{ name runner; exec python3; params {OWN_WORKERS}/escapee.py; stop_timeout 300ms; "
              f"env {processes.MARK} {mark}; }}\n")
    with Agent(config) as agent:
        def escaped():
            lines = [line for line in agent.logs("runner", check=False).splitlines() if "escapee" in line]
            return lines and [int(pid) for pid in lines[-1].split("escapee", 1)[1].split()]
        both = agent.wait_for(escaped, "the escape")
        figures.expect(processes.marked(mark) == set(both), "the worker is not what this test thinks")
        keep = ()
        if ending in ("stop", "delete"):
            agent.ctl(ending, "runner")
            figures.expect(not processes.marked(mark), f"alive when '{ending}' was answered")
        elif ending == "kill":
            agent.ctl("kill")
            agent.keeper.wait(30)
        elif ending == "SIGTERM":
            agent.stop()
        else:
            os.kill(agent.keeper.pid, signal.SIGKILL)
            agent.keeper.wait(30)
            agent.start()
            agent.wait_for(lambda: agent.worker("runner")["state"] == "ready", "the worker of the next daemon")
            agent.wait_for(lambda: len(processes.marked(mark)) <= 2, "one worker")
            figures.expect(not set(both) & processes.marked(mark), "it outlived the next daemon's start")
            keep = processes.marked(mark)
        figures.rows["left"] = len(processes.marked(mark) - set(keep))
        figures.expect(not processes.marked(mark) - set(keep), f"left: {processes.marked(mark)}")
    figures.expect(not processes.marked(mark), "left after the daemon's end")
    return figures


def everything_killed(with_workers):
    """Keeper, agent and proxy at once, and then a new start: all as before."""
    figures = Figures("SIGKILL of everything at once" + (", workers too" if with_workers else ""))
    mark = processes.new_mark()
    marked = f"env {processes.MARK} {mark};"
    config = (node("web", extra="instances 2;" + marked) + node("off", extra=marked) + node("wide", extra=marked)
              + f"worker {{ name plain; exec sleep; params 1000000; {marked} }}\n")
    with Agent(config) as agent:
        agent.ctl("start", "web", "plain")
        agent.ctl("run", WORKERS / "server.js", "--name", "added", "--server", "127.0.0.1:0",
                  "--env", f"{processes.MARK}={mark}")
        agent.ctl("run", "sleep", "1000000", "--name", "added-off", "--env", f"{processes.MARK}={mark}")
        agent.ctl("stop", "off", "added-off")
        agent.ctl("scale", "wide", 3)
        before = lasting(agent)
        services = status(agent)
        victims = [int(services[field]) for field in ("keeper_pid", "agent_pid", "proxy_pid")]
        if with_workers:
            victims += processes.marked(mark)
        for pid in victims:
            os.kill(pid, signal.SIGSTOP)
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        agent.keeper.wait(30)
        agent.start()
        agent.wait_for(lambda: all(worker["state"] in ("ready", "stopped") for worker in agent.workers().values()), "rest")
        after = lasting(agent)
        figures.expect(after == before, f"before: {before}; after: {after}")
        running = {pid for worker in agent.workers().values() for instance in worker["instances"]
                   for pid in [instance["pid"]] if pid}
        agent.wait_for(lambda: processes.marked(mark) == running, "no process but the listed ones")
        figures.expect(agent.http("web")[0] == 200 and agent.http("added")[0] == 200, "no answer")
        figures.rows["workers, overlays and ids"] = "as before" if after == before else "changed"
        figures.rows["back"] = f"{len(after)} workers, {len(running)} processes"
    return figures


def lasting(agent):
    """What a reboot must not change."""
    return {name: {"state": worker["state"], "id": agent.info(name)["id"], "source": worker["source"],
                   "overlays": worker["overlays"], "instances": [instance["id"] for instance in worker["instances"]]}
            for name, worker in agent.workers().items()}


# ---- logs ----

def log_lines(count, rotations, width=40):
    """Lines through rotations: in the files, and in `logs -f`, all and whole."""
    figures = Figures(f"{count:,} log lines through {rotations} rotations")
    expected = re.compile(rf"line (\d+) of {count} x{{{width}}} end")
    stored = len("2026-11-21T12:00:00.123456Z out 0 ") + width + len(f"line {count} of {count}  end\n")
    config = (f"worker {{ name big; exec python3; params {OWN_WORKERS}/counter.py {count} {width}; "
              f"log rotate size={count * stored // (rotations + 1) // 1024}K keep=100; }}\n")
    with Agent(config) as agent, tempfile.TemporaryFile("w+") as seen:
        agent.ctl("start", "big")
        follower = subprocess.Popen([agent.bin / "apmctl", "--socket", agent.socket, "logs", "-f", "big"],
                                    stdout=seen, stderr=subprocess.PIPE, text=True)
        try:
            agent.wait_for(lambda: _tail(seen).endswith("the counter waits\n"), "the follower's first line")
            began = time.monotonic()
            os.kill(agent.pids("big")[0], signal.SIGUSR1)
            agent.wait_for(lambda: _tail(seen).endswith("the counter is through\n"), "the follower's last line", within=600)
            seconds = time.monotonic() - began
        finally:
            follower.terminate()
            said = follower.communicate()[1]
        seen.seek(0)
        followed = _numbers_in(expected, seen)
        files = sorted((agent.state / "logs").glob("big.log*"), key=lambda path: -int(path.name[8:] or 0))
        kept = [number for path in files for number in _numbers_in(expected, open(path, errors="replace"))]
        dropped = agent.info("big")["counters"]["log_lines_dropped"]
    figures.rows = {"rotations": len(files) - 1, "lines in the files": f"{len(kept):,}",
                    "lines that `logs -f` saw": f"{len(followed):,}", "lines a second": f"{count / seconds:,.0f}"}
    figures.expect(kept == list(range(count)), f"in the files: {_first_wrong(kept, count)}")
    figures.expect(followed == list(range(count)), f"followed: {_first_wrong(followed, count)}")
    figures.expect(len(files) - 1 >= rotations, f"{len(files) - 1} rotations")
    figures.expect(dropped == 0, f"{dropped} lines were dropped")
    figures.expect(not said, f"the follower said: {said}")
    return figures


def _tail(file):
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), 200, max(0, size - 200)).decode(errors="replace")


def _numbers_in(expected, lines):
    """Numbers of the counter's lines; -1 for one that is torn."""
    numbers = []
    for line in lines:
        if "the counter " in line:
            continue
        found = expected.search(line)
        numbers.append(int(found[1]) if found and line.endswith(found[0] + "\n") else -1)
    return numbers


def _first_wrong(numbers, count):
    for place, number in enumerate(numbers):
        if number != place:
            return f"{len(numbers)} lines, at place {place} there is {number}"
    return f"{len(numbers)} lines of {count}"
