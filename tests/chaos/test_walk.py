"""SIGKILL at every point of every operation.

A dry run of each operation finds the points that it visits; then, for one
visit after the other, a world of its own in which the visitor dies there. The
table of all outcomes is written to build/<preset>/chaos/walk.md.

By default the walk takes each point's first visit, in a shuffled order, for
APM_CHAOS_SECONDS (200) in all, and says how far it came; APM_CHAOS_FULL=1
walks to the end, with later visits too. APM_CHAOS_ONLY="stop: agent" walks
what contains that text.
"""

import concurrent.futures
import os
import random
import time

import pytest
from faults import readable, victim_of
from operations import OPERATIONS
from walk import Step, dry_run, walk
from world import BUILD

FULL = os.environ.get("APM_CHAOS_FULL") == "1"
SECONDS = float(os.environ.get("APM_CHAOS_SECONDS", "200"))
ONLY = os.environ.get("APM_CHAOS_ONLY", "")
VISITS = 6 if FULL else 1  # Of each point; its last one besides in full.
AT_A_TIME = max(2, os.cpu_count() or 1)
FOLDER = BUILD / "chaos"


class Walk:
    """Outcomes of all operations, and the time that is left for them."""

    def __init__(self):
        self.outcomes = []
        self.planned = {}
        self.ends = time.monotonic() + SECONDS
        self.waiting = len(OPERATIONS)

    def share(self):
        """When the next operation has to be through with its steps."""
        now = time.monotonic()
        end = now + max(0.0, self.ends - now) / max(1, self.waiting)
        self.waiting -= 1
        return float("inf") if FULL or ONLY else end

    def write(self):
        FOLDER.mkdir(parents=True, exist_ok=True)
        for old in FOLDER.glob("walk-problem-*.log"):
            old.unlink()
        (FOLDER / "walk.md").write_text("\n".join(self.table()) + "\n")
        for number, outcome in enumerate(outcome for outcome in self.outcomes if outcome.problems):
            text = "\n".join([str(outcome.step), *outcome.problems, "", outcome.log])
            (FOLDER / f"walk-problem-{number}.log").write_text(text)

    def table(self):
        reached = [outcome for outcome in self.outcomes if outcome.reached]
        wrong = [outcome for outcome in reached if outcome.problems]
        yield "# The chaos walk\n"
        yield (f"{len(reached)} deaths by SIGKILL of {sum(self.planned.values())} planned, in "
               f"{len(self.planned)} operations; {len(wrong)} left something wrong.\n")
        yield "| operation | steps | done | not done | partly | wrong |\n|---|---|---|---|---|---|"
        for name, planned in self.planned.items():
            of = [outcome for outcome in reached if outcome.step.operation.name == name]
            counts = [sum(outcome.state == state for outcome in of) for state in ("done", "not done", "partly")]
            yield f"| {name} | {len(of)} of {planned} | {' | '.join(map(str, counts))} | {sum(bool(o.problems) for o in of)} |"
        yield "\n| operation | fault point | visit | killed | the caller heard | outcome | wrong |\n|---|---|---|---|---|---|---|"
        for outcome in self.outcomes:
            step = outcome.step
            cells = [step.operation.name, f"`{readable(step.point)}`", str(step.occurrence), victim_of(step.point),
                     outcome.said, outcome.state, "; ".join(outcome.problems)]
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


@pytest.fixture(scope="module")
def whole_walk():
    whole = Walk()
    yield whole
    whole.write()
    print("\n".join(whole.table()).split("\n| operation | fault point", 1)[0])


def steps_of(operation, visits):
    steps = []
    for point, count in visits.items():
        occurrences = set(range(1, min(count, VISITS) + 1)) | ({count} if FULL else set())
        steps += [Step(operation, point, occurrence) for occurrence in sorted(occurrences)]
    steps = [step for step in steps if ONLY in str(step)]
    random.Random(operation.name).shuffle(steps)
    return steps


def walk_before(end, step):
    return walk(step) if time.monotonic() < end else None


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_a_death_at_any_point_leaves_nothing_wrong(operation, whole_walk):
    end = whole_walk.share()
    visits = dry_run(operation)
    if visits is None:
        pytest.skip(f"there is no command for '{operation.name}'")
    steps = steps_of(operation, visits)
    if not steps:
        pytest.skip(f"nothing of '{operation.name}' contains '{ONLY}'")
    whole_walk.planned[operation.name] = len(steps)
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        walked = pool.map(lambda step: walk_before(end, step), steps)
    outcomes = sorted((outcome for outcome in walked if outcome is not None),
                      key=lambda outcome: (list(visits).index(outcome.step.point), outcome.step.occurrence))
    whole_walk.outcomes += outcomes
    wrong = [f"{outcome.step}: {'; '.join(outcome.problems)}" for outcome in outcomes if outcome.problems]
    assert not wrong, f"{len(wrong)} of {len(outcomes)}:\n" + "\n".join(wrong)
