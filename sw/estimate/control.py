"""The control unit in time: fetch, queues, semaphores."""

from collections import deque

from ...hw.spec.isa import Engine

__all__ = ["Control"]

_START = 40
"""Cycles from the start of a run to the first request for an instruction, in which thresholds are calculated."""

_IN_FLIGHT, _FETCHES = 8, 4


class Control:
    """When each instruction is offered to its engine; to be asked in program order.

    Tokens are counted: the n-th token that an instruction takes from an engine is the n-th that this gives.

    Parameters
    ----------
    depth : instructions that a queue holds
    fetch : function of the cycle in which an instruction is asked for, to that in which it is there
    """

    def __init__(self, depth, fetch):
        self._depth, self._fetch = depth, fetch
        self._asked, self._handed = _START, deque([0] * _FETCHES, _FETCHES)
        self._taken = {engine: deque([0] * depth, depth) for engine in Engine}
        self._flying = {engine: deque([0] * _IN_FLIGHT, _IN_FLIGHT) for engine in Engine}
        self._offered = dict.fromkeys(Engine, 0)
        self._retired = dict.fromkeys(Engine, 0)
        self._tokens = {(giver, taker): deque() for giver in Engine for taker in Engine}

    def offer(self, engine, waits):
        """When the next instruction of the program, of `engine`, is offered; `waits` are tokens by engine.

        Returns
        -------
        cycle, and for what it waited last: "fetch", or the name of the engine whose tokens were missing
        """
        self._asked = max(self._asked + 2, self._handed[0] + 2)
        there = self._fetch(self._asked)
        handed = max(there, self._handed[-1] + 1, self._taken[engine][0] + 1)
        self._handed.append(handed)
        ready, cause = handed + 3, "fetch"
        for giver, count in waits.items():
            for _ in range(count):
                given = self._tokens[giver, engine].popleft() + 2
                if given > ready:
                    ready, cause = given, giver.name.lower()
        taken = max(ready, self._offered[engine] + 1, self._flying[engine][0] + 1)
        self._taken[engine].append(taken)
        return taken + 1, cause

    def complete(self, engine, accepted, done, signal):
        """Note that it was taken by its engine at a cycle, and is done at another; engines retire in order."""
        self._offered[engine] = accepted
        retired = max(done, self._retired[engine] + 1)
        self._retired[engine] = retired
        self._flying[engine].append(retired)
        for taker in Engine:
            if signal >> taker & 1:
                self._tokens[engine, taker].append(retired)
        return retired
