"""The planner: which step next, so that the matrix engine always has one."""

from bisect import bisect_left
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace
from itertools import accumulate
from math import inf

from ...hw.spec.isa import Engine

__all__ = ["Room", "plan_order", "plan_times"]

_LEAD = 100
"""Cycles by which LOADs come before their planned start, so that estimates may be wrong."""

_PATIENCE = (0, 8, 16, 24, 32, 48, 64, 100, 150, 200, 300, 400)
"""Cycles for which a free resource waits for a more urgent step: of the plans with each of these, the shortest is taken."""


_FEW = (0, 64)
"""Those tried where room is short, and the order is nearly given."""

_MANY = 20_000
"""Steps from which on only the first of them is tried."""


@dataclass(frozen=True)
class Room:
    """What may be in use at once.

    Parameters
    ----------
    activations : tiles of activation tensors; less where one operation alone needs more
    weights : tiles of weight blocks, likewise
    sizes : tiles of every activation tensor, by name; others take no room
    """

    activations: int
    weights: int
    sizes: dict[str, int]

    def complete_before(self, operations):
        """For each operation, given by its steps, the last of those that must be complete when it starts, or -1.

        Operations start one after the other; then all tensors in use belong to those after the one complete, up to the last.
        """
        first: dict[str, int] = {}
        last: dict[str, int] = {}
        for index, steps in enumerate(operations):
            for region in (region for step in steps for region in (*step.reads, *step.writes)):
                if region.home == "activation" and region.owner in self.sizes:
                    first.setdefault(region.owner, index)
                    last[region.owner] = index
        begins: Counter[int] = Counter()
        ends: Counter[int] = Counter()
        for name, index in first.items():
            begins[index] += self.sizes[name]
            ends[last[name]] += self.sizes[name]
        complete, used, done = -1, 0, []
        for index in range(len(operations)):
            used += begins[index]
            while used > self.activations and complete < index - 1:
                complete += 1
                used -= ends[complete]
            done.append(complete)
        return done


def plan_order(steps, blocks, cost, room=None):
    """List scheduling: whenever a resource is free, the ready step from which the way to the end is longest.

    The memory engine brings first what is needed first: when that is, a first pass finds out in which everything is there.
    Steps are ready when what they read is written, their weights and vectors are loaded, and the tensor that they write is no
    longer read. Which slots they write does not matter yet: places are chosen afterwards, and prefer what was free first.

    Parameters
    ----------
    steps : in an order that respects what they read
    blocks : Block by owner, of those that the program loads
    cost : Cost
    room : Room that the plan must keep to, in the order of the steps; None: there is enough

    Returns
    -------
    steps : in their new order
    targets : by owner of a block, how many of the steps stand before its LOAD
    end : planned cycles until everything is done
    """
    jobs = _Jobs(steps, blocks, cost)
    if room is not None:
        jobs.narrow(steps, blocks, room)
    jobs.order_memory(jobs.schedule(memory=False)[0])
    patiences = _PATIENCE if room is None else _FEW
    plans = (jobs.schedule(patience=patience) for patience in patiences[: 1 if len(steps) > _MANY else None])
    starts, end = min(plans, key=lambda plan: plan[1])
    order = sorted(range(len(steps)), key=lambda n: (starts[n], n))
    times = [starts[n] for n in order]
    return [steps[n] for n in order], jobs.targets(times, starts), end


def plan_times(steps, blocks, cost):
    """Targets and end as `plan_order` gives them, of steps whose order stays as it is."""
    jobs = _Jobs(steps, blocks, cost)
    jobs.order_memory(jobs.schedule(memory=False, kept=True)[0])
    starts, end = jobs.schedule(kept=True)
    return jobs.targets(list(accumulate(starts[: len(steps)], max)), starts), end


def _earlier(numbers, number):
    """Of some steps those that come before a step. Where pieces take turns, a block is used again after it; what it would wait
    for then waits for it, and whether there is room is found when blocks are placed.
    """
    return {other for other in numbers if other < number}


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
        self._rank(len(steps))

    def _rank(self, count):
        """Followers of every job, and how long the way from it to the end is."""
        self.followers = defaultdict(list)
        for number, needs in enumerate(self.needs):
            for other in needs:
                self.followers[other].append(number)
        self.length = [0.0] * len(self.needs)
        for number in reversed(range(count)):
            rounds = -(-self.parts[number] // self.servers[self.resource[number]])
            self.length[number] = rounds * self.busy[number] + self.latency[number] + max(
                (self.length[n] for n in self.followers[number]), default=0)

    def targets(self, times, starts):
        """By owner of a block, how many steps stand before its LOAD, from the times of the steps in order."""
        return {owner: bisect_left(times, starts[number] - _LEAD) for owner, number in self.loads.items()}

    def narrow(self, steps, blocks, room):
        """Let steps wait for earlier ones until what may be in use at once fits, see `Room`."""
        operations, users = defaultdict(list), defaultdict(list)
        for number, step in enumerate(steps):
            operations[id(step.operation)].append(number)
            for region in step.reads:
                if region.home == "weight" and region.owner in blocks:
                    users[region.owner].append(number)
        groups = list(operations.values())
        done = room.complete_before([[steps[number] for number in group] for group in groups])
        for index, group in enumerate(groups):
            # Those before the first of these are complete when the last of them starts.
            for other in range(done[done[index]] + 1 if done[index] >= 0 else 0, done[index] + 1):
                for number in group:
                    self.needs[number] |= _earlier(groups[other], number)
        place = {number: index for index, group in enumerate(groups) for number in group}
        owners = list(users)
        for index, owner in enumerate(owners):
            used = blocks[owner].rows * blocks[owner].columns
            for other in map(owners.__getitem__, range(index - 1, -1, -1)):
                if place[users[other][-1]] <= done[place[users[owner][0]]]:
                    break
                used += blocks[other].rows * blocks[other].columns
                if used > room.weights:
                    for number in users[owner]:
                        self.needs[number] |= _earlier(users[other], number)
        self._rank(len(steps))

    def order_memory(self, starts):
        """Rank the jobs of the memory engine by when their results are used in a plan."""
        for number, resource in enumerate(self.resource):
            if resource is Engine.MEMORY:
                self.length[number] = -min((starts[n] for n in self.followers[number]), default=0)

    def _dependencies(self, steps):
        writers: dict[str, list] = defaultdict(list)
        readers: dict[str, list] = defaultdict(list)
        needs = []
        for number, step in enumerate(steps):
            found = {self.loads[region.owner] for region in step.reads if region.owner in self.loads}
            for earlier, regions in ((writers, step.reads), (readers, step.writes)):
                for region in regions:
                    found |= {n for n, other in earlier[region.owner] if _overlap(region, other)}
            needs.append(found)
            for uses, regions in ((writers, step.writes), (readers, step.reads)):
                for region in regions:
                    uses[region.owner].append((number, region))
        return needs

    def schedule(self, memory=True, patience=0, kept=False):
        """Planned start of every job, and the end of the last one; without `memory`, its engine takes no time; `kept` is the
        order of the jobs of every other resource.

        Each choice takes the logarithm of the number of jobs.
        """
        missing = [len(needs) for needs in self.needs]
        ready, starts = [0.0] * len(missing), [0.0] * len(missing)
        lines = {resource: _Line(count, self.length, ready, patience) for resource, count in self.servers.items()}
        lines[Engine.MEMORY].free = [self.begin]
        reported = end = 0.0
        queues: dict[object, deque[int]] = defaultdict(deque)
        if kept:
            for number, resource in enumerate(self.resource):
                queues[resource].append(number)
            queues.pop(Engine.MEMORY, None)

        def admit(number):
            """Let a job wait for its resource: it has all it needs, and, where the order is kept, its turn has come."""
            queue = queues.get(self.resource[number])
            if not missing[number] and (queue is None or queue[0] == number):
                lines[self.resource[number]].add(number)

        for number in range(len(missing)):
            admit(number)
        # At one time the matrix engine comes last: then it is known for what it may wait.
        turns = sorted(lines, key=lambda resource: (resource is Engine.MATRIX, str(resource)))
        for _ in missing:
            resource = min(turns, key=lambda one: lines[one].time())
            line = lines[resource]
            time, number = line.time(), line.take()
            if queue := queues.get(resource):
                queue.popleft()
                if queue:
                    admit(queue[0])
            starts[number] = done = time = max(time, ready[number])
            if memory or resource is not Engine.MEMORY:
                for _ in range(self.parts[number]):
                    part = max(time, line.free[0]) + self.busy[number]
                    heapreplace(line.free, part)
                    done = max(done, part + self.latency[number])
            if self.vector[number]:
                done = reported = max(done, reported)
            end = max(end, done)
            for follower in self.followers[number]:
                ready[follower] = max(ready[follower], done)
                missing[follower] -= 1
                admit(follower)
        return starts, end


class _Line:
    """The jobs that wait for a resource.

    The time of the next choice never goes back, so a job once within patience stays there. Three heaps hold a job: by when it
    is ready, among all that wait and among those not yet within patience; and by the way from it to the end, among the others.
    """

    def __init__(self, servers, length, ready, patience):
        self.free = [0.0] * servers  # A heap, of times by server.
        self._length, self._ready, self._patience = length, ready, patience
        self._waiting: list[tuple] = []
        self._later: list[tuple] = []
        self._able: list[tuple] = []
        self._taken: set[int] = set()

    def add(self, number):
        """A job that has all it needs."""
        heappush(self._waiting, (self._ready[number], number))
        heappush(self._later, (self._ready[number], number))

    def time(self):
        """When a server and a job are there; infinite if no job waits."""
        while self._waiting and self._waiting[0][1] in self._taken:
            self._taken.remove(heappop(self._waiting)[1])
        return max(self.free[0], self._waiting[0][0]) if self._waiting else inf

    def take(self):
        """The job from which the way to the end is longest, of those that are ready by then or within patience."""
        limit = self.time() + self._patience
        while self._later and self._later[0][0] <= limit:
            number = heappop(self._later)[1]
            heappush(self._able, (-self._length[number], number))
        number = heappop(self._able)[1]
        self._taken.add(number)
        return number
