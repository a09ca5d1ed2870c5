"""OperandWriter: copies of B hold what readers may use, whichever way tiles lie, and never lose what is still needed."""

import random

import pytest
from cocotb.triggers import FallingEdge, ReadOnly

from acceltran.hw.pe.operand_writer import OperandWriter
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.tiles import unpack_bits
from support.operand_reader import Reader, row_beats
from support.streams import random_tile, start

TILES = 80


@simulated()
async def check_ring(dut):
    """A model of the RAMs holds everything from the position of each reader to the frontier."""
    p = parameters()
    size, width, slots, rng = p["tile"], p["width"], p["slots"], random.Random(3)
    row_bits, slot_bits = (slots * size - 1).bit_length(), (slots - 1).bit_length()
    group_bits = (size - 1).bit_length()
    await start(dut, "i")
    readers = [Reader(p) for _ in range(size)]
    tiles, beats = [], []
    transpose = False
    for n in range(TILES):
        transpose = (n % 4 < 2) if n >= TILES // 2 else rng.random() < 0.5
        tile = random_tile(rng, size, width, rng.random())
        tiles.append((tile.T if transpose else tile, transpose))
        beats += row_beats(tile, p, transpose)
    copies = [[(0, 0)] * (slots * size) for _ in range(size)]
    usable = beat = stuck = 0
    for cycle in range(20000):
        pace, offers = (0.9, 1.0) if cycle // 300 % 2 else (0.3, 0.7)
        for n, reader in enumerate(readers):
            getattr(dut, f"progress__{n}").value = reader.word()
        dut.i__valid.value = int(beat < len(beats) and rng.random() < offers)
        dut.i__payload.value = beats[beat] if beat < len(beats) else 0
        await ReadOnly()
        end = int(dut.frontier.value)
        place = (end >> group_bits & (1 << slot_bits) - 1) + slots * (end >> group_bits + slot_bits)
        usable += (place * size + (end & size - 1) - usable) % (2 * slots * size)
        assert usable <= beat
        for reader in readers:
            for row in range(reader.tile * size + reader.group, usable):
                number, k = divmod(row, size)
                wanted = [(value, value != 0) for value in tiles[number][0][k]]
                assert [copies[c][number % slots * size + k] for c in range(size)] == wanted
        transfer = bool(dut.i__valid.value and dut.i__ready.value)
        stuck = 0 if transfer else stuck + 1
        writes = [int(getattr(dut, f"writes__{c}").value) for c in range(size)]
        await FallingEdge(dut.clk)
        for c, write in enumerate(writes):
            if write >> width + 1 + row_bits:
                element = unpack_bits(write & (1 << width) - 1, width, 1)[0], write >> width & 1
                copies[c][write >> width + 1 & (1 << row_bits) - 1] = element
        for reader in readers:
            place = reader.tile * size + reader.group
            if place < usable and rng.random() < pace:
                place = min(usable, place + rng.randint(1, 3))
                reader.tile, reader.group = divmod(place, size)
        beat += transfer
        assert stuck < 300 or beat == len(beats)
        if all(reader.tile == TILES for reader in readers):
            break
    assert all(reader.tile == TILES for reader in readers)


@simulated()
async def check_throughput(dut):
    """A row per cycle, transposed or not; one wait of T cycles from a transposed tile to one that is not, and with two slots
    one cycle, in which the readers learn that the tile before the last is usable and give it up.
    """
    p = parameters()
    size, rng = p["tile"], random.Random(4)
    await start(dut, "i")
    kinds = [False, False, True, True, True, False, False]
    beats = [word for kind in kinds for word in row_beats(random_tile(rng, size, p["width"], 0.7), p, kind)]
    times, cycle = [], 0
    end = 0
    while len(times) < len(beats):
        for n in range(size):
            getattr(dut, f"progress__{n}").value = end
        dut.i__valid.value, dut.i__payload.value = 1, beats[len(times)]
        await ReadOnly()
        end = int(dut.frontier.value)
        if dut.i__ready.value:
            times.append(cycle)
        cycle += 1
        await FallingEdge(dut.clk)
    gaps = enumerate(after - before - 1 for before, after in zip(times, times[1:], strict=False))
    waits = {n: gap for n, gap in gaps if gap}
    assert waits == {5 * size - 1: size} | ({4 * size - 1: 1} if p["slots"] == 2 else {})


@pytest.mark.parametrize(("width", "slots", "tile"), [(8, 2, 8), (12, 3, 8), (8, 3, 16)])
def test_operand_writer(width, slots, tile):
    values = {"tile": tile, "width": width, "slots": slots}
    simulate_component(__name__, OperandWriter(**values), **values, rows_per_beat=1, group_rows=1)
