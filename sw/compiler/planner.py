"""The planner: which step next, so that the matrix engine always has one."""

from bisect import bisect_left
from collections import defaultdict
from heapq import heapreplace

from ...hw.spec.isa import Engine

__all__ = ["plan_order"]

_LEAD = 100
"""Cycles by which LOADs come before their planned start, so that estimates may be wrong."""

_PATIENCE = (0, 8, 16, 24, 32, 48, 64, 100, 150, 200, 300, 400)
"""Cycles for which a free resource waits for a more urgent step: of the plans with each of these, the shortest is taken."""


def plan_order(steps, blocks, cost):
    """List scheduling: whenever a resource is free, the ready step from which the way to the end is longest.

    The memory engine brings first what is needed first: when that is, a first pass finds out in which everything is there.
    Steps are ready when what they read is written, and their weights and vectors are loaded. Which slots they write does not
    matter yet: places are chosen afterwards, and prefer what was free first.

    Parameters
    ----------
    steps : in an order that respects what they read
    blocks : Block by owner, of those that the program loads
    cost : Cost

    Returns
    -------
    steps : in their new order
    targets : by owner of a block, how many of the steps stand before its LOAD
    end : planned cycles until everything is done
    """
    jobs = _Jobs(steps, blocks, cost)
    jobs.order_memory(jobs.schedule(memory=False)[0])
    starts, end = min((jobs.schedule(patience=patience) for patience in _PATIENCE), key=lambda plan: plan[1])
    order = sorted(range(len(steps)), key=lambda n: (starts[n], n))
    times = [starts[n] for n in order]
    targets = {owner: bisect_left(times, starts[number] - _LEAD) for owner, number in jobs.loads.items()}
    return [steps[n] for n in order], targets, end


def _overlap(a, b):
    return (a.row < b.row + b.rows and b.row < a.row + a.rows
            and a.column < b.column + b.columns and b.column < a.column + a.columns)


class _Jobs:
    """Steps and loads as jobs of resources: numbers of steps, then of loads."""

    def __init__(self, steps, blocks, cost):
        self.loads = {owner: len(steps) + n for n, owner in enumerate(blocks)}
        self.resource = [step.resource for step in steps] + [Engine.MEMORY] * len(blocks)
        self.begin = cost.begin
        self.servers = {Engine.MEMORY: 1} | {step.resource: cost.servers(step) for step in steps}
        self.parts = [step.parts for step in steps] + [1] * len(blocks)
        self.busy = [cost.busy(step) for step in steps] + [cost.load(block) for block in blocks.values()]
        self.latency = [step.latency for step in steps] + [0] * len(blocks)
        self.vector = [step.engine is Engine.VECTOR for step in steps] + [False] * len(blocks)
        self.needs = self._dependencies(steps) + [set() for _ in blocks]
        self.followers = defaultdict(list)
        for number, needs in enumerate(self.needs):
            for other in needs:
                self.followers[other].append(number)
        self.length = [0.0] * len(self.needs)
        for number in reversed(range(len(steps))):
            rounds = -(-self.parts[number] // self.servers[self.resource[number]])
            self.length[number] = rounds * self.busy[number] + self.latency[number] + max(
                (self.length[n] for n in self.followers[number]), default=0)

    def order_memory(self, starts):
        """Rank the jobs of the memory engine by when their results are used in a plan."""
        for number, resource in enumerate(self.resource):
            if resource is Engine.MEMORY:
                self.length[number] = -min((starts[n] for n in self.followers[number]), default=0)

    def _dependencies(self, steps):
        writers, needs = defaultdict(list), []
        for number, step in enumerate(steps):
            found = {self.loads[region.owner] for region in step.reads if region.owner in self.loads}
            for region in step.reads:
                found |= {n for n, written in writers[region.owner] if _overlap(region, written)}
            needs.append(found)
            for region in step.writes:
                writers[region.owner].append((number, region))
        return needs

    def schedule(self, memory=True, patience=0):
        """Planned start of every job, and the end of the last one; without `memory`, its engine takes no time."""
        missing = [len(needs) for needs in self.needs]
        ready, starts = [0.0] * len(missing), [0.0] * len(missing)
        waiting = defaultdict(set)
        free = {resource: [0.0] * servers for resource, servers in self.servers.items()}  # Heaps, of times by server.
        free[Engine.MEMORY] = [self.begin]
        reported = end = 0.0
        for number, count in enumerate(missing):
            if not count:
                waiting[self.resource[number]].add(number)
        for _ in missing:
            # At one time the matrix engine comes last: then it is known for what it may wait.
            time, *_, resource = min((max(free[resource][0], min(ready[n] for n in numbers)), resource is Engine.MATRIX,
                                      str(resource), resource) for resource, numbers in waiting.items() if numbers)
            number = max((n for n in waiting[resource] if ready[n] <= time + patience), key=lambda n: (self.length[n], -n))
            waiting[resource].remove(number)
            starts[number] = done = time = max(time, ready[number])
            if memory or resource is not Engine.MEMORY:
                for _ in range(self.parts[number]):
                    part = max(time, free[resource][0]) + self.busy[number]
                    heapreplace(free[resource], part)
                    done = max(done, part + self.latency[number])
            if self.vector[number]:
                done = reported = max(done, reported)
            end = max(end, done)
            for follower in self.followers[number]:
                ready[follower] = max(ready[follower], done)
                missing[follower] -= 1
                if not missing[follower]:
                    waiting[self.resource[follower]].add(follower)
        return starts, end
