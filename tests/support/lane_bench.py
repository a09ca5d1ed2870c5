"""Surroundings for one lane: operand slots that fill and are given up as its positions allow, and a ring of steps."""

import numpy as np
from cocotb.triggers import FallingEdge, ReadOnly

from acceltran.hw.pe.lane_ports import STEP_RING
from acceltran.sw.golden.tiles import pack_bits

from .streams import random_tile

__all__ = ["LaneBench"]


class _Operand:
    """The writer of the slots of one operand, tile by tile (A) or group by group (B)."""

    def __init__(self, bench, groups):
        self.bench, self.groups = bench, groups
        self.tiles = []
        self.tile = self.group = 0
        self.needed = (0, 0)

    def position(self):
        """`frontier` as a `ring_position`."""
        lap, slot = divmod(self.tile, self.bench.slots)
        bits = self.bench.group_bits
        return self.group | slot << bits | (lap & 1) << bits + self.bench.slot_bits

    def follow(self, word):
        """Take the progress of the lane: it never goes back by tiles and never passes the end."""
        bits, slots = self.bench.group_bits, self.bench.slots
        group, place, lap = word & (1 << bits) - 1, word >> bits, word >> bits + self.bench.slot_bits
        slot = place & (1 << self.bench.slot_bits) - 1
        candidates = range(self.needed[0], self.needed[0] + 2 * slots)
        tile = next(n for n in candidates if n % slots == slot and n // slots % 2 == lap)
        assert (tile, group) <= (self.tile, self.group)
        self.needed = max(self.needed, (tile, group))

    def free(self):
        """Whether the next group may be written."""
        return self.tile < len(self.tiles) and (self.tile - self.bench.slots, self.group) < self.needed

    def advance(self):
        """Count one group as written."""
        self.group += 1
        if self.group == self.groups:
            self.tile, self.group = self.tile + 1, 0


class LaneBench:
    """Random steps for the lane of one row, and the driver of its inputs.

    ``work[n]`` is, per step, (row of A, B tile, number of the A tile, number of the B tile, partial sum, last).
    """

    def __init__(self, dut, p, rng, steps):
        self.dut, self.p, self.rng = dut, p, rng
        self.size, self.width, self.b_width, self.slots = p["tile"], p["width"], p["b_width"], p["slots"]
        self.rows = p["group_rows"]
        self.group_bits, self.slot_bits = (self.size // self.rows - 1).bit_length(), (self.slots - 1).bit_length()
        self.a, self.b = _Operand(self, 1), _Operand(self, self.size // self.rows)
        self.psum_bits = (p["psum_tiles"] - 1).bit_length()
        self.work, self.flags = [], []
        self._plan(steps)
        self.pushed = 0
        self.a_now = self._noise((self.slots, self.size))
        self.b_now = self._noise((self.slots, self.size, self.size))

    def _noise(self, shape):
        return np.array([self.rng.randint(-5, 5) for _ in range(int(np.prod(shape)))]).reshape(shape)

    def _plan(self, steps):
        rng = self.rng
        densities = (0.0, 0.1, 0.5, 1.0)
        keep_a = keep_b = False
        a_density = b_density = 0.5
        for psum, last, end in self._chunks(steps):
            if rng.random() < 0.3:
                a_density, b_density = rng.choice(densities), rng.choice(densities)
            if not keep_a:
                self.a.tiles.append(random_tile(rng, self.size, self.width, a_density)[0])
            if not keep_b:
                self.b.tiles.append(random_tile(rng, self.size, self.b_width, b_density))
            self.work.append((self.a.tiles[-1], self.b.tiles[-1], len(self.a.tiles) - 1, len(self.b.tiles) - 1, psum, last))
            keep_a, keep_b = (not end and rng.random() < 0.2 for _ in range(2))
            self.flags.append(psum | (last | (not keep_a) << 1 | (not keep_b) << 2) << self.psum_bits)

    def _chunks(self, steps):
        """(partial sum, last of its output tile, end of everything) of at least `steps` steps."""
        count, output, psums = 0, 0, self.p["psum_tiles"]
        while count < steps:
            size, length = self.rng.randint(1, psums), self.rng.choice((1, 1, 2, 3, 6))
            count += size * length
            for k in range(length):
                for n in range(size):
                    last = k == length - 1
                    yield (output + n) % psums, last, count >= steps and last and n == size - 1
            output += size

    def drive(self, pace):
        """Move the writers (probability `pace`) and set the inputs; on the falling edge."""
        dut, rng, slots = self.dut, self.rng, self.slots
        if rng.random() < pace and self.a.free():
            self.a_now[self.a.tile % slots] = self.a.tiles[self.a.tile]
            self.a.advance()
        written = rng.random() < pace and self.b.free()
        end = self.b.position()
        if written:
            begin = self.b.group * self.rows
            place = self.b.tile % slots
            self.b_now[place, begin:begin + self.rows] = self.b.tiles[self.b.tile][begin:begin + self.rows]
            self.b.advance()
        ram = self.p.get("b_memory") == "ram"  # Usable in the cycle after the write.
        dut.a_end.value, dut.b_end.value, dut.b_partial.value = self.a.position(), end if ram else self.b.position(), 1
        dut.a_values.value = pack_bits(self.a_now.reshape(-1), self.width)
        dut.a_masks.value = pack_bits(self.a_now.reshape(-1) != 0, 1)
        if not ram:
            dut.b_masks.value = pack_bits(self.b_now.reshape(-1) != 0, 1)
        if hasattr(dut, "b_values"):
            dut.b_values.value = pack_bits(self.b_now.transpose(2, 0, 1).reshape(-1), self.b_width)
        if ram:
            row_bits = (slots * self.size - 1).bit_length()
            for c in range(self.size):
                write = getattr(dut, f"b_writes__{c}")
                write.value = 0
                if written:
                    value = int(self.b_now[place, begin, c])
                    write.value = (value & (1 << self.b_width) - 1 | (value != 0) << self.b_width
                                   | (place * self.size + begin | 1 << row_bits) << self.b_width + 1)
        ring = [0] * STEP_RING
        for n in range(max(0, self.pushed - STEP_RING), self.pushed):
            ring[n % STEP_RING] = self.flags[n]
        dut.steps.value = pack_bits(ring, 3 + self.psum_bits)
        dut.steps_end.value = self.pushed % (2 * STEP_RING)

    def observe(self, pace):
        """Follow the outputs; once all has settled."""
        dut = self.dut
        self.a.follow(int(dut.a_progress.value))
        self.b.follow(int(dut.b_progress.value))
        behind = (self.pushed - int(dut.steps_position.value)) % (2 * STEP_RING)
        if behind < STEP_RING and self.pushed < len(self.flags) and self.rng.random() < pace:
            self.pushed += 1

    async def cycle(self, pace):
        """One cycle up to the moment in which outputs may be read."""
        self.drive(pace)
        await ReadOnly()
        self.observe(pace)

    async def finish(self):
        """On to the next falling edge."""
        await FallingEdge(self.dut.clk)
