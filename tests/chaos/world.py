"""A daemon of the chaos variants, made for one fault.

Two workers: `web`, which the operations are about, and `other`, which they are
not, and which answers a light load all the time.
"""

import os
import pathlib
import signal

import processes
from faults import VARIABLE, Board
from harness import Agent
from load import Load

BUILD = pathlib.Path(os.environ.get("APM_BIN_DIR", pathlib.Path(__file__).resolve().parents[2] / "build/release/bin")).parent
CHAOS_BIN = BUILD / "chaos/bin"
WALK_WORKER = BUILD / "tests/walk_worker"

RESTING = {"ready", "stopped"}
PATIENCE = 15.0  # Seconds. A start and a stop take milliseconds here.


class World:
    def __init__(self):
        self.mark = processes.new_mark()
        self.agent = Agent(bin_dir=CHAOS_BIN)
        self.configure(self.block("web", 2), self.block("other", 1))
        self.board = Board(self.agent.folder / "board")
        self.agent.env[VARIABLE] = str(self.board.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.board.disarm()
        self.agent.__exit__(None)
        self.board.close()

    # ---- configuration and commands ----

    def block(self, name, instances, extra=""):
        return (f"worker {{ name {name}; exec {WALK_WORKER}; server http://127.0.0.1:0; instances {instances}; "
                f"env {processes.MARK} {self.mark}; {extra} }}\n")

    def configure(self, *blocks):
        self.agent.config.write_text("".join(blocks))

    def boot(self):
        self.agent.start()
        self.settle()

    def kill_daemon(self):
        """Keeper, agent and proxy, before one can see another's end."""
        status = self.status()
        victims = [int(status[field]) for field in ("keeper_pid", "agent_pid", "proxy_pid")]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in victims:
                os.kill(pid, number)
        self.agent.keeper.wait()
        self.agent.keeper = None

    def ctl(self, *args):
        return self.agent.ctl(*args, check=False)

    def run_extra(self):
        return self.ctl("run", WALK_WORKER, "--name", "extra", "--server", "127.0.0.1:0",
                        "--env", f"{processes.MARK}={self.mark}")

    def status(self):
        return self.agent.ctl("status", "--output", "json").json

    def load_on(self, name):
        return Load(self.agent.address(name), rate=50, connections=2)

    # ---- what is true now ----

    def keeper_ended(self):
        return self.agent.keeper.poll() is not None

    def listing(self):
        """Workers by name; None while nobody answers."""
        listed = self.ctl("list", "--output", "json")
        if listed.code != 0:
            return None
        return {worker["name"]: worker for worker in listed.json["workers"]}

    def strays(self, listing):
        """Processes that no instance accounts for, with their names."""
        known = {pid for worker in listing.values() for pid in pids(worker)}
        ours = processes.marked(self.mark) | processes.children(self.agent.keeper.pid)
        return {f"{processes.name(pid)} ({pid})" for pid in ours - known
                if processes.alive(pid) and processes.name(pid) not in ("apm-agent", "apm-proxy")}

    def unsettled(self, listing):
        """Why the system is still on its way; empty when it is at rest."""
        if listing is None:
            return "the agent does not answer"
        for worker in listing.values():
            for instance in worker["instances"]:
                what = f"{worker['name']}/{instance.get('index', 0)}"
                if instance["state"] not in RESTING:
                    return f"{what} is {instance['state']}: {instance.get('problem', '')}"
                running = instance["state"] == "ready"
                if running != bool(pid_of(instance)) or running and not processes.alive(pid_of(instance)):
                    return f"{what} is {instance['state']} with pid {pid_of(instance)}"
        return ", ".join(sorted(f"stray process {stray}" for stray in self.strays(listing)))

    def settle(self, arrived=lambda listing: True):
        """The listing at rest, and where `arrived` wants it; AssertionError with the reason if it never is."""
        last = [None, "never asked"]

        def at_rest():
            assert not self.keeper_ended(), "the keeper has ended"
            last[0] = self.listing()
            last[1] = self.unsettled(last[0])
            return not last[1] and arrived(last[0])

        try:
            self.agent.wait_for(at_rest, "rest", within=PATIENCE)
        except AssertionError as error:
            if self.keeper_ended():
                raise
            reason = last[1] or "at rest, but neither done nor not done"
            raise AssertionError(f"after {PATIENCE:.0f} s: {reason}; {describe(last[0])}") from error
        return last[0]

    def unanswering(self, listing):
        """Instances that are ready and do not answer."""
        missing = []
        for name, worker in listing.items():
            waiting = set(pids(worker)) if worker.get("servers") else set()
            for _ in range(10 * len(waiting)):
                if not waiting:
                    break
                status, _, body = self.agent.http(name)
                if status == 200:
                    waiting.discard(int(body))
            missing += [f"{name}: pid {pid} answers nothing" for pid in waiting]
        return missing


def describe(listing):
    return "; ".join(f"{name} {worker['state']}: " + ", ".join(
        f"{instance['state']} {pid_of(instance)}" for instance in worker["instances"])
        for name, worker in (listing or {}).items()) or "no workers"


def pid_of(instance):
    return int(instance.get("pid", 0))


def pids(worker):
    return [pid_of(instance) for instance in worker["instances"] if pid_of(instance)]
