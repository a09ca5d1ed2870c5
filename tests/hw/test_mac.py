"""Mac: exact accumulation, closing, and its latency."""

import random

import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from acceltran.hw.pe.mac import Mac
from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.tiles import pack_bits


@simulated()
async def check_sums(dut):
    p = parameters()
    width, b_width, rows, rng = p["width"], p["b_width"], p["rows"], random.Random(1)
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    b_low, b_high = -(1 << (b_width - 1)), (1 << (b_width - 1)) - 1
    row_bits, psums = (rows - 1).bit_length(), p["psum_tiles"]
    psum_bits = (psums - 1).bit_length()
    Clock(dut.clk, PERIOD, "ns").start()
    dut.rst.value = 1
    dut.pick.value = 0
    ram = p["b_memory"] == "ram"
    (dut.write if ram else dut.column).value = 0
    await FallingEdge(dut.clk)
    dut.rst.value = 0
    column = [0] * rows
    totals, turn, held, due = [0] * psums, 0, 0, []
    for cycle in range(3000):
        extreme = cycle % 500 > 250
        a = low if extreme else rng.choice((low, high, 0, 1, -1, rng.randint(low, high)))
        row, fire, close = rng.randrange(rows), rng.random() < 0.7, rng.random() < 0.05
        psum, at = rng.randrange(psums), width + row_bits + psum_bits
        dut.pick.value = (a & (1 << width) - 1) | row << width | psum << width + row_bits | fire << at | close << at + 1
        if ram:  # What is written now is read by the next pick; the first ones see it filled.
            changed, value = cycle % rows if cycle < rows else rng.randrange(rows), b_low if extreme else rng.randint(
                b_low, b_high)
            dut.write.value = (value & (1 << b_width) - 1) | changed << b_width + 1 | 1 << b_width + 1 + row_bits
            fire &= cycle >= rows
            dut.pick.value = (a & (1 << width) - 1) | row << width | psum << width + row_bits | fire << at | close << at + 1
        else:
            column = [b_low if extreme else rng.randint(b_low, b_high) for _ in range(rows)]
            dut.column.value = pack_bits(column, b_width)
        if close:
            held, totals[turn] = totals[turn], 0
            turn = (turn + 1) % psums
        totals[psum] += a * column[row] if fire else 0
        if ram:
            column[changed] = value
        due.append(held)
        await FallingEdge(dut.clk)
        if len(due) == Mac.latency:
            assert dut.hold.value.to_signed() == due.pop(0)


@pytest.mark.parametrize(("width", "b_width", "rows", "psum_tiles", "b_memory"), [
    (20, 20, 32, 1, "registers"), (9, 4, 48, 2, "registers"), (20, 8, 16, 4, "registers"), (8, 8, 16, 1, "ram"),
    (24, 13, 24, 2, "ram")])
def test_mac(width, b_width, rows, psum_tiles, b_memory):
    values = {"width": width, "b_width": b_width, "accumulator_width": width + b_width + 9, "rows": rows,
              "psum_tiles": psum_tiles, "b_memory": b_memory}
    simulate_component(__name__, Mac(**values), **values)
