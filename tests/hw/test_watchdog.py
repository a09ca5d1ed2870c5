"""The watchdog, to the cycle."""

from cocotb.triggers import FallingEdge

from acceltran.hw.control.watchdog import Watchdog
from acceltran.sim.unit import simulate_component, simulated
from support.streams import start


async def begin(dut, limit):
    dut.limit.value = limit
    dut.running.value = dut.alive.value = 0
    await start(dut)


async def cycles_until_expired(dut, limit=200):
    for cycles in range(1, limit):
        await FallingEdge(dut.clk)
        if dut.expired.value:
            return cycles
    return None


@simulated(5_000)
async def check_limits(dut):
    """A pulse after the limit and a cycle; then the count starts again."""
    await begin(dut, 0)
    for limit in (1, 2, 7, 40):
        dut.running.value, dut.limit.value = 0, limit
        for _ in range(2):
            await FallingEdge(dut.clk)
        dut.running.value = 1
        assert await cycles_until_expired(dut) == limit + 1
        await FallingEdge(dut.clk)
        assert not dut.expired.value
        assert await cycles_until_expired(dut) == limit + 1


@simulated(5_000)
async def check_life(dut):
    """A sign of life begins the count anew, a cycle later; without a limit, or while nothing runs, nothing expires."""
    await begin(dut, 10)
    dut.running.value = 1
    for _ in range(9):
        await FallingEdge(dut.clk)
    dut.alive.value = 1
    await FallingEdge(dut.clk)
    dut.alive.value = 0
    assert await cycles_until_expired(dut) == 1 + 10 + 1
    for running, limit in ((1, 0), (0, 3)):
        dut.running.value, dut.limit.value = running, limit
        await FallingEdge(dut.clk)
        assert await cycles_until_expired(dut) is None


def test_watchdog():
    simulate_component(__name__, Watchdog())
