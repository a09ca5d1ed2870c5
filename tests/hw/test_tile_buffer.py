"""Tile buffer with its readers: every tile comes back as written, whatever the banks, groups and stalls."""

import random

import cocotb
import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from cocotb.triggers import Combine, FallingEdge, ReadOnly, gather
from cocotb.utils import get_sim_steps, get_sim_time

from acceltran.hw.buffer.sram import SRAM_VERILOG
from acceltran.hw.buffer.tile_buffer import TileBuffer
from acceltran.hw.buffer.tile_reader import TileReader, read_request
from acceltran.hw.layout import tile_beat, tile_write
from acceltran.hw.spec.widths import SLOT_BITS
from acceltran.hw.streams.crossbar import CROSSBAR_VERILOG
from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.tiles import pack_bits
from support.streams import collect, random_tile, send, start, tile_beats, tile_of_beats
from support.tile_writes import unpack_write, write_words

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
            "idle": Out(2), "words_read": Out(range(banks + 1)), "words_written": Out(range(banks + 1)),
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
        m.d.comb += [self.words_read.eq(buffer.words_read), self.words_written.eq(buffer.words_written)]
        return m


def request(slots, active, lanes):
    word = pack_bits(slots, SLOT_BITS)
    return word | pack_bits(active, 1) << lanes * SLOT_BITS


def sizes():
    """Tile, width and lines per beat."""
    return tuple(parameters()[name] for name in ("tile", "width", "lines_per_beat"))


def words_of(tile):
    """Words in use of a tile."""
    size, _, lines = sizes()
    return -(-np.count_nonzero(tile) // (size * lines))


async def add_up(dut, sums):
    """Add the words that the buffer says it read and wrote to `sums`, cycle by cycle."""
    while True:
        await FallingEdge(dut.clk)
        for name in sums:
            sums[name] += int(getattr(dut, name).value)


async def watch_idle(dut):
    """Fail in a cycle in which a reader is idle although it owes a tile that it was asked for."""
    last = tile_beat(*sizes())["last"].offset
    asked, given = [0 for _ in LANES], [[0] * lanes for lanes in LANES]

    def moves(port):
        return getattr(dut, f"{port}__valid").value and getattr(dut, f"{port}__ready").value

    while True:
        await FallingEdge(dut.clk)
        await ReadOnly()
        for n, lanes in enumerate(LANES):
            assert not int(dut.idle.value) >> n & 1 or asked[n] == min(given[n]), f"reader {n}: {given[n]} of {asked[n]}"
            asked[n] += bool(moves(f"request_{n}"))
            for lane in range(lanes):
                port = f"o_{n}_{lane}"
                given[n][lane] += bool(moves(port)) and int(getattr(dut, f"{port}__payload").value) >> last & 1


@simulated()
async def check_round_trip(dut):
    p = parameters()
    (size, width, lines), tiles = sizes(), p["tiles"]
    rng = random.Random(p["stall"])
    stored = [random_tile(rng, size, width, rng.choice([0, 0.02, 0.3, 0.7, 1])) for _ in range(tiles)]
    await start(dut, "request_0", "request_1", "write_0", "write_1")
    sums = {"words_read": 0, "words_written": 0}
    cocotb.start_soon(add_up(dut, sums))
    cocotb.start_soon(watch_idle(dut))
    order = list(range(tiles))
    rng.shuffle(order)
    writes = [[w for s in order[n::2] for w in write_words(stored[s], s, size, width, lines, rng)] for n in range(2)]
    await Combine(*[cocotb.start_soon(send(dut, f"write_{n}", writes[n], rng, p["stall"] / 10)) for n in range(2)])

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
    await FallingEdge(dut.clk)
    assert dut.idle.value == 3
    assert sums["words_written"] == sum(bool(unpack_write(w, size, width, lines)[0]) for w in writes[0] + writes[1])
    read = [expected(slot, on) for slots, active in pairs for slot, on in zip(slots, active, strict=True)]
    assert sums["words_read"] == sum(map(words_of, read + [stored[s] for s in singles]))


@simulated(where=lambda given: not given["stall"])
async def check_masks(dut):
    """The mask of a slot is written with the last word of a tile; until then the slot has the mask of the tile before."""
    rng, shape, layout = random.Random(1), sizes(), tile_write(*sizes())
    before, after = np.zeros((2, shape[0], shape[0]), dtype=np.int64)
    before[0, 1], after[:] = 1, 5
    await start(dut, "request_0", "request_1", "write_0", "write_1")

    async def read(tile):
        await send(dut, "request_1", [request([3], [1], 1)])
        return tile_of_beats(await collect(dut, "o_1_0", len(tile_beats(tile, *shape[1:]))), *shape)

    await send(dut, "write_0", write_words(before, 3, *shape, rng))
    assert ((await read(before))[0] == before).all()
    *early, last = write_words(after, 3, *shape, rng)
    await send(dut, "write_0", [word | rng.getrandbits(shape[0]**2) << layout["mask"].offset for word in early])
    assert ((await read(before))[1] == (before != 0)).all()
    await send(dut, "write_0", [last])
    assert ((await read(after))[0] == after).all()


@simulated(where=lambda given: not given["stall"])
async def check_inactive_lanes(dut):
    """A lane that is not active takes no bank from another reader, whatever its slot: both readers get a word every cycle."""
    rng, shape, count = random.Random(1), sizes(), 16
    dense = np.full((shape[0], shape[0]), 5)
    await start(dut, "request_0", "request_1", "write_0", "write_1")
    await send(dut, "write_0", [word for slot in range(2) for word in write_words(dense, slot, *shape, rng)])
    words = count * words_of(dense)
    begun = get_sim_time("step")
    await gather(send(dut, "request_0", count * [request([0, 1], [1, 0], 2)]),
                 send(dut, "request_1", count * [request([1], [1], 1)]), collect(dut, "o_0_0", words),
                 collect(dut, "o_0_1", count), collect(dut, "o_1_0", words))
    cycles = (get_sim_time("step") - begun) / get_sim_steps(PERIOD, "ns")
    assert cycles <= words + 16


@pytest.mark.parametrize("stall", [0, 4])
@pytest.mark.parametrize(("tile", "width", "lines_per_beat", "banks", "registered"), [
    (8, 20, 1, 2, ()), (8, 8, 4, 4, ()), (16, 20, 2, 2, ()), (8, 8, 1, 2, ("addresses",)), (16, 8, 4, 4, ("addresses",)),
    (8, 8, 4, 4, ("grants",)), (16, 8, 4, 2, ("grants", "addresses")),
], ids=lambda value: str(1 + len(value)) if isinstance(value, tuple) else None)
def test_tile_buffer(tile, width, lines_per_beat, banks, registered, stall):
    size = {"tile": tile, "width": width, "lines_per_beat": lines_per_beat, "banks": banks, "tiles": 16,
            "registered": registered}
    simulate_component(__name__, Bench(**size), sources=[SRAM_VERILOG, CROSSBAR_VERILOG], **size, stall=stall)
