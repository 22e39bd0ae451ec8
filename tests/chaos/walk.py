"""One step of the walk: a world, an operation, a death at one point, and what
is true when everything has come to rest.
"""

import contextlib
import dataclasses

import processes
from faults import readable, victim_of
from operations import DONE, NOT_DONE, PARTLY
from world import World, pid_of

WAIT_FOR_THE_VISIT = 5.0  # Seconds after the command: the dry run saw it come.


@dataclasses.dataclass
class Step:
    operation: object
    point: str
    occurrence: int

    def __str__(self):
        return f"{self.operation.name}: {readable(self.point)}, visit {self.occurrence}"


@dataclasses.dataclass
class Outcome:
    step: Step
    said: str = ""      # What the command's caller heard.
    state: str = ""     # What the operation had come to.
    problems: list = dataclasses.field(default_factory=list)
    log: str = ""

    @property
    def reached(self):
        return self.state != "not reached"


def dry_run(operation):
    """How often the operation visits each point, in order of the first visit; None if there is no such command."""
    with World() as world:
        operation.prepare(world)
        before = world.settle() if world.agent.keeper else {}
        world.board.trace()
        answer = operation.act(world)
        if answer is not None and answer.code == 2:  # An apmctl that does not know it.
            return None
        assert answer is None or answer.code == 0, f"{operation.name}: {answer}"
        if operation.survives:
            world.settle(lambda listing: operation.state(before, listing) == DONE)
        else:
            world.agent.wait_for(world.keeper_ended, "the keeper's end")
        return world.board.stop_trace()


def walk(step):
    outcome = Outcome(step)
    with World() as world:
        try:
            _walk(step, world, outcome)
        except Exception as error:  # Whatever it is, it is a row of the table.
            outcome.problems.append(f"{type(error).__name__}: {str(error).splitlines()[0]}" if str(error)
                                    else type(error).__name__)
        if outcome.problems:
            outcome.log = world.agent.read_log()
    return outcome


def _walk(step, world, outcome):
    operation = step.operation
    operation.prepare(world)
    before = world.settle() if world.agent.keeper else {}
    with contextlib.ExitStack() as stack:
        # A link that carries a request when its proxy dies may be torn, and its
        # worker is replaced: without one, nothing may happen to it.
        quiet = not before or not operation.survives or "apm-proxy" in (victim_of(step.point), operation.kills)
        load = None if quiet else stack.enter_context(world.load_on("other"))
        world.board.arm(step.point, step.occurrence)
        answer = operation.act(world)
        outcome.said = "" if answer is None else "ok" if answer.code == 0 else _last_line(answer.err)
        if not _sprung(world):
            outcome.state = "not reached"
            return
        if not operation.survives and _ended(world, operation):
            outcome.state = DONE
            outcome.problems += _left_behind(world)
            return
        partly = operation.may_be_partly(victim_of(step.point))
        now = world.settle(lambda listing: operation.state(before, listing) in (DONE, NOT_DONE, *([PARTLY] * partly)))
        if load is not None:
            load.wait_for(5)
    _judge(step, world, outcome, before, now, answer)
    if load is not None and load.failed:
        outcome.problems.append(f"requests to the other worker failed: {load.summary()['first_failures']}")
    _repeat(step, world, outcome, before)


def _sprung(world):
    """Visits may follow the command's answer."""
    with contextlib.suppress(AssertionError):
        world.agent.wait_for(lambda: world.board.sprung or world.keeper_ended(), "the visit",
                             within=WAIT_FOR_THE_VISIT)
    world.board.disarm_unless_sprung()
    return world.board.sprung


def _ended(world, operation):
    """Whether the daemon comes to its end; else the shutdown had not begun, and all of it goes on."""
    def decided():
        listing = world.listing()
        return world.keeper_ended() or listing and operation.state({}, listing) == NOT_DONE
    world.agent.wait_for(decided, "the end of the daemon, or its going on")
    return world.keeper_ended()


def _left_behind(world):
    world.agent.wait_for(lambda: not processes.marked(world.mark), "the end of every worker")
    code = world.agent.keeper.poll()
    return [] if code == 0 else [f"the keeper ended with {code}"]


def _judge(step, world, outcome, before, now, answer):
    operation = step.operation
    outcome.state = operation.state(before, now)
    if answer is not None and answer.code == 0 and outcome.state == NOT_DONE:
        outcome.problems.append("the command said done, and it is not")
    outcome.problems += world.unanswering(now)
    if not before:
        return
    after = {(name, instance.get("index", 0)): pid_of(instance)
             for name, worker in now.items() for instance in worker["instances"]}
    for key, pid in operation.untouched(before).items():
        if after.get(key) != pid:
            outcome.problems.append(f"{key[0]}/{key[1]} had pid {pid}, now {after.get(key)}")


def _repeat(step, world, outcome, before):
    """What was interrupted can be asked for again."""
    operation = step.operation
    if not operation.command:
        return
    answer = operation.act(world)
    refused_rightly = operation.repeat_may_refuse and outcome.state == DONE
    if answer.code != 0 and not refused_rightly:
        outcome.problems.append(f"repeated: {_last_line(answer.err)}")
    if not operation.survives:
        world.agent.wait_for(world.keeper_ended, "the end of the daemon")
        outcome.problems += _left_behind(world)
        return
    world.settle(lambda listing: operation.state(before, listing) == DONE)


def _last_line(text):
    return text.strip().splitlines()[-1] if text.strip() else "no word"
