"""What the walk does to a world, and how it knows whether it was done.

Of every operation: `prepare` brings the world to where it can be asked for,
`act` asks, `state` says "not done", "done" or, where the parts of a worker are
independent of each other, "partly"; anything else is neither, and a fault must
never leave that behind.
"""

import os
import signal

import processes
from world import pid_of, pids

NOT_DONE, DONE, PARTLY = "not done", "done", "partly"


class Operation:
    """A command on `web`; the others override what differs."""

    command = ()               # Empty: nothing that can be repeated.
    repeat_may_refuse = False  # Done already, it says so: run, delete.
    survives = True            # The daemon runs on.
    kills = ""                 # The program that `act` kills itself.

    def __init__(self, name):
        self.name = name

    def prepare(self, world):
        world.boot()

    def act(self, world):
        return world.ctl(*self.command)

    def state(self, before, now):
        raise NotImplementedError

    def may_be_partly(self, victim):
        """Whether a state of "partly" may stay after the death of that program."""
        return False

    def untouched(self, before):
        """Processes that the operation does not concern: (worker, instance) -> pid."""
        return {(name, instance.get("index", 0)): pid_of(instance)
                for name, worker in before.items() if name != "web" for instance in worker["instances"]}


def ready(worker, count):
    return worker is not None and worker["state"] == "ready" and len(pids(worker)) == count == len(worker["instances"])


def stopped(worker):
    return worker is not None and worker["state"] == "stopped" and not pids(worker)


class Boot(Operation):
    """Everything from nothing, by the configuration."""

    def prepare(self, world):
        pass

    def act(self, world):
        if world.agent.keeper is None:
            world.agent.start(wait=False)
        return world.ctl("ping", "--wait", "20s")

    def state(self, before, now):
        return DONE if ready(now.get("web"), 2) and ready(now.get("other"), 1) else None


class BootAfterCrash(Boot):
    """The next start of a daemon that was killed whole; a worker without pipes does not notice."""

    def prepare(self, world):
        world.configure(world.block("web", 2), world.block("other", 1),
                        f"worker {{ name left; exec sleep; params 1000000; env {processes.MARK} {world.mark}; }}\n")
        world.boot()
        world.kill_daemon()

    def state(self, before, now):
        return super().state(before, now) if ready(now.get("left"), 1) else None


class Run(Operation):
    command = ("run", "extra")
    repeat_may_refuse = True

    def act(self, world):
        return world.run_extra()

    def state(self, before, now):
        extra = now.get("extra")
        return NOT_DONE if extra is None else DONE if ready(extra, 1) else None

    def untouched(self, before):
        return processes_of(before, "web", "other")


class Delete(Operation):
    command = ("delete", "extra")
    repeat_may_refuse = True

    def prepare(self, world):
        world.boot()
        assert world.run_extra().code == 0
        world.settle()

    def state(self, before, now):
        extra = now.get("extra")
        return DONE if extra is None else NOT_DONE if ready(extra, 1) else None

    def untouched(self, before):
        return processes_of(before, "web", "other")


class Start(Operation):
    command = ("start", "web")

    def prepare(self, world):
        world.boot()
        assert world.ctl("stop", "web").code == 0
        world.settle()

    def state(self, before, now):
        return NOT_DONE if stopped(now["web"]) else DONE if ready(now["web"], 2) else None


class Stop(Operation):
    command = ("stop", "web")

    def state(self, before, now):
        return DONE if stopped(now["web"]) else NOT_DONE if ready(now["web"], 2) else None


class Replace(Operation):
    """restart and reload: each instance has its old process or a new one."""

    def __init__(self, name):
        super().__init__(name)
        self.command = (name, "web")

    def state(self, before, now):
        if not ready(now["web"], 2):
            return None
        kept = len(set(pids(before["web"])) & set(pids(now["web"])))
        return (DONE, PARTLY, NOT_DONE)[kept]

    def may_be_partly(self, victim):
        return True


class Scale(Operation):
    def __init__(self, name, old, new):
        super().__init__(name)
        self.old, self.new = old, new
        self.command = ("scale", "web", str(new))

    def prepare(self, world):
        world.boot()
        if self.old != 2:
            done = world.ctl("scale", "web", str(self.old))
            assert done.code == 0, done
            world.settle()

    def state(self, before, now):
        return DONE if ready(now["web"], self.new) else NOT_DONE if ready(now["web"], self.old) else None

    def untouched(self, before):
        both = min(self.old, self.new)
        return processes_of(before, "other") | {
            key: pid for key, pid in processes_of(before, "web").items() if key[1] < both}


class Apply(Operation):
    """One worker changed, one new, one gone: all of it or nothing of it.

    A new process that dies before it is ready is no crash of ours: as after a
    reload the old one stays, and the caller is told.
    """

    command = ("config", "apply", "--prune")

    def prepare(self, world):
        world.configure(world.block("web", 2), world.block("other", 1), world.block("gone", 1))
        world.boot()
        world.configure(world.block("web", 3, "env CHANGED yes;"), world.block("other", 1), world.block("new", 1))

    def state(self, before, now):
        if ready(now["web"], 2) and ready(now.get("gone"), 1) and "new" not in now:
            return NOT_DONE
        if not ready(now.get("new"), 1) or "gone" in now or now["web"]["state"] != "ready":
            return None
        changed = [processes.carries(pid, "CHANGED=yes") for pid in pids(now["web"])]
        return DONE if len(changed) == 3 and all(changed) else PARTLY

    def may_be_partly(self, victim):
        return victim == "apm-exec"

    def untouched(self, before):
        return processes_of(before, "other")


class Crash(Operation):
    """SIGKILL of a process of the worker's."""

    def act(self, world):
        os.kill(pids(world.settle()["web"])[0], signal.SIGKILL)

    def state(self, before, now):
        return DONE if ready(now["web"], 2) and pids(now["web"])[0] != pids(before["web"])[0] else None

    def untouched(self, before):
        return processes_of(before, "other") | {("web", 1): pids(before["web"])[1]}


class KillService(Operation):
    """SIGKILL of the agent or of the proxy; its successor takes over."""

    def __init__(self, name, program):
        super().__init__(name)
        self.kills = program

    def act(self, world):
        victim = self.pid(world)
        os.kill(victim, signal.SIGKILL)
        world.agent.wait_for(lambda: self.pid(world) not in (0, victim), f"the next {self.kills}")

    def pid(self, world):
        """0 while there is none, or nobody says."""
        answer = world.ctl("status", "--output", "json")
        return int(answer.json.get(self.kills.removeprefix("apm-") + "_pid", 0)) if answer.code == 0 else 0

    def state(self, before, now):
        return DONE if ready(now["web"], 2) else None

    def untouched(self, before):
        return processes_of(before, "web", "other")


class Upgrade(Operation):
    command = ("upgrade", "--keeper")

    def state(self, before, now):
        return DONE if ready(now["web"], 2) else None

    def untouched(self, before):
        return processes_of(before, "web", "other")


class Shutdown(Operation):
    """The end of the daemon; once it has begun, the next agent brings it about."""

    command = ("kill",)
    survives = False

    def state(self, before, now):
        return NOT_DONE if ready(now["web"], 2) and ready(now["other"], 1) else None

    def untouched(self, before):
        return {}


def processes_of(listing, *names):
    return {(name, instance.get("index", 0)): pid_of(instance)
            for name in names for instance in listing[name]["instances"]}


OPERATIONS = [
    Boot("boot"),
    BootAfterCrash("boot after a crash"),
    Run("run"),
    Start("start"),
    Stop("stop"),
    Replace("restart"),
    Replace("reload"),
    Scale("scale up", 2, 4),
    Scale("scale down", 4, 2),
    Delete("delete"),
    Apply("config apply"),
    Crash("crash of a worker"),
    KillService("adoption by a new agent", "apm-agent"),
    KillService("take-over by a new proxy", "apm-proxy"),
    Upgrade("keeper upgrade"),
    Shutdown("shutdown"),
]
