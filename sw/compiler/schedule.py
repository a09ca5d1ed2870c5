"""The order of the program, and the semaphores that hold it together."""

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ...hw.spec.isa import Engine
from ..ir.errors import CompileError
from .steps import LoadStep

__all__ = ["Semaphores", "chain", "check_progress", "insert_loads", "semaphores"]


@dataclass
class Semaphores:
    """Header fields of one instruction: tokens to take from each engine, and engines to signal."""

    waits: dict[Engine, int] = field(default_factory=dict)
    signals: set[Engine] = field(default_factory=set)

    def header(self):
        """As fields of the instruction."""
        return {f"wait_{engine.name.lower()}": count for engine, count in self.waits.items()} | {
            "signal": sum(1 << engine for engine in self.signals)}


def insert_loads(steps, blocks, placed, targets):
    """Place the LOADs where the planner wants them, or later, where their place is free.

    Parameters
    ----------
    steps : in order of computation
    blocks : Block by owner
    placed : (Placement, first use) of weight and vector blocks, by owner
    targets : by owner, how many steps stand before the LOAD

    Returns
    -------
    list of Step
    """
    positions = {owner: min(max(targets[owner], placement.release), first) for owner, (placement, first) in placed.items()}
    ordered, position = [], 0
    for owner in sorted(positions, key=lambda owner: (positions[owner], placed[owner][1], blocks[owner].home != "vector")):
        ordered += steps[position: positions[owner]]
        position = positions[owner]
        ordered.append(LoadStep.of(blocks[owner]))
    return ordered + steps[position:]


def semaphores(steps, slots_of, sizes):
    """The tokens that order all uses of all slots.

    Engines start and complete their instructions in order, so what an instruction must wait for is one instruction per
    engine: the last one that wrote what it reads, or used what it writes. That is dropped where an earlier instruction
    of the engine, or one it waited for, has already waited for it. Each wait left takes the one token that
    its producer gives, so counts stay exact.

    Parameters
    ----------
    steps : Steps in program order
    slots_of : function from a Region to an array of slots
    sizes : slots of every home

    Returns
    -------
    list of Semaphores
    """
    written = {home: np.full(size, -1, dtype=np.int64) for home, size in sizes.items()}
    used = {home: np.full((len(Engine), size), -1, dtype=np.int64) for home, size in sizes.items()}
    engines = np.array([int(step.engine) for step in steps])
    marks = [Semaphores() for _ in steps]
    started = {engine: dict.fromkeys(Engine, -1) for engine in Engine}
    known_at: list[dict[Engine, int]] = []
    last_known = started
    for number, step in enumerate(steps):
        need = dict.fromkeys(Engine, -1)
        reads, writes = ([(r.home, slots_of(r)) for r in regions] for regions in (step.reads, step.writes))
        for home, slots in reads:
            for producer in np.unique(written[home][slots]).tolist():
                _raise(need, producer, engines)
        for home, slots in writes:
            for last in used[home][:, slots].max(1).tolist():
                _raise(need, last, engines)
        known = dict(last_known[step.engine])
        for engine in sorted(Engine, key=lambda e: -need[e]):
            if need[engine] > known[engine]:
                marks[number].waits[engine] = 1
                marks[need[engine]].signals.add(step.engine)
                for other, seen in known_at[need[engine]].items():
                    known[other] = max(known[other], seen)
                known[engine] = need[engine]
        last_known[step.engine] = known
        known_at.append(known)
        for home, slots in reads + writes:
            used[home][step.engine, slots] = number
        for home, slots in writes:
            written[home][slots] = number
    return marks


def chain(steps):
    """Semaphores with which every step waits for the one before it: nothing overlaps.

    Returns
    -------
    list of Semaphores
    """
    marks = [Semaphores() for _ in steps]
    for (step, mark), (following, next_mark) in pairwise(zip(steps, marks, strict=True)):
        mark.signals.add(following.engine)
        next_mark.waits[step.engine] = 1
    return marks


def _raise(need, number, engines):
    if number >= 0:
        engine = Engine(int(engines[number]))
        need[engine] = max(need[engine], number)


def check_progress(engines, marks, depth):
    """Run fetch, queues and semaphores until nothing moves; timing cannot matter, since tokens are only counted.

    Parameters
    ----------
    engines : engine of every instruction, in program order
    marks : Semaphores of every instruction
    depth : instructions that a queue holds

    Raises
    ------
    CompileError : for a program that stops before its end
    """
    queues: dict[Engine, deque[int]] = {engine: deque() for engine in Engine}
    tokens = dict.fromkeys(((p, c) for p in Engine for c in Engine), 0)
    fetched = done = 0
    moved = True
    while moved:
        moved = False
        while fetched < len(engines) and len(queues[engines[fetched]]) < depth:
            queues[engines[fetched]].append(fetched)
            fetched, moved = fetched + 1, True
        for engine, queue in queues.items():
            while queue and all(tokens[p, engine] >= count for p, count in marks[queue[0]].waits.items()):
                mark = marks[queue.popleft()]
                for producer, count in mark.waits.items():
                    tokens[producer, engine] -= count
                for consumer in mark.signals:
                    tokens[engine, consumer] += 1
                done, moved = done + 1, True
    if done < len(engines):
        heads = ", ".join(f"{engine.name} at {queue[0]}" for engine, queue in queues.items() if queue)
        raise CompileError(f"the program would stop after {done} of {len(engines)} instructions: {heads}")
    if any(tokens.values()):
        raise CompileError(f"tokens are left over: { {k: v for k, v in tokens.items() if v} }")
