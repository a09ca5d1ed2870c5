"""OperandSlots: rows and columns land where they belong, never on anything that is still needed."""

import random

import numpy as np
import pytest
from cocotb.triggers import FallingEdge, ReadOnly

from acceltran.hw.pe.operand_slots import OperandSlots
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.tiles import unpack_bits
from support.operand_reader import Reader, row_beats
from support.streams import random_tile, start


@simulated()
async def check_ring(dut):
    p = parameters()
    size, width, slots, shared = p["tile"], p["width"], p["slots"], p["shared"]
    rows, rng = p["group_rows"], random.Random(2)
    await start(dut, "i")
    readers = [Reader(p) for _ in range(size)]
    groups = readers[0].groups
    tiles, beats = [], []
    for _ in range(60):
        tile, transpose = random_tile(rng, size, width, rng.random()), shared and rng.random() < 0.4
        tiles.append((tile.T if transpose else tile, transpose))
        beats += row_beats(tile, p, transpose)
    written, beat, stuck = 0, 0, 0
    group_bits, slot_bits = (groups - 1).bit_length(), (slots - 1).bit_length()
    for cycle in range(6000):
        pace = 0.9 if cycle // 200 % 2 else 0.2
        for n, reader in enumerate(readers):
            getattr(dut, f"progress__{n}").value = reader.word()
        dut.i__valid.value = int(beat < len(beats) and rng.random() < 0.8)
        dut.i__payload.value = beats[beat] if beat < len(beats) else 0
        await ReadOnly()
        end = int(dut.frontier.value)
        place = (end >> group_bits & (1 << slot_bits) - 1) + slots * (end >> group_bits + slot_bits)
        written += (place * groups + (end & (1 << group_bits) - 1) - written) % (2 * slots * groups)
        assert beat * p["rows_per_beat"] <= written * rows <= (beat + 1) * p["rows_per_beat"]
        values = unpack_bits(int(dut.values.value), width, slots * size * size).reshape(size, slots, size)
        masks = unpack_bits(int(dut.masks.value), 1, slots * size * size, signed=False).reshape(slots, size, size)
        complete, group = divmod(written, groups)
        for n, reader in enumerate(readers):
            # Everything from the position of the reader to the end is there.
            for number in range(reader.tile, min(complete + 1, len(tiles))):
                tile, transposed = tiles[number]
                ready = size if number < complete else 0 if transposed else group * rows
                begin = reader.group * rows if number == reader.tile else 0
                at = values[:, number % slots]
                if shared:
                    assert (at[:, begin:ready] == tile.T[:, begin:ready]).all()
                    assert (masks[number % slots, begin:ready] == (tile != 0)[begin:ready]).all()
                elif n < ready:
                    assert (at[n] == tile[n]).all() and (masks[number % slots, n] == (tile[n] != 0)).all()
        if complete < len(tiles):
            assert bool(dut.partial.value) == (not tiles[complete][1] or group == 0)
        transfer = bool(dut.i__valid.value and dut.i__ready.value)
        stuck = 0 if transfer else stuck + 1
        await FallingEdge(dut.clk)
        for reader in readers:
            if rng.random() < pace and reader.tile < complete:
                if shared and reader.group < groups - 1 and rng.random() < 0.9:
                    reader.group += 1
                else:
                    reader.tile, reader.group = reader.tile + 1, 0
            elif rng.random() < pace and shared and reader.tile == complete and not tiles[min(complete, 59)][1]:
                reader.group = max(reader.group, group - 1)
        beat += transfer
        assert stuck < 300 or beat == len(beats)
        if all(reader.tile == len(tiles) for reader in readers):
            break
    assert beat == len(beats)


@simulated()
async def check_full(dut):
    """Nothing more is taken than the slots hold."""
    p = parameters()
    await start(dut, "i")
    for n in range(p["tile"]):
        getattr(dut, f"progress__{n}").value = 0
    tile = np.ones((p["tile"], p["tile"]), dtype=np.int64)
    dut.i__valid.value = 1
    for _ in range(p["slots"]):
        for word in row_beats(tile, p, 0):
            dut.i__payload.value = word
            await ReadOnly()
            assert dut.i__ready.value
            await FallingEdge(dut.clk)
    for _ in range(5):
        await ReadOnly()
        assert not dut.i__ready.value
        await FallingEdge(dut.clk)


@pytest.mark.parametrize(("shared", "slots", "beat", "group"),
                         [(True, 2, 4, 4), (True, 3, 2, 2), (False, 2, 2, 2), (False, 2, 4, 2), (False, 3, 4, 1)])
def test_operand_slots(shared, slots, beat, group):
    values = {"tile": 8, "width": 8, "rows_per_beat": beat, "group_rows": group, "slots": slots, "shared": shared}
    simulate_component(__name__, OperandSlots(**values), **values)
