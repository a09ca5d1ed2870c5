"""MacLane: every finished row is exact, whatever the pace of operands and of the reader of rows."""

import random

import numpy as np
import pytest

from acceltran.hw.pe.mac_lane import MacLane
from acceltran.hw.pe.pe_format import LaneFormat
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.tiles import unpack_bits
from support.lane_bench import LaneBench
from support.streams import start


@simulated()
async def check_rows(dut):
    p = parameters()
    size, rng = p["tile"], random.Random(6)
    dut.row_taken.value = 0
    dut.a_group.value = 0
    dut.steps_end.value = 0
    await start(dut)
    bench = LaneBench(dut, p, rng, 300)
    rows, totals, pairs = [], [0] * p["psum_tiles"], 0
    for a, b, _, _, psum, last in bench.work:
        totals[psum] = totals[psum] + a @ b
        pairs += {"none": size * size, "activation": int((a != 0).sum()) * size,
                  "both": int((a != 0).astype(int) @ (b != 0).astype(int).sum(axis=1))}[p["skip"]]
        if last:
            rows.append(totals[psum])
            totals[psum] = np.zeros(size, dtype=np.int64)
    taken, take, fired, quiet = 0, False, 0, 0
    for cycle in range(30000):
        dut.row_taken.value = int(take)
        await bench.cycle((1.0, 0.4, 0.9)[cycle // 500 % 3])
        fired += int(dut.fired.value)
        if dut.row_valid.value and not take and taken < len(rows):
            assert (unpack_bits(int(dut.row.value), p["accumulator_width"], size) == rows[taken]).all()
            take = rng.random() < 0.2
            taken += take
        else:
            take = False
        quiet = quiet + 1 if taken == len(rows) else 0
        if quiet == 5:
            break
        await bench.finish()
    assert taken == len(rows) and not dut.working.value
    assert fired == pairs


@pytest.mark.parametrize(("skip", "window", "slots", "width", "b_width", "psum_tiles", "b_memory"), [
    ("both", 4, 2, 20, 20, 1, "registers"), ("activation", 1, 3, 8, 4, 2, "registers"), ("both", 2, 2, 8, 8, 4, "registers"),
    ("both", 2, 3, 13, 8, 1, "ram")])
def test_mac_lane(skip, window, slots, width, b_width, psum_tiles, b_memory):
    values = {"tile": 8, "width": width, "b_width": b_width, "accumulator_width": width + b_width + 12,
              "group_rows": 1 if b_memory == "ram" else 2, "slots": slots, "skip": skip, "window": window,
              "psum_tiles": psum_tiles, "b_memory": b_memory}
    simulate_component(__name__, MacLane(form=LaneFormat(**values)), **values)
