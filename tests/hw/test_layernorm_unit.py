"""Layer-norm unit against its golden function: every integer, with stalls on every stream."""

import random

import cocotb
import numpy as np
import pytest
import torch
from amaranth.lib import data
from cocotb.triggers import FallingEdge, ReadOnly

from acceltran.hw.spec.layernorm import BETA_LEADS, GAMMA_LEADS
from acceltran.hw.spec.widths import SLOT_BITS
from acceltran.hw.vector.layernorm_unit import LayerNormUnit, layernorm_command
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.layernorm import layernorm, layernorm_fields
from acceltran.sw.golden.tiles import matrix_of, pack_bits, tiles_of, unpack_bits, unpack_tile
from support.streams import send, start, tile_beats

MAX_INNER = 512


class Bench:
    """The unit with models of the tile buffer, the vector buffer and the write port around it."""

    def __init__(self, dut, seed, stall=0.0):
        p = parameters()
        self.dut, self.tile, self.width, self.lines_per_beat = dut, p["tile"], p["width"], p["lines_per_beat"]
        self.rng, self.stall, self.slices = random.Random(seed), stall, p["slices"]
        self.tiles, self.lines, self.writes, self.done = {}, {}, [[] for _ in range(self.slices)], 0

    async def begin(self):
        streams = [f"{name}__{n}" for name in ("x", "r", "vector") for n in range(self.slices)]
        await start(self.dut, "command", *streams)
        for n in range(self.slices):
            for name in ("x_request", "r_request", "vector_request", "o"):
                getattr(self.dut, f"{name}__{n}__ready").value = 0
            cocotb.start_soon(self.serve(f"x_request__{n}", f"x__{n}", self.beats_of))
            cocotb.start_soon(self.serve(f"r_request__{n}", f"r__{n}", self.beats_of))
            cocotb.start_soon(self.serve(f"vector_request__{n}", f"vector__{n}", lambda line: [self.lines[line]]))
            cocotb.start_soon(self.take_writes(n))
        cocotb.start_soon(self.count_done())

    def beats_of(self, slot):
        mask = None
        if self.rng.random() < 0.2:
            mask = np.array([self.rng.random() < 0.3 for _ in range(self.tile**2)]).reshape(self.tile, self.tile)
        return tile_beats(self.tiles[slot], self.width, self.lines_per_beat, mask=mask, rng=self.rng, held=True)

    async def serve(self, request, reply, words_of):
        """Take requests, never more than four unanswered; another task answers them in order."""
        queue = []
        cocotb.start_soon(self.answer(reply, queue, words_of))
        valid, ready, payload = (getattr(self.dut, f"{request}__{n}") for n in ("valid", "ready", "payload"))
        while True:
            ready.value = int(self.rng.random() >= self.stall)
            await ReadOnly()
            if valid.value and ready.value:
                queue.append(int(payload.value))
            assert len(queue) <= 4
            await FallingEdge(self.dut.clk)

    async def answer(self, reply, queue, words_of):
        while True:
            while not queue:
                await FallingEdge(self.dut.clk)
            await send(self.dut, reply, words_of(queue[0]), self.rng, self.stall)
            queue.pop(0)

    async def take_writes(self, n):
        valid, ready, payload = (getattr(self.dut, f"o__{n}__{name}") for name in ("valid", "ready", "payload"))
        while True:
            ready.value = int(self.rng.random() >= self.stall)
            await ReadOnly()
            if valid.value and ready.value:
                self.writes[n].append(int(payload.value))
            await FallingEdge(self.dut.clk)

    async def count_done(self):
        while True:
            await ReadOnly()
            self.done += int(self.dut.done.value)
            await FallingEdge(self.dut.clk)

    def result(self, slot, columns):
        """Take the writes of `columns` tiles from slot on, in order, from the slices in turn; returns the matrix."""
        size, width, per = self.tile, self.width, self.lines_per_beat
        index_bits = max(1, (size // per - 1).bit_length())
        tiles = []
        for column in range(columns):
            lines, last = np.zeros((size, size), dtype=np.int64), False
            while not last:
                word = self.writes[column % self.slices].pop(0)
                values = unpack_bits(word, width, per * size).reshape(per, size)
                word >>= per * size * width
                enable, word = word & (1 << per) - 1, word >> per
                index, word = word & (1 << index_bits) - 1, word >> index_bits
                assert word & (1 << SLOT_BITS) - 1 == slot + column
                word >>= SLOT_BITS
                mask, last = word & (1 << size * size) - 1, word >> size * size
                for n in range(per):
                    if enable >> n & 1:
                        lines[index * per + n] = values[n]
            mask = unpack_bits(mask, 1, size * size, signed=False).reshape(size, size)
            tiles.append(unpack_tile(mask, lines))
            assert ((tiles[-1] != 0) == mask).all()
        return matrix_of(np.array([tiles]))

    def put(self, slot, matrix):
        for column, tile in enumerate(tiles_of(matrix, self.tile)[0]):
            self.tiles[slot + column] = tile

    def command(self, x, gamma, beta, fields, *, residual=None, tau=0, base):
        """Place the operands, return (command word, expected matrix, slot of the result)."""
        columns = x.shape[1] // self.tile
        x_slot, r_slot, o_slot = base, base + 1000, base + 2000
        self.put(x_slot, x)
        if residual is not None:
            self.put(r_slot, residual)
        for column in range(columns):
            part = slice(column * self.tile, (column + 1) * self.tile)
            self.lines[base % 60000 + column] = pack_bits(gamma[part], self.width)
            self.lines[base % 60000 + 1000 + column] = pack_bits(beta[part], self.width)
        values = {"x_slot": x_slot, "residual": int(residual is not None), "r_slot": r_slot, "o_slot": o_slot,
                  "columns": columns, "gamma_line": base % 60000, "beta_line": base % 60000 + 1000, "tau": tau,
                  **fields}
        word = data.Layout.cast(layernorm_command(self.width)).const(values).as_bits()
        as_tensor = torch.from_numpy
        expected = layernorm(as_tensor(x), as_tensor(gamma), as_tensor(beta), tau=tau, width=self.width, **fields,
                             residual=None if residual is None else as_tensor(residual)).numpy()
        return word, expected, o_slot


def operands(bench, kind, columns):
    """Integers x, residual, and the fields for them."""
    size, width, rng = bench.tile, bench.width, np.random.default_rng(bench.rng.getrandbits(32))
    n, top = size * columns, (1 << width - 1) - 1
    shape, frac = (size, n), width - 4
    residual, r_frac, eps = None, None, 1e-12
    if kind == "zero":
        x = np.zeros(shape, dtype=np.int64)
    elif kind == "constant":
        x = np.repeat(rng.integers(-top - 1, top + 1, (size, 1)), n, axis=1)
    elif kind == "extremes":
        x = rng.choice([-top - 1, top], shape)
        residual, r_frac = rng.choice([-top - 1, top], shape), frac
    elif kind == "single":
        x = np.zeros(shape, dtype=np.int64)
        x[np.arange(size), rng.integers(0, n, size)] = rng.choice([-top - 1, top, 1, -1], size)
    elif kind == "mean":
        x = np.clip(int(0.9 * top) + rng.integers(-3, 4, shape), -top - 1, top)
        x[size // 2:] = -x[size // 2:]
    elif kind == "epsilon":
        x, eps = rng.integers(-2, 3, shape), 1e-5
    elif kind == "residual":
        x, residual = (np.clip(np.round(rng.normal(0, top / 8, shape)), -top, top).astype(np.int64) for _ in range(2))
        r_frac = frac + int(rng.integers(-3, 4))
    else:
        x = np.clip(np.round(rng.normal(0, top / 6, shape)), -top - 1, top).astype(np.int64)
        x[rng.random(shape) < 0.3] = 0
    gamma = rng.integers(-top - 1, top + 1, n)
    beta = rng.integers(-top - 1, top + 1, n) // 8
    if kind == "extremes":
        gamma, beta = rng.choice([-top - 1, top], n), rng.choice([-top - 1, top], n)
    gamma_lead, beta_lead = (2, 1) if kind == "random" else (int(rng.choice(leads)) for leads in (GAMMA_LEADS, BETA_LEADS))
    fields = layernorm_fields(
        n=n, x_frac=frac, r_frac=r_frac, x_max=np.abs(x).max() / 2.0**frac,
        r_max=None if residual is None else np.abs(residual).max() / 2.0**r_frac,
        gamma_frac=frac + gamma_lead, beta_frac=frac + beta_lead, o_frac=frac, eps=eps, width=width)
    return x, gamma, beta, fields, residual


async def run(bench, jobs, cycles=60000):
    """Send all commands at once, compare every result in turn."""
    cocotb.start_soon(send(bench.dut, "command", [job[0] for job in jobs], bench.rng, bench.stall))
    for _ in range(cycles):
        await FallingEdge(bench.dut.clk)
        if bench.done == len(jobs):
            break
    assert bench.done == len(jobs), f"{bench.done} of {len(jobs)} commands ended"
    for _word, expected, slot in jobs:
        got = bench.result(slot, expected.shape[1] // bench.tile)
        assert (got == expected).all(), np.argwhere(got != expected)[:5]
    assert not any(bench.writes)
    await FallingEdge(bench.dut.clk)
    assert not bench.dut.busy.value


KINDS = ("zero", "constant", "extremes", "single", "mean", "epsilon", "residual", "random")


@simulated()
async def check_kinds(dut):
    bench = Bench(dut, 1)
    await bench.begin()
    jobs = []
    for n, kind in enumerate(KINDS):
        x, gamma, beta, fields, residual = operands(bench, kind, n % 3 + 1)
        jobs.append(bench.command(x, gamma, beta, fields, residual=residual, base=3000 * n))
    await run(bench, jobs)


@simulated()
async def check_stalls(dut):
    bench = Bench(dut, 2, stall=0.4)
    await bench.begin()
    jobs = []
    for n in range(10):
        x, gamma, beta, fields, residual = operands(bench, bench.rng.choice(KINDS), bench.rng.randint(1, 4))
        tau = bench.rng.choice([0, 1, 1 << bench.width - 4])
        jobs.append(bench.command(x, gamma, beta, fields, residual=residual, tau=tau, base=3000 * n))
    await run(bench, jobs)


@simulated()
async def check_ties_at_tau(dut):
    bench = Bench(dut, 3, stall=0.1)
    await bench.begin()
    jobs = []
    for n, step in enumerate((-1, 0, 1)):
        x, gamma, beta, fields, residual = operands(bench, "random", 2)
        _, plain, _ = bench.command(x, gamma, beta, fields, base=40000)
        middle = int(np.sort(np.abs(plain), axis=None)[plain.size // 2])
        jobs.append(bench.command(x, gamma, beta, fields, tau=middle + step, base=3000 * n))
        assert (np.abs(jobs[-1][1]) == middle).any() == (step <= 0)
        assert 0.2 < (jobs[-1][1] == 0).mean() < 0.8
    await run(bench, jobs)


@simulated()
async def check_long_row_and_throughput(dut):
    bench = Bench(dut, 4)
    await bench.begin()
    columns = 384 // bench.tile
    x, gamma, beta, fields, residual = operands(bench, "residual", columns)
    jobs = [bench.command(x, gamma, beta, fields, residual=residual, base=3000 * n) for n in range(2)]
    cycles = 0

    async def clock():
        nonlocal cycles
        while True:
            await FallingEdge(dut.clk)
            cycles += 1

    cocotb.start_soon(clock())
    await run(bench, jobs)
    packing = columns  # a tile whose last row fills a line and leaves a rest costs the compressor a cycle
    rounds = -(-columns // bench.slices)
    assert cycles <= len(jobs) * (2 * rounds * bench.tile + packing + 40), cycles


@pytest.mark.parametrize(("tile", "width", "lines_per_beat", "slices"), [
    (8, 8, 1, 1), (16, 8, 4, 1), (8, 20, 4, 2),
    *(pytest.param(*more, marks=pytest.mark.slow) for more in ((8, 8, 4, 2), (16, 20, 4, 2), (16, 20, 1, 1), (8, 8, 2, 4))),
])
def test_layernorm_unit(tile, width, lines_per_beat, slices):
    size = {"tile": tile, "width": width, "lines_per_beat": lines_per_beat, "slices": slices}
    simulate_component(__name__, LayerNormUnit(**size, max_inner=MAX_INNER), **size)
