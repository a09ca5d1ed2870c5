"""The planner: which step next, so that the matrix engine always has one."""

from bisect import bisect_left
from collections import defaultdict

from ...hw.isa import Engine

__all__ = ["plan_order"]

_LEAD = 100
"""Cycles by which LOADs come before their planned start, so that estimates may be wrong."""


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
    """
    jobs = _Jobs(steps, blocks, cost)
    jobs.order_memory(jobs.schedule(memory=False))
    starts = jobs.schedule()
    order = sorted(range(len(steps)), key=lambda n: (starts[n], n))
    times = [starts[n] for n in order]
    targets = {owner: bisect_left(times, starts[number] - _LEAD) for owner, number in jobs.loads.items()}
    return [steps[n] for n in order], targets


def _overlap(a, b):
    return (a.row < b.row + b.rows and b.row < a.row + a.rows
            and a.column < b.column + b.columns and b.column < a.column + a.columns)


class _Jobs:
    """Steps and loads as jobs of resources: numbers of steps, then of loads."""

    def __init__(self, steps, blocks, cost):
        self.loads = {owner: len(steps) + n for n, owner in enumerate(blocks)}
        self.resource = [cost.resource(step) for step in steps] + [Engine.MEMORY] * len(blocks)
        self.busy = [cost.busy(step) for step in steps] + [cost.load(block) for block in blocks.values()]
        self.latency = [cost.latency(step) for step in steps] + [0] * len(blocks)
        self.vector = [step.engine is Engine.VECTOR for step in steps] + [False] * len(blocks)
        self.needs = self._dependencies(steps) + [set() for _ in blocks]
        self.followers = defaultdict(list)
        for number, needs in enumerate(self.needs):
            for other in needs:
                self.followers[other].append(number)
        self.length = [0.0] * len(self.needs)
        for number in reversed(range(len(steps))):
            self.length[number] = self.busy[number] + self.latency[number] + max(
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

    def schedule(self, memory=True):
        """Planned start of every job; without `memory`, its engine takes no time."""
        missing = [len(needs) for needs in self.needs]
        ready, starts = [0.0] * len(missing), [0.0] * len(missing)
        waiting, free = defaultdict(set), defaultdict(float)
        reported = 0.0
        for number, count in enumerate(missing):
            if not count:
                waiting[self.resource[number]].add(number)
        for _ in missing:
            time, resource = min((max(free[resource], min(ready[n] for n in numbers)), str(resource), resource)
                                 for resource, numbers in waiting.items() if numbers)[::2]
            number = max((n for n in waiting[resource] if ready[n] <= time), key=lambda n: (self.length[n], -n))
            waiting[resource].remove(number)
            instant = resource is Engine.MEMORY and not memory
            starts[number], free[resource] = time, time + self.busy[number] * (not instant)
            done = free[resource] + self.latency[number] * (not instant)
            if self.vector[number]:
                done = reported = max(done, reported)
            for follower in self.followers[number]:
                ready[follower] = max(ready[follower], done)
                missing[follower] -= 1
                if not missing[follower]:
                    waiting[self.resource[follower]].add(follower)
        return starts
