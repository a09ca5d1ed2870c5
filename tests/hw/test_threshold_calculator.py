"""Threshold calculator against its golden function: every target, random and extreme curves."""

import random

import numpy as np
import pytest
from cocotb.triggers import FallingEdge, ReadOnly

from acceltran.hw.control.threshold_calculator import ThresholdCalculator
from acceltran.hw.spec.registers import KNOTS
from acceltran.sim.unit import parameters, simulate_component, simulated
from acceltran.sw.golden.threshold import threshold
from support.streams import start


def random_curves(rng, curves, bits):
    """Rising, falling, constant and arbitrary curves, the extremes among them."""
    top = (1 << bits) - 1
    kinds = (
        lambda: sorted(rng.randint(0, top) for _ in range(KNOTS)),
        lambda: sorted((rng.randint(0, top) for _ in range(KNOTS)), reverse=True),
        lambda: [rng.choice((0, top))] * KNOTS,
        lambda: [rng.choice((0, 1, top - 1, top)) for _ in range(KNOTS)],
        lambda: [rng.randint(0, min(top, 40)) for _ in range(KNOTS)],
    )
    return [kinds[c % len(kinds)]() for c in range(curves)]


async def write_curves(dut, knots):
    dut.write.value = 1
    for c, curve in enumerate(knots):
        for n, value in enumerate(curve):
            dut.curve.value, dut.knot.value, dut.write_data.value = c, n, value
            await FallingEdge(dut.clk)
    dut.write.value = 0


async def calculate(dut, target, curves):
    """Start, and count the cycles to `done`."""
    dut.target.value, dut.start.value = target, 1
    await FallingEdge(dut.clk)
    dut.start.value = 0
    cycles = 1
    while not int(dut.done.value):
        await FallingEdge(dut.clk)
        cycles += 1
    assert cycles == 2 * curves + ThresholdCalculator.latency


async def thresholds(dut, curves):
    """All thresholds through both look-ups."""
    result = []
    for c in range(curves + 1):
        dut.matrix_curve.value, dut.vector_curve.value = c, curves - c
        await ReadOnly()
        result.append((int(dut.matrix_tau.value), int(dut.vector_tau.value)))
        await FallingEdge(dut.clk)
    assert [m for m, _ in result] == [v for _, v in result][::-1]
    assert result[0][0] == 0
    return [m for m, _ in result[1:]]


async def prepare(dut):
    for port in ("start", "erase", "write", "target", "curve", "knot", "write_data", "matrix_curve", "vector_curve"):
        getattr(dut, port).value = 0
    await start(dut)


@simulated()
async def check_targets(dut):
    values = parameters()
    rng, curves = random.Random(5), values["curves"]
    knots = random_curves(rng, curves, values["width"] - 1)
    await prepare(dut)
    await write_curves(dut, knots)
    for c in range(curves):
        for n in range(KNOTS):
            dut.curve.value, dut.knot.value = c, n
            await FallingEdge(dut.clk)
            assert int(dut.read_data.value) == knots[c][n]
    for target in range(0, 257, values["step"]) if values["step"] else [*range(32), 128, 224, 255, 256, 257, 300, 511]:
        await calculate(dut, target, curves)
        assert await thresholds(dut, curves) == threshold(np.array(knots), target).tolist()


@simulated()
async def check_restart(dut):
    values = parameters()
    rng, curves = random.Random(6), values["curves"]
    await prepare(dut)
    for _ in range(10):
        knots = random_curves(rng, curves, values["width"] - 1)
        await write_curves(dut, knots)
        dut.target.value, dut.start.value = rng.randint(0, 256), 1
        await FallingEdge(dut.clk)
        dut.start.value = 0
        for _ in range(rng.randrange(2 * curves + 4)):
            await FallingEdge(dut.clk)
        target = rng.randint(0, 256)
        await calculate(dut, target, curves)
        assert await thresholds(dut, curves) == threshold(np.array(knots), target).tolist()


@simulated()
async def check_erase(dut):
    values = parameters()
    rng, curves = random.Random(7), values["curves"]
    await prepare(dut)
    await write_curves(dut, [[1 + rng.getrandbits(4) for _ in range(KNOTS)] for _ in range(curves)])
    await calculate(dut, 100, curves)
    # Thresholds that are on their way are erased too.
    dut.start.value = 1
    await FallingEdge(dut.clk)
    dut.start.value = 0
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.erase.value = dut.write.value = 1
    dut.write_data.value = 3
    cycles = 0
    while not int(dut.erased.value):
        await FallingEdge(dut.clk)
        dut.erase.value, cycles = 0, cycles + 1
    dut.write.value = 0
    assert cycles == KNOTS * curves + 1
    assert await thresholds(dut, curves) == [0] * curves
    for c in range(curves):
        for n in range(KNOTS):
            dut.curve.value, dut.knot.value = c, n
            await FallingEdge(dut.clk)
            assert int(dut.read_data.value) == 0


@pytest.mark.parametrize(("curves", "width", "step"), [(4, 20, 1), (32, 8, 0)])
def test_threshold_calculator(curves, width, step):
    simulate_component(__name__, ThresholdCalculator(curves=curves, width=width), curves=curves, width=width, step=step)
