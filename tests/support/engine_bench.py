"""The buffers around an engine, in Python: what it reads, at the pace that the test wants, and what it writes."""

import random
from collections import deque

import numpy as np
from cocotb.triggers import FallingEdge, ReadOnly

from acceltran.hw.layout import tile_write, vector_line
from acceltran.hw.spec.widths import SLOT_BITS
from acceltran.sw.golden.tiles import pack_bits, pack_tile, unpack_bits, unpack_tile

from .streams import random_tile, start

__all__ = ["EngineBench", "HELD"]

HELD = 8
"""Cycles of reset that reach every register of an engine."""


class _ReadPort:
    """A port of a tile buffer: answers come `latency` cycles after a grant, and something else at all other times."""

    def __init__(self, bench, name, buffer, lanes):
        self.bench, self.port, self.lanes = bench, {}, lanes
        self.tiles, self.width = bench.tiles[buffer], bench.widths[buffer]
        for part in ("valid", "ready", "slots", "active"):
            for kind in ("mask", "line"):
                self.port[kind, part] = getattr(bench.dut, f"{name}__{kind}_{part}")
        self.index = getattr(bench.dut, f"{name}__line_index")
        self.answers = {kind: getattr(bench.dut, f"{name}__{kind}s") for kind in ("mask", "line")}
        self.due = {kind: deque([None] * bench.config.buffer_latency) for kind in ("mask", "line")}

    def drive(self):
        rng = self.bench.rng
        for kind, answer in self.answers.items():
            word = self.due[kind].popleft()
            answer.value = rng.getrandbits(len(answer)) if word is None else word
            self.port[kind, "ready"].value = int(rng.random() >= self.bench.stall)

    def sample(self):
        for kind in ("mask", "line"):
            word = None
            if self.port[kind, "valid"].value and self.port[kind, "ready"].value:
                slots = unpack_bits(int(self.port[kind, "slots"].value), SLOT_BITS, self.lanes, signed=False)
                active = int(self.port[kind, "active"].value)
                word = self._answer(kind, [slot if active >> n & 1 else None for n, slot in enumerate(slots.tolist())])
            self.due[kind].append(word)

    def _answer(self, kind, slots):
        config, rng, word = self.bench.config, self.bench.rng, 0
        bits = config.tile**2 if kind == "mask" else config.lines_per_beat * config.tile * self.width
        for lane, slot in enumerate(slots):
            part = rng.getrandbits(bits)
            if slot in self.tiles:
                mask, lines = pack_tile(self.tiles[slot])
                if kind == "mask":
                    part = pack_bits(mask.reshape(-1), 1)
                else:
                    first, size = int(self.index.value) * config.lines_per_beat, config.tile * self.width
                    for n, line in enumerate(lines[first:first + config.lines_per_beat]):
                        part = part & ~((1 << size) - 1 << n * size) | pack_bits(line, self.width) << n * size
            word |= part << lane * bits
        return word


class _Lines:
    """A reader of the vector buffer: requests wait, answers come in order."""

    def __init__(self, bench, request, line):
        self.bench, self.waiting, self.offered = bench, deque(), False
        self.request, self.line = ({part: getattr(bench.dut, f"{name}__{part}") for part in ("valid", "ready", "payload")}
                                   for name in (request, line))

    def drive(self):
        rng = self.bench.rng
        self.request["ready"].value = int(len(self.waiting) < 3 and rng.random() >= self.bench.stall)
        if not self.offered:
            self.offered = bool(self.waiting) and rng.random() >= self.bench.stall
            self.line["payload"].value = (self.bench.line(self.waiting[0]) if self.offered else
                                          rng.getrandbits(len(self.line["payload"])))
        self.line["valid"].value = int(self.offered)

    def sample(self):
        if self.offered and self.line["ready"].value:
            self.waiting.popleft()
            self.offered = False
        if self.request["valid"].value and self.request["ready"].value:
            self.waiting.append(int(self.request["payload"].value))


class _WritePort:
    """Takes writes; a tile is there once its mask is."""

    def __init__(self, bench, name):
        self.bench = bench
        self.port = {part: getattr(bench.dut, f"{name}__{part}") for part in ("valid", "ready", "payload")}
        self.lines, self.offered = {}, None

    def drive(self):
        self.port["ready"].value = int(self.bench.rng.random() >= self.bench.stall)

    def sample(self):
        word = int(self.port["payload"].value) if self.port["valid"].value else None
        assert self.offered in (None, word), "a write that waits has changed"
        self.offered = None if self.port["ready"].value else word
        if word is None or self.offered is not None:
            return
        config = self.bench.config
        write = tile_write(config.tile, config.width, config.lines_per_beat).from_bits(word)
        lines = self.lines.setdefault(write.slot, {})
        for n in range(config.lines_per_beat):
            if write.line_enable >> n & 1:
                place = write.index * config.lines_per_beat + n
                lines[place] = unpack_bits(write.lines[n].as_bits(), config.width, config.tile)
        if write.last:
            mask = unpack_bits(write.mask, 1, config.tile**2, signed=False).reshape(config.tile, config.tile)
            values = [lines[n] for n in sorted(lines)]
            assert len(values) == -(-int(mask.sum()) // config.tile), "lines of a tile that its mask does not name, or none"
            tile = unpack_tile(mask, np.concatenate([*values, np.zeros(0, np.int64)]))
            assert ((tile != 0) == mask).all()
            self.bench.wrote(write.slot, tile)
            del self.lines[write.slot]


class EngineBench:
    """Drives all ports of an engine cycle by cycle.

    Parameters
    ----------
    dut, config : the engine and its AcceleratorConfig
    seed : of everything that is random
    reads : {port: (buffer, lanes)}
    lines : [(port of requests, port of lines)]
    writes : ports

    Members
    -------
    tiles : {"activation", "weight": {slot: array}}; `filled` are the slots of each that hold operands
    vectors : {line: values, or values and scales}
    taus : threshold of each curve
    results : {slot: array}, what was written and not yet looked at
    stall : share of cycles in which a port is not ready, or an input idle
    more : what makes further ports from the bench, with `drive` and `sample`
    cycles : in which instructions were issued or awaited
    dones, error : of the engine; the error as (code, instructions done then)
    """

    def __init__(self, dut, config, seed, *, reads, lines, writes):
        self.dut, self.config, self.rng, self.stall = dut, config, random.Random(seed), 0.0
        self.widths = {"activation": config.width, "weight": config.b_width}
        self.tiles = {"activation": {}, "weight": {}}
        self.vectors, self.results, self.dones, self.error, self.more = {}, {}, 0, None, []
        self.cycles = 0
        self.taus = [0, *(self.rng.getrandbits(config.width - 1) >> self.rng.randrange(config.width) for _ in range(3))]
        self._reads, self._lines, self._writes = reads, lines, writes

    def fill(self, buffer, count):
        """Random tiles, empty and dense ones among them, in the first `count` slots."""
        for slot in range(count):
            self.tiles[buffer][slot] = random_tile(self.rng, self.config.tile, self.widths[buffer],
                                                   self.rng.choice((0, 0.03, 0.2, 0.5, 0.9, 1)))

    def line(self, address):
        """A line of the vector buffer as the engine sees it."""
        layout = vector_line(self.config.tile, self.config.width, self.config.scale_bits)
        if address not in self.vectors:
            return self.rng.getrandbits(layout.size)
        values, scales = self.vectors[address]
        return pack_bits(values, self.config.width) | (
            pack_bits(scales, self.config.scale_bits) << self.config.tile * self.config.width if self.config.scale_bits else 0)

    def on_done(self, number):
        """Called with the number of an instruction when it is done."""

    def wrote(self, slot, tile):
        assert slot not in self.results, f"slot {slot} is written twice"
        self.results[slot] = tile

    async def reset(self):
        """Forget what is under way, and begin anew."""
        self.ports = [*(_ReadPort(self, name, *given) for name, given in self._reads.items()),
                      *(_Lines(self, *names) for names in self._lines), *(_WritePort(self, name) for name in self._writes),
                      *(make(self) for make in self.more)]
        self.dones, self.error, self.results = 0, None, {}
        self.dut.instruction__valid.value, self.dut.rst.value = 0, 1
        for _ in range(HELD):
            await FallingEdge(self.dut.clk)
        await self._cycle()  # What was offered before is taken back while all is in reset.
        self.dut.rst.value = 0
        await self._cycle()

    async def _cycle(self):
        """One cycle of all ports, without instructions."""
        for port in self.ports:
            port.drive()
        await ReadOnly()
        for port in self.ports:
            port.sample()
        await FallingEdge(self.dut.clk)

    async def begin(self):
        await start(self.dut, "instruction")
        await self.reset()

    async def run(self, words, *, until=None, limit=20_000):
        """Issue instructions until all are done, or there is an error, or `until` says so."""
        dut, words, offered = self.dut, deque(words), False
        count = len(words)
        for _ in range(limit):
            self.cycles += 1
            for port in self.ports:
                port.drive()
            dut.tau.value = self.taus[int(dut.curve.value) % len(self.taus)]
            offered = offered or bool(words) and self.rng.random() >= self.stall
            dut.instruction__valid.value = int(offered)
            dut.instruction__payload.value = words[0] if offered else self.rng.getrandbits(512)
            await ReadOnly()
            for port in self.ports:
                port.sample()
            if dut.done.value:
                if self.error is None:
                    self.on_done(self.dones)
                self.dones += 1
            if int(dut.error.value) & 1 and self.error is None:
                self.error = int(dut.error.value) >> 1, self.dones
            assert dut.busy.value or not dut.stalled.value
            if offered and dut.instruction__ready.value:
                words.popleft()
                offered = False
            await FallingEdge(dut.clk)
            if until() if until else self.dones == count or self.error:
                dut.instruction__valid.value = 0
                return
        raise AssertionError(f"{self.dones} of {count} instructions done in {limit} cycles")
