"""Around a memory engine in cocotb: buffers that take writes and give tiles, and the meaning of its instructions."""

import random

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, ReadOnly
from cocotbext.axi import AxiBus, AxiSlave

from acceltran.hw.spec.isa import Buffer, Opcode, encode
from acceltran.sw.golden.tiles import to_stream

from .access import access_word
from .axi_memory import AxiMemory
from .streams import start

__all__ = ["MemoryBench", "Reference"]


class Reference:
    """Main memory and buffers, and what instructions do to them. A slot is [mask, lines], all as Python ints.

    `others` are the memories behind the ports from 1 on, in which the other shares of weights lie.
    """

    def __init__(self, p, rng, memory, others=()):
        self.p, self.memory, self.others = p, memory, others
        self.tile, self.mask_bits, self.line_bits = p["tile"], p["tile"] ** 2, p["tile"] * p["width"]
        self.beat = p["bus_width"] // 8
        self.weight_line_bits = p["tile"] * p["b_width"]
        self.vector_line_bits = p["tile"] * (p["width"] + p["scale_bits"])
        self.weight = [self.random_slot(rng, self.weight_line_bits) for _ in range(p["weight_tiles"])]
        self.activation = [self.random_slot(rng, self.line_bits) for _ in range(p["activation_tiles"])]
        self.vector = [rng.getrandbits(self.vector_line_bits) for _ in range(p["vector_lines"])]

    def random_slot(self, rng, line_bits):
        bits = self.mask_bits
        mask = rng.choice((0, (1 << bits) - 1, 1 << rng.randrange(bits), rng.getrandbits(bits)))
        return [mask, [rng.getrandbits(line_bits) for _ in range(self.tile)]]

    def lines_in(self, mask):
        return -(-mask.bit_count() // self.tile)

    def copy(self):
        other = object.__new__(Reference)
        other.__dict__.update(self.__dict__)
        other.memory = bytearray(self.memory)
        other.weight, other.activation = ([[mask, list(lines)] for mask, lines in slots]
                                          for slots in (self.weight, self.activation))
        other.vector = list(self.vector)
        return other

    @property
    def contents(self):
        return {name: getattr(self, name) for name in ("weight", "activation", "vector", "memory")}

    def _bits(self, position, bits, port=0):
        memory = self.others[port - 1] if port else self.memory
        return int.from_bytes(memory[position:position + bits // 8], "little"), position + bits // 8

    def load(self, address, bytes, buffer, slot, pitch, rows, columns):  # noqa: A002
        position = address
        if buffer == Buffer.VECTOR:
            for n in range(columns):
                self.vector[slot + n], position = self._bits(position, self.vector_line_bits)
            return
        weights = buffer == Buffer.WEIGHT
        target, line_bits = (self.weight, self.weight_line_bits) if weights else (self.activation, self.line_bits)
        positions = [address] * (1 + len(self.others) if weights else 1)
        for tile in range(rows * columns):
            r, c = divmod(tile, columns)
            port, entry = tile % len(positions), target[slot + r * pitch + c]
            entry[0], positions[port] = self._bits(positions[port], self.mask_bits, port)
            for n in range(self.lines_in(entry[0])):
                entry[1][n], positions[port] = self._bits(positions[port], line_bits, port)

    def store(self, address, slot, pitch, rows, columns):
        stream = bytearray()
        for r in range(rows):
            for c in range(columns):
                mask, lines = self.activation[slot + r * pitch + c]
                stream += mask.to_bytes(self.mask_bits // 8, "little")
                for line in lines[:self.lines_in(mask)]:
                    stream += line.to_bytes(self.line_bits // 8, "little")
        stream += bytes(-len(stream) % self.beat)
        self.memory[address:address + len(stream)] = stream

    def gather(self, address, indices, row_bytes, slot, pitch, rows, columns):
        for t in range(rows * self.tile if columns else 0):
            index, _ = self._bits(indices + 4 * t, 32)
            position = address + index * row_bytes
            for c in range(columns):
                entry = self.activation[slot + t // self.tile * pitch + c]
                entry[1][t % self.tile], position = self._bits(position, self.line_bits)
                if t % self.tile == self.tile - 1:
                    entry[0] = (1 << self.mask_bits) - 1

    def run(self, opcode, values):
        getattr(self, opcode.name.lower())(**values)

    # Random instructions; what they read is put into memory first, from `free` on.

    def _place(self, rng, free, raw):
        address = free + rng.choice((0, 1, 3)) * self.beat
        self.memory[address:address + len(raw)] = raw
        return address, address + len(raw) + -len(raw) % self.beat

    def _area(self, rng, capacity, rows, columns):
        pitch = columns + rng.randrange(3)
        return {"slot": rng.randrange(capacity - (rows - 1) * pitch - columns + 1), "pitch": pitch, "rows": rows,
                "columns": columns}

    def random_matrix(self, rng, rows, columns, width):
        source = np.random.default_rng(rng.getrandbits(32))
        matrix = source.integers(-(1 << width - 1), 1 << width - 1, (rows * self.tile, columns * self.tile))
        density = source.choice([0, 0.02, 0.3, 0.7, 1], (rows, columns)).repeat(self.tile, 0).repeat(self.tile, 1)
        return matrix * (source.random(matrix.shape) < density)

    def random_load(self, rng, free, rows=None, columns=None, buffer=None):
        rows, columns = rows or rng.randint(1, 3), columns or rng.randint(1, 4)
        buffer = rng.choice((Buffer.WEIGHT, Buffer.ACTIVATION)) if buffer is None else buffer
        if self.others and buffer == Buffer.WEIGHT:
            return self.random_striped_load(rng, free, rows * columns)
        width = self.p["b_width" if buffer == Buffer.WEIGHT else "width"]
        raw = to_stream(self.random_matrix(rng, rows, columns, width), self.tile, width)
        address, free = self._place(rng, free, raw)
        surplus = rng.choice((0, 0, 1, 5)) * self.beat
        capacity = len(self.weight if buffer == Buffer.WEIGHT else self.activation)
        values = {"address": address, "bytes": free - address + surplus, "buffer": buffer}
        return Opcode.LOAD, values | self._area(rng, capacity, rows, columns), free

    def random_striped_load(self, rng, free, tiles):
        """A LOAD of so many tiles in one row, of which each port brings its share."""
        width, ports = self.p["b_width"], 1 + len(self.others)
        streams = [to_stream(self.random_matrix(rng, 1, 1, width), self.tile, width) for _ in range(tiles)]
        shares = [b"".join(streams[port::ports]) for port in range(ports)]
        longest = max(map(len, shares))
        address, free = self._place(rng, free, shares[0] + bytes(longest - len(shares[0])))
        for other, share in zip(self.others, shares[1:], strict=True):
            other[address:address + len(share)] = share
        surplus = rng.choice((0, 0, 1, 5)) * self.beat
        values = {"address": address, "bytes": free - address + surplus, "buffer": Buffer.WEIGHT}
        return Opcode.LOAD, values | self._area(rng, len(self.weight), 1, tiles), free

    def random_vector_load(self, rng, free):
        count = rng.randint(1, min(12, len(self.vector)))
        address, free = self._place(rng, free, rng.randbytes(count * self.vector_line_bits // 8))
        slot = rng.randrange(len(self.vector) - count + 1)
        return Opcode.LOAD, {"address": address, "bytes": free - address, "buffer": Buffer.VECTOR, "slot": slot,
                             "pitch": rng.randrange(3), "rows": rng.choice((0, 1, 5)), "columns": count}, free

    def random_store(self, rng, free):
        rows, columns = rng.randint(1, 3), rng.randint(1, 3)
        longest = rows * columns * (self.mask_bits + self.tile * self.line_bits) // 8
        address = free + rng.choice((0, 1, 3)) * self.beat
        return Opcode.STORE, {"address": address} | self._area(rng, len(self.activation), rows, columns), (
            address + longest + -longest % self.beat)

    def random_gather(self, rng, free):
        rows, columns, entries = rng.randint(1, 3), rng.randint(1, 3), rng.choice((1, 9))
        row_bytes = -(-columns * self.line_bits // 8 // self.beat) * self.beat + rng.choice((0, 1)) * self.beat
        table, free = self._place(rng, free, rng.randbytes(entries * row_bytes))
        indices = [rng.randrange(entries) for _ in range(rows * self.tile)]
        place, free = self._place(rng, free, b"".join(n.to_bytes(4, "little") for n in indices))
        values = {"address": table, "indices": place, "row_bytes": row_bytes}
        return Opcode.GATHER, values | self._area(rng, len(self.activation), rows, columns), free

    def random_nothing(self, rng, free):
        area = {"slot": 1 << 19, "pitch": 0, **rng.choice(({"rows": 0, "columns": 3}, {"rows": 2, "columns": 0}))}
        opcode, values = rng.choice((
            (Opcode.LOAD, {"address": 0, "bytes": 64, "buffer": rng.randrange(4)}), (Opcode.STORE, {"address": 0}),
            (Opcode.GATHER, {"address": 0, "indices": 0, "row_bytes": 64})))
        if values.get("buffer") == Buffer.VECTOR:  # Rows of lines mean nothing.
            area["columns"] = 0
        return opcode, values | area, free

    def random_program(self, rng, count, free):
        """`count` instructions with what they need in memory."""
        program = []
        for _ in range(count):
            make = rng.choice((self.random_load, self.random_load, self.random_load, self.random_vector_load,
                               self.random_store, self.random_gather, self.random_nothing))
            opcode, values, free = make(rng, free)
            program.append((opcode, values))
        assert free < len(self.memory)
        return program


def _meet(one, other):
    """Whether two LOADs write slots of the weight buffer in common."""
    first, second = (range(load["slot"], load["slot"] + load["columns"]) for load in (one, other))
    return one["buffer"] == other["buffer"] == Buffer.WEIGHT and first.start < second.stop and second.start < first.stop


class _Target:
    """The reference's memory behind the models of cocotbext-axi; 4 KiB and burst rules are asserted there."""

    def __init__(self, data):
        self.data = data

    async def read(self, address, length):
        return bytes(self.data[address:address + length])

    async def write(self, address, data):
        self.data[address:address + len(data)] = data


class MemoryBench:
    """Drives the engine and holds what it has written in `state`, a `Reference`."""

    def __init__(self, dut, p, seed, *, stall=0.0, latency=0, model="own"):
        self.dut, self.p, self.rng, self.stall = dut, p, random.Random(seed), stall
        self.latency, self.model = latency, model
        self.dones, self.errors, self.tiles, self.tasks = 0, [], 0, []
        self.read_bytes = self.written_bytes = self.cycles = self.stalled = 0
        self.further = range(1, p.get("ports", 1))
        self.further_bytes = dict.fromkeys(self.further, 0)

    async def begin(self):
        dut, p = self.dut, self.p
        await start(dut, "instruction", "fetch_request", "read")
        dut.flush.value = dut.core_reset.value = dut.fetch__ready.value = dut.scrub.value = 0
        dut.access.value = access_word()
        for name in (*self._weight_writes, "activation_write", "vector_write", "read_request"):
            getattr(dut, f"{name}__ready").value = 0
        for port in self.further:
            getattr(dut, f"port_base__{port - 1}").value = 0
        if self.model == "own":
            self.memory = AxiMemory(dut, "axi__", self.rng, burst_beats=p["burst_beats"], stall=self.stall,
                                    latency=self.latency)
            options = {"burst_beats": p["burst_beats"], "stall": self.stall, "latency": self.latency}
            self.memories = [self.memory, *(AxiMemory(dut, f"axi_{port}__", self.rng, write=False, **options)
                                            for port in self.further)]
            self.state = Reference(p, self.rng, self.memory.data, [memory.data for memory in self.memories[1:]])
            for memory in self.memories:
                cocotb.start_soon(memory.run())
        else:
            self.state = Reference(p, self.rng, bytearray(self.rng.randbytes(1 << 20)))
            slave = AxiSlave(AxiBus.from_prefix(dut, "axi_"), dut.clk, target=_Target(self.state.memory))
            for half, names in ((slave.write_if, "aw w b"), (slave.read_if, "ar r")):
                for name in names.split():
                    getattr(half, f"{name}_channel").set_pause_generator(self._pauses())
        cocotb.start_soon(self._watch())
        self.start_buffers()

    @property
    def _weight_writes(self):
        return ["weight_write", *(f"weight_write_{port}" for port in self.further)]

    def start_buffers(self):
        """The buffers, which a soft reset also stops."""
        for name, write in (*((name, self._write_weight) for name in self._weight_writes),
                            ("activation_write", self._write_activation), ("vector_write", self._write_vector)):
            self.tasks.append(cocotb.start_soon(self._sink(name, write)))
        self.requested = []
        self.tasks.append(cocotb.start_soon(self._sink("read_request", self.requested.append)))
        self.tasks.append(cocotb.start_soon(self._serve_tiles()))

    def _pauses(self):
        while True:
            yield self.rng.random() < self.stall

    async def _watch(self):
        dut = self.dut
        while True:
            await ReadOnly()
            self.dones += int(dut.done.value)
            self.tiles += int(dut.tiles_loaded.value)
            self.read_bytes += int(dut.bytes_read.value)
            self.written_bytes += int(dut.bytes_written.value)
            self.stalled += int(dut.stalled.value)
            for port in self.further:
                self.further_bytes[port] += int(getattr(dut, f"bytes_read_{port}").value)
            self.cycles += 1
            error = int(dut.error.value)
            if error & 1:
                self.errors.append(error >> 1)
            await FallingEdge(dut.clk)

    async def _sink(self, name, act):
        valid, ready, payload = (getattr(self.dut, f"{name}__{part}") for part in ("valid", "ready", "payload"))
        held = None
        while True:
            go = int(self.rng.random() >= self.stall)
            ready.value = go
            await ReadOnly()
            word = int(payload.value) if valid.value else None
            assert held is None or word == held, f"{name}: {held} changed before it was taken"
            held = None if go else word
            if go and word is not None:
                act(word)
            await FallingEdge(self.dut.clk)

    def _write_tile(self, slots, line_bits, word):
        s, count = self.state, self.p["lines_per_beat"]
        lines = [word >> n * line_bits & (1 << line_bits) - 1 for n in range(count)]
        word >>= count * line_bits
        enable, word = word & (1 << count) - 1, word >> count
        index_bits = max(1, (s.tile // count - 1).bit_length())
        index, word = word & (1 << index_bits) - 1, word >> index_bits
        slot, word = word & (1 << 20) - 1, word >> 20
        for n in range(count):
            if enable >> n & 1:
                slots[slot][1][index * count + n] = lines[n]
        if word >> s.mask_bits:
            slots[slot][0] = word & (1 << s.mask_bits) - 1
        assert enable or word >> s.mask_bits

    def _write_weight(self, word):
        self._write_tile(self.state.weight, self.state.weight_line_bits, word)

    def _write_activation(self, word):
        self._write_tile(self.state.activation, self.state.line_bits, word)

    def _write_vector(self, word):
        self.state.vector[word & 0xffff] = word >> 16

    async def _serve_tiles(self):
        s, dut, count = self.state, self.dut, self.p["lines_per_beat"]
        dut.read__valid.value = 0
        while True:
            while not self.requested:
                await FallingEdge(dut.clk)
            mask, lines = s.activation[self.requested.pop(0)]
            used = s.lines_in(mask)
            beats = max(1, -(-used // count))
            for beat in range(beats):
                word = 0
                for n in range(count):
                    at = beat * count + n
                    word |= (lines[at] if at < used else self.rng.getrandbits(s.line_bits)) << n * s.line_bits
                flags = (beat == 0) | (beat == beats - 1) << 1
                kept = self.rng.getrandbits(s.mask_bits) if beat else mask
                while self.rng.random() < self.stall:
                    await FallingEdge(dut.clk)
                dut.read__valid.value = 1
                dut.read__payload.value = word | (kept | flags << s.mask_bits) << count * s.line_bits
                await ReadOnly()
                while not dut.read__ready.value:
                    await FallingEdge(dut.clk)
                    await ReadOnly()
                await FallingEdge(dut.clk)
                dut.read__valid.value = 0

    async def issue(self, program):
        """Offer instructions one after the other; with several ports a LOAD waits until no other writes its slots."""
        dut, base = self.dut, self.dones
        for number, (opcode, values) in enumerate(program):
            loads = [(n, other) for n, (kind, other) in enumerate(program[:number])
                     if self.further and kind is opcode is Opcode.LOAD]
            while any(self.dones - base <= n and _meet(values, other) for n, other in loads):
                await FallingEdge(dut.clk)
            while self.rng.random() < self.stall:
                await FallingEdge(dut.clk)
            dut.instruction__valid.value = 1
            dut.instruction__payload.value = int.from_bytes(encode(opcode, **values), "little")
            await ReadOnly()
            while not dut.instruction__ready.value:
                await FallingEdge(dut.clk)
                await ReadOnly()
            await FallingEdge(dut.clk)
            dut.instruction__valid.value = 0

    async def run(self, program, limit=60000):
        """Run a program to its end and compare everything with the reference."""
        expected = self.state.copy()
        for opcode, values in program:
            expected.run(opcode, values)
        goal, limit = self.dones + len(program), self.cycles + limit
        task = cocotb.start_soon(self.issue(program))
        while self.dones < goal:
            await FallingEdge(self.dut.clk)
            assert self.cycles < limit and not self.errors, (self.dones, goal, self.errors)
        await task
        for name, contents in self.state.contents.items():
            assert contents == expected.contents[name], name

    async def fetch(self, addresses):
        """Fetch instructions while everything else goes on; returns [(instruction, error)]."""
        dut, answers = self.dut, []

        async def ask():
            for address in addresses:
                while self.rng.random() < self.stall:
                    await FallingEdge(dut.clk)
                dut.fetch_request__valid.value, dut.fetch_request__payload.value = 1, address
                await ReadOnly()
                while not dut.fetch_request__ready.value:
                    await FallingEdge(dut.clk)
                    await ReadOnly()
                await FallingEdge(dut.clk)
                dut.fetch_request__valid.value = 0

        asking = cocotb.start_soon(ask())
        self.tasks.append(asking)
        while len(answers) < len(addresses):
            go = int(self.rng.random() >= self.stall)
            dut.fetch__ready.value = go
            await ReadOnly()
            if go and dut.fetch__valid.value:
                word = int(dut.fetch__payload.value)
                answers.append((word & (1 << 512) - 1, word >> 512))
            await FallingEdge(dut.clk)
        dut.fetch__ready.value = 0
        return answers

    @property
    def _bursts(self):
        return sum(memory.bursts for memory in self.memories)

    async def soft_reset(self, tasks, limit=2000):
        """Flush, wait for idle, reset; checks that no burst begins meanwhile."""
        dut = self.dut
        dut.flush.value = 1
        await FallingEdge(dut.clk)
        bursts, dones, cycles = self._bursts, self.dones, 0
        while not dut.idle.value:
            await FallingEdge(dut.clk)
            cycles += 1
            assert cycles < limit
        assert all(memory.idle for memory in self.memories)
        for _ in range(5):
            await FallingEdge(dut.clk)
        assert self._bursts == bursts and self.dones <= dones + 1 and dut.idle.value
        for task in (*tasks, *self.tasks):
            task.cancel()
        self.tasks = []
        dut.flush.value, dut.core_reset.value = 0, 1
        for name in ("instruction", "fetch_request", "read"):
            getattr(dut, f"{name}__valid").value = 0
        await FallingEdge(dut.clk)
        dut.core_reset.value = 0
        self.errors.clear()
        self.start_buffers()
