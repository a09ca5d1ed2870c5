"""Weights for several clusters: read once when all have asked, and every tile to each of them at its own time."""

import random

import cocotb
import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from cocotb.triggers import Combine, FallingEdge, ReadOnly

from acceltran.hw.buffer.sram import SRAM_VERILOG
from acceltran.hw.buffer.tile_buffer import TileBuffer
from acceltran.hw.buffer.tile_reader import read_request
from acceltran.hw.layout import tile_beat, tile_write
from acceltran.hw.matrix.weight_broadcast import WeightBroadcast
from acceltran.hw.spec.widths import SLOT_BITS
from acceltran.hw.streams.crossbar import CROSSBAR_VERILOG
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.tiles import pack_bits
from support.streams import collect, random_tile, send, start, tile_beats, tile_of_beats
from support.tile_writes import write_words

TILES, COUNT = 16, 60


class Bench(wiring.Component):
    """A weight buffer with the broadcast as its reader."""

    def __init__(self, *, tile, width, lines_per_beat, columns, clusters, latency):
        self._size = {"tile": tile, "width": width, "lines_per_beat": lines_per_beat}
        self._columns, self._clusters, self._latency = columns, clusters, latency
        super().__init__({
            "write": In(stream.Signature(tile_write(**self._size))),
            **{f"request_{n}": In(stream.Signature(read_request(columns))) for n in range(clusters)},
            **{f"o_{n}_{column}": Out(stream.Signature(tile_beat(**self._size)))
               for n in range(clusters) for column in range(columns)},
            "idle": Out(1), "granted": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = TileBuffer(**self._size, banks=4, tiles=TILES, readers=[self._columns], writers=1,
                                                  name="weight", registered=("addresses",) * (self._latency - 1))
        m.submodules.broadcast = broadcast = WeightBroadcast(
            **self._size, columns=self._columns, clusters=self._clusters, latency=self._latency)
        connect(m, flipped(self.write), buffer.write[0])
        connect(m, broadcast.port, buffer.read_0)
        for n in range(self._clusters):
            connect(m, flipped(getattr(self, f"request_{n}")), broadcast.request[n])
            for column in range(self._columns):
                connect(m, broadcast.o[n][column], flipped(getattr(self, f"o_{n}_{column}")))
        m.d.comb += [self.idle.eq(broadcast.idle), self.granted.eq(broadcast.port.mask_valid & broadcast.port.mask_ready)]
        return m


def word(slots, active):
    return pack_bits(slots, SLOT_BITS) | pack_bits(active, 1) << len(slots) * SLOT_BITS


class Watch:
    """What was asked, read and taken, cycle by cycle."""

    def __init__(self, dut, clusters, columns, wanted):
        self.dut, self.clusters, self.wanted = dut, clusters, wanted
        self.outputs = [(n, column) for n in range(clusters) for column in range(columns)]
        self.asked = self.granted = self.idle_cycles = 0
        self.taken = dict.fromkeys(self.outputs, 0)

    def _flags(self, name):
        return [int(getattr(self.dut, f"request_{n}__{name}").value) for n in range(self.clusters)]

    async def run(self):
        while True:
            await ReadOnly()
            valid, ready = self._flags("valid"), self._flags("ready")
            assert len(set(ready)) == 1 and ready[0] <= min(valid), "a request is taken of all clusters together"
            if int(self.dut.idle.value):
                self.idle_cycles += 1
                assert all(self.taken[n, column] == self.wanted[column][self.asked] for n, column in self.outputs)
            self.granted += int(self.dut.granted.value)
            assert self.granted <= self.asked, "nothing is read before all have asked"
            self.asked += ready[0]
            for n, column in self.outputs:
                port = f"o_{n}_{column}"
                self.taken[n, column] += int(getattr(self.dut, f"{port}__valid").value) & int(
                    getattr(self.dut, f"{port}__ready").value)
            await FallingEdge(self.dut.clk)


@simulated(1_000_000)
async def check_broadcast(dut):
    p = parameters()
    size, width, lines, columns, clusters = (p[name] for name in ("tile", "width", "lines_per_beat", "columns", "clusters"))
    rng = random.Random(3)
    stored = [random_tile(rng, size, width, rng.choice([0, 0.02, 0.3, 1])) for _ in range(TILES)]
    zeros = np.zeros((size, size), dtype=np.int64)
    await start(dut, "write", *(f"request_{n}" for n in range(clusters)))
    for n in range(clusters):
        for column in range(columns):
            getattr(dut, f"o_{n}_{column}__ready").value = 0
    for slot, tile in enumerate(stored):
        await send(dut, "write", write_words(tile, slot, size, width, lines, rng))
    for _ in range(4):
        await FallingEdge(dut.clk)
    for paces in ([(0, 0)] * clusters, [(0.9, 0)] + [(0, 0)] * (clusters - 1), [(0, 0)] * (clusters - 1) + [(0, 0.8)],
                  [(rng.choice([0, 0.5]), rng.choice([0, 0.3, 0.6])) for _ in range(clusters)]):
        requests = [(rng.randrange(TILES), [rng.random() < 0.9 for _ in range(columns)]) for _ in range(COUNT)]
        tiles = [[stored[(first + column) % TILES] if active[column] else zeros for first, active in requests]
                 for column in range(columns)]
        beats = [[len(tile_beats(tile, width, lines)) for tile in tiles[column]] for column in range(columns)]
        watch = Watch(dut, clusters, columns, [[0, *np.cumsum(one).tolist()] for one in beats])
        watching = cocotb.start_soon(watch.run())
        words = [word([(first + column) % TILES for column in range(columns)], active) for first, active in requests]
        senders = [cocotb.start_soon(send(dut, f"request_{n}", words, rng, paces[n][0])) for n in range(clusters)]
        takers = {(n, column): cocotb.start_soon(collect(dut, f"o_{n}_{column}", sum(beats[column]), rng, paces[n][1]))
                  for n in range(clusters) for column in range(columns)}
        await Combine(*senders, *takers.values())
        for (_, column), taker in takers.items():
            got = iter(taker.result())
            for tile, count in zip(tiles[column], beats[column], strict=True):
                seen, mask, _ = tile_of_beats([next(got) for _ in range(count)], size, width, lines)
                assert (seen == tile).all() and (mask == (tile != 0)).all()
        for _ in range(2):
            await FallingEdge(dut.clk)
        await ReadOnly()
        assert int(dut.idle.value) and watch.asked == watch.granted == COUNT and watch.idle_cycles
        watching.cancel()
        await FallingEdge(dut.clk)


@pytest.mark.parametrize(("columns", "clusters", "latency", "lines_per_beat"), [(2, 2, 1, 2), (1, 4, 2, 1), (4, 3, 2, 4)])
def test_weight_broadcast(columns, clusters, latency, lines_per_beat):
    size = {"tile": 8, "width": 9, "lines_per_beat": lines_per_beat, "columns": columns, "clusters": clusters,
            "latency": latency}
    simulate_component(__name__, Bench(**size), sources=[SRAM_VERILOG, CROSSBAR_VERILOG], **size)
