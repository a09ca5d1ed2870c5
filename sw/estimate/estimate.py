"""How long a program takes, without RTL: its instructions, one after the other, through models of the engines."""

from dataclasses import dataclass, field

import numpy as np

from ...hw.spec.config import AcceleratorConfig
from ...hw.spec.isa import INSTRUCTION_BYTES, INSTRUCTIONS, Buffer, Engine, Opcode, decode
from .clusters import Clusters
from .control import Control
from .matrix_engine import Product
from .memory_engine import MemoryEngine

__all__ = ["Estimate", "Event", "estimate"]

_ENGINE = {instruction.opcode: instruction.engine for instruction in INSTRUCTIONS}


@dataclass(frozen=True)
class Event:
    """One instruction in time.

    Members
    -------
    number, engine : of the instruction; the name of its engine
    start, end : cycles in which its engine takes it, and in which it is complete
    cause : for what it waited last, see `Control.offer`
    product : Product of a MATMUL
    """

    number: int
    engine: str
    start: int
    end: int
    cause: str
    product: Product | None = None


@dataclass(frozen=True)
class Estimate:
    """What a program takes.

    Members
    -------
    config : AcceleratorConfig
    cycles : from the start to the interrupt
    events : Event of each instruction, in program order
    counters : those of the performance counters that are known, by their names
    units : (name, start, end) of each tile row in a unit of the vector engine
    """

    config: AcceleratorConfig
    cycles: int
    events: list[Event] = field(repr=False)
    counters: dict[str, int]
    units: list[tuple] = field(repr=False)


def estimate(program, tensors=None, *, densities=None, latency=40, bytes_per_cycle=None, seed=1):
    """Estimate a program.

    Masks of weights are those of its memory image. Those of activations are those of `tensors`; of tensors that are not there
    zeros are drawn at random.

    Parameters
    ----------
    program : Program
    tensors : {name: integers}, as `execute` gives them
    densities : {name: share of non-zeros} of tensors that are not among these; by default what the graph expects
    latency, bytes_per_cycle : of main memory, see `MemoryEngine`
    seed : of the draws

    Returns
    -------
    Estimate
    """
    return _Run(program, Clusters(program, tensors, densities, seed),
                MemoryEngine(program.config, latency, bytes_per_cycle)).run()


class _Run:
    def __init__(self, program, clusters, memory):
        self.program, self.config, self.clusters = program, program.config, clusters
        self.memory = memory
        self.control = Control(self.config.instruction_queue, self.memory.fetch)
        self.tiles = {Buffer.WEIGHT: 0, Buffer.ACTIVATION: 0}

    def run(self):
        """The Estimate."""
        if self.program.preload:
            self._preload()
        events = []
        for number, (opcode, fields) in enumerate(self.program.instructions):
            if opcode is Opcode.HALT:
                self.memory.bytes_read += INSTRUCTION_BYTES
                break
            engine = _ENGINE[opcode]
            waits = {giver: fields.get(f"wait_{giver.name.lower()}", 0) for giver in Engine}
            offered, cause = self.control.offer(engine, waits)
            accepted, done, product = self._take(number, opcode, fields, offered)
            end = self.control.complete(engine, accepted, done, fields.get("signal", 0))
            events.append(Event(number, engine.name.lower(), accepted, end, cause, product))
        cycles = max((event.end for event in events), default=0)
        units = [(f"{'softmax' if opcode is Opcode.SOFTMAX else 'layer-norm'} unit {unit}", start, end)
                 for opcode, unit, start, end in self.clusters.periods]
        return Estimate(self.config, cycles, events, self._counters(events, cycles), units)

    def _take(self, number, opcode, fields, offered):
        """When an instruction is taken and done, and the Product of a MATMUL."""
        if opcode is Opcode.LOAD:
            buffer, counts = Buffer(fields["buffer"]), None
            if buffer is not Buffer.VECTOR:
                counts = self.clusters.load(fields)
                self.tiles[buffer] += len(counts)
            return *self.memory.load(fields, offered, counts), None
        if opcode is Opcode.STORE:
            return *self.memory.store(fields, offered, self.clusters.read(fields)), None
        if opcode is Opcode.GATHER:
            self.clusters.gather(number, fields)
            self.tiles[Buffer.ACTIVATION] += fields["rows"] * fields["columns"]
            return *self.memory.gather(fields, offered, self.clusters.first.indices(fields)), None
        if opcode is Opcode.MATMUL:
            product = self.clusters.multiply(number, fields, offered)
            return product.accepted, product.done, product
        return *self.clusters.stream(number, opcode, fields, offered), None

    def _preload(self):
        """Put in place what the preload leaves in the buffers."""
        entry, count = self.program.preload["entry"], self.program.preload["instructions"]
        raw = self.program.image[entry: entry + count * INSTRUCTION_BYTES]
        for n in range(0, len(raw), INSTRUCTION_BYTES):
            opcode, fields = decode(raw[n: n + INSTRUCTION_BYTES])
            if opcode is Opcode.LOAD and fields["buffer"] != Buffer.VECTOR:
                self.clusters.load(fields)

    def _counters(self, events, cycles):
        """The counters; multiplier cycles that nothing else accounts for are idle."""
        multipliers = self.config.multipliers * cycles
        tally = sum((event.product.tally for event in events if event.product), np.zeros(4, np.int64)).tolist()
        fired, operands, output, spent = tally
        imbalance = max(0, spent - fired - operands - output)
        known = self.clusters.counters
        dense = known["dense_multiplications"]
        return {
            "cycles": cycles, "multiplications": fired, "dense_multiplications": dense,
            "skipped_multiplications": dense - fired,
            **{f"{engine.name.lower()}_busy": _covered([e for e in events if e.engine == engine.name.lower()])
               for engine in Engine},
            "bytes_read": self.memory.bytes_read, "bytes_written": self.memory.bytes_written,
            "weight_tiles": self.tiles[Buffer.WEIGHT], "activation_tiles": self.tiles[Buffer.ACTIVATION],
            "a_tile_loads": known["a_tile_loads"], "b_tile_loads": known["b_tile_loads"],
            "instructions": len(events),
            "lost_operands": operands, "lost_output": output, "lost_imbalance": imbalance,
            "lost_idle": max(0, multipliers - fired - operands - output - imbalance),
        }


def _covered(events):
    """Cycles in which at least one of the events is under way."""
    total, until = 0, 0
    for start, end in sorted((event.start, event.end) for event in events):
        total += max(0, end - max(start, until))
        until = max(until, end)
    return total
