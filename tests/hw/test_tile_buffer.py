"""Tile buffer with its readers: every tile comes back as written, whatever the banks, groups and stalls."""

import random

import cocotb
import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from cocotb.triggers import Combine

from acceltran.hw.buffer.sram import SRAM_VERILOG
from acceltran.hw.buffer.tile_buffer import TileBuffer
from acceltran.hw.buffer.tile_reader import TileReader, read_request
from acceltran.hw.layout import tile_beat, tile_write
from acceltran.hw.spec.widths import SLOT_BITS
from acceltran.hw.streams.crossbar import CROSSBAR_VERILOG
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.tiles import pack_bits
from support.streams import collect, random_tile, send, start, tile_beats, tile_of_beats
from support.tile_writes import write_words

LANES = (2, 1)
WRITERS = 2


class Bench(wiring.Component):
    """A buffer, a reader of two lanes and a reader of one."""

    def __init__(self, *, tile, width, lines_per_beat, banks, tiles, registered):
        self._size = {"tile": tile, "width": width, "lines_per_beat": lines_per_beat}
        self._banks, self._tiles, self._registered = banks, tiles, registered
        beat = stream.Signature(tile_beat(**self._size))
        super().__init__({
            **{f"request_{n}": In(stream.Signature(read_request(lanes))) for n, lanes in enumerate(LANES)},
            **{f"o_{n}_{lane}": Out(beat) for n, lanes in enumerate(LANES) for lane in range(lanes)},
            **{f"write_{n}": In(stream.Signature(tile_write(**self._size))) for n in range(WRITERS)},
            "idle": Out(2),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = TileBuffer(
            **self._size, banks=self._banks, tiles=self._tiles, readers=LANES, writers=WRITERS, name="activation",
            registered=self._registered,
        )
        for n, lanes in enumerate(LANES):
            m.submodules[f"reader_{n}"] = reader = TileReader(
                **self._size, lanes=lanes, latency=1 + len(self._registered))
            connect(m, flipped(getattr(self, f"request_{n}")), reader.request)
            connect(m, reader.port, getattr(buffer, f"read_{n}"))
            for lane in range(lanes):
                connect(m, reader.o[lane], flipped(getattr(self, f"o_{n}_{lane}")))
            m.d.comb += self.idle[n].eq(reader.idle)
        for n in range(WRITERS):
            connect(m, flipped(getattr(self, f"write_{n}")), buffer.write[n])
        return m


def request(slots, active, lanes):
    word = pack_bits(slots, SLOT_BITS)
    return word | pack_bits(active, 1) << lanes * SLOT_BITS


@simulated()
async def check_round_trip(dut):
    p = parameters()
    size, width, lines, banks, tiles = (p[k] for k in ("tile", "width", "lines_per_beat", "banks", "tiles"))
    rng = random.Random(p["stall"])
    stored = [random_tile(rng, size, width, rng.choice([0, 0.02, 0.3, 0.7, 1])) for _ in range(tiles)]
    await start(dut, "request_0", "request_1", "write_0", "write_1")
    order = list(range(tiles))
    rng.shuffle(order)
    await Combine(*[
        cocotb.start_soon(send(
            dut, f"write_{n}", [w for s in order[n::2] for w in write_words(stored[s], s, size, width, lines, rng)],
            rng, p["stall"] / 10,
        )) for n in range(2)
    ])

    groups = [(rng.randrange(tiles), [rng.random() < 0.9, rng.random() < 0.9]) for _ in range(40)]
    pairs = [([s, (s + 1) % tiles], active) for s, active in groups]
    singles = [rng.randrange(tiles) for _ in range(40)]

    def expected(slot, active=True):
        return stored[slot] if active else np.zeros((size, size), dtype=np.int64)

    async def receive(port, wanted):
        beats = sum(len(tile_beats(t, width, lines)) for t in wanted)
        words = await collect(dut, port, beats, rng, p["stall"] / 10)
        for tile in wanted:
            count = len(tile_beats(tile, width, lines))
            got, mask, _ = tile_of_beats(words[:count], size, width, lines)
            words = words[count:]
            assert (got == tile).all()
            assert (mask == (tile != 0)).all()

    await Combine(
        cocotb.start_soon(send(dut, "request_0", [request(s, a, 2) for s, a in pairs], rng, p["stall"] / 10)),
        cocotb.start_soon(send(dut, "request_1", [request([s], [1], 1) for s in singles], rng, p["stall"] / 10)),
        *(cocotb.start_soon(receive(f"o_0_{lane}", [expected(s[lane], a[lane]) for s, a in pairs])) for lane in range(2)),
        cocotb.start_soon(receive("o_1_0", [expected(s) for s in singles])),
    )
    await cocotb.triggers.FallingEdge(dut.clk)
    assert dut.idle.value == 3


@pytest.mark.parametrize("stall", [0, 4])
@pytest.mark.parametrize(("tile", "width", "lines_per_beat", "banks", "registered"), [
    (8, 20, 1, 2, ()), (8, 8, 4, 4, ()), (16, 20, 2, 2, ()), (8, 8, 1, 2, ("addresses",)), (16, 8, 4, 4, ("addresses",)),
    (8, 8, 4, 4, ("grants",)), (16, 8, 4, 2, ("grants", "addresses")),
], ids=lambda value: str(1 + len(value)) if isinstance(value, tuple) else None)
def test_tile_buffer(tile, width, lines_per_beat, banks, registered, stall):
    size = {"tile": tile, "width": width, "lines_per_beat": lines_per_beat, "banks": banks, "tiles": 16,
            "registered": registered}
    simulate_component(__name__, Bench(**size), sources=[SRAM_VERILOG, CROSSBAR_VERILOG], **size, stall=stall)
