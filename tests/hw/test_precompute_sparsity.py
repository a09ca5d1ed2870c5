"""PrecomputeSparsity: every MAC gets exactly its pairs, in order, and closes each output tile once."""

import random

import pytest

from acceltran.hw.pe.pe_format import LaneFormat
from acceltran.hw.pe.precompute_sparsity import PrecomputeSparsity
from acceltran.sim.unit import parameters, simulate_component, simulated
from support.lane_bench import LaneBench
from support.streams import start


def expected_picks(bench, skip, column):
    """Per end of an output tile the (a, row of B, partial sum) that MAC `column` multiplies before it."""
    outputs = [[]]
    for a, b, _, number, psum, last in bench.work:
        for k in range(bench.size):
            if skip == "none" or (a[k] and (skip == "activation" or b[k, column])):
                outputs[-1].append((int(a[k]), number % bench.slots * bench.size + k, psum))
        if last:
            outputs.append([])
    return outputs[:-1]


@simulated()
async def check_picks(dut):
    p = parameters()
    size, width, rng = p["tile"], p["width"], random.Random(4)
    dut.drained.value = 0
    dut.a_group.value = 0
    dut.steps_end.value = 0
    await start(dut)
    bench = LaneBench(dut, p, rng, 300)
    count = size if p["skip"] == "both" else 1
    expected = [expected_picks(bench, p["skip"], j) for j in range(count)]
    outputs = len(expected[0])
    row_bits = (bench.slots * size - 1).bit_length()
    at = [[0, 0] for _ in range(count)]  # Output tile and pick of each MAC.
    drained, drain = 0, False
    for cycle in range(30000):
        dut.drained.value = int(drain)
        await bench.cycle((1.0, 0.4, 0.9)[cycle // 500 % 3])
        for j, place in enumerate(at):
            word = int(getattr(dut, f"picks__{j}").value)
            psum = word >> width + row_bits & (1 << bench.psum_bits) - 1
            fire, close = word >> width + row_bits + bench.psum_bits & 1, word >> width + row_bits + bench.psum_bits + 1
            if close:
                assert place[1] == len(expected[j][place[0]])
                place[:] = place[0] + 1, 0
                assert place[0] <= drained + 1
            if fire:
                value = word & (1 << width) - 1
                value -= value >> width - 1 << width
                assert (value, word >> width & (1 << row_bits) - 1, psum) == expected[j][place[0]][place[1]]
                place[1] += 1
        full = bool(dut.full.value)
        assert full == (min(place[0] for place in at) == drained + 1)
        drained += drain
        if drained == outputs:
            break
        drain = full and not drain and rng.random() < 0.2
        await bench.finish()
    assert drained == outputs


CONFIGURATIONS = [("none", 1, 2, 4, 2), ("activation", 1, 3, 2, 1), ("both", 2, 2, 4, 1), ("both", 4, 3, 2, 2),
                  ("both", 8, 2, 1, 4), ("both", 5, 2, 2, 2)]


@pytest.mark.parametrize(("skip", "window", "slots", "lines", "psum_tiles"), CONFIGURATIONS)
def test_precompute_sparsity(skip, window, slots, lines, psum_tiles):
    values = {"tile": 8, "width": 8, "b_width": 5, "accumulator_width": 25, "group_rows": lines, "slots": slots, "skip": skip,
              "window": window, "psum_tiles": psum_tiles}
    simulate_component(__name__, PrecomputeSparsity(form=LaneFormat(**values)), **values)
