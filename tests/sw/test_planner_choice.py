"""The heaps of the planner choose what its rule says, written out here as plainly as it can be."""

from heapq import heapreplace

from hypothesis import given, settings
from hypothesis import strategies as st

from acceltran.hw.spec.isa import Engine
from acceltran.sw.compiler.planner import _Jobs
from acceltran.sw.compiler.steps import Region
from support.steps import PlainStep


class Fixed:
    begin = 7

    def servers(self, step):
        return 2 if step.engine is Engine.VECTOR else 1

    def busy(self, step):
        return step.cycles


def plain_schedule(jobs, memory, patience, kept):
    """`_Jobs.schedule`: at every choice all that wait are looked at."""
    done_by, starts, waiting = {}, {}, set(range(len(jobs.needs)))
    free = {resource: [0.0] * servers for resource, servers in jobs.servers.items()}
    free[Engine.MEMORY] = [jobs.begin]
    reported = 0.0

    def ready(number):
        return max((done_by[n] for n in jobs.needs[number]), default=0.0)

    while waiting:
        able = {}
        for number in sorted(waiting):
            resource = jobs.resource[number]
            first = min(n for n in waiting if jobs.resource[n] is resource)
            if jobs.needs[number] <= done_by.keys() and (not kept or resource is Engine.MEMORY or number == first):
                able.setdefault(resource, []).append(number)
        time, *_, resource = min((max(free[resource][0], min(map(ready, numbers))), resource is Engine.MATRIX, str(resource),
                                  resource) for resource, numbers in able.items())
        number = max((n for n in able[resource] if ready(n) <= time + patience), key=lambda n: (jobs.length[n], -n))
        waiting.remove(number)
        starts[number] = done = time = max(time, ready(number))
        for _ in range(jobs.parts[number] if memory or resource is not Engine.MEMORY else 0):
            part = max(time, free[resource][0]) + jobs.busy[number]
            heapreplace(free[resource], part)
            done = max(done, part + jobs.latency[number])
        if jobs.vector[number]:
            done = reported = max(done, reported)
        done_by[number] = done
    return [starts[n] for n in range(len(starts))], max(done_by.values())


STEPS = st.lists(st.tuples(st.sampled_from(Engine), st.integers(0, 40), st.integers(1, 3), st.sampled_from([0, 5, 30]),
                           st.frozensets(st.integers(1, 8), max_size=3)), min_size=1, max_size=25)


@settings(max_examples=120)
@given(STEPS, st.booleans(), st.sampled_from([0, 8, 100]), st.booleans())
def test_heaps_choose_as_the_rule_says(entries, memory, patience, kept):
    regions = [Region("activation", str(n), 0, 0, 1, 1) for n in range(len(entries))]
    steps = [PlainStep(engine, [regions[n - back] for back in sorted(backs) if n >= back], [regions[n]], cycles, parts, latency)
             for n, (engine, cycles, parts, latency, backs) in enumerate(entries)]
    jobs = _Jobs(steps, {}, Fixed())
    assert jobs.schedule(memory=memory, patience=patience, kept=kept) == plain_schedule(jobs, memory, patience, kept)
