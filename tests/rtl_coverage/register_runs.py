"""Inside the simulator: every word of the register window is read and written, and the bus is as awkward as it may be.

A cocotb test module for `rtl_coverage.runs`. Storage is compared with the map; what CONTROL starts is left to other runs.
"""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

from acceltran.hw.control.axi_lite import Response
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.isa import INSTRUCTION_BYTES
from acceltran.hw.spec.registers import ADDRESS_BITS, CURVE_STRIDE, KNOTS, REGISTERS, by_name, config_values, pack
from acceltran.sim.clock import PERIOD
from acceltran.sim.register_bus import RegisterBus, reset
from acceltran.sim.unit import parameters, simulated
from acceltran.sw.host import driver
from support.error_runs import Accelerator
from support.hostile_programs import MEMORY_BITS

PATTERNS = (0xFFFF_FFFF, 0, 0xAAAA_AAAA, 0x5555_5555, 0)
_SLOW = 4
"""Cycles at most that this host lets an answer wait, or separates address and data of a write."""


async def _cycles(dut, count):
    for _ in range(count):
        await FallingEdge(dut.clk)


async def _hand(dut, channel):
    """Offer what lies on a channel until it is taken."""
    valid, ready = getattr(dut, f"s_axil__{channel}valid"), getattr(dut, f"s_axil__{channel}ready")
    valid.value = 1
    await ReadOnly()
    while not ready.value:
        await FallingEdge(dut.clk)
        await ReadOnly()
    await FallingEdge(dut.clk)
    valid.value = 0


async def _answer(dut, channel, wait):
    """The response of a channel, taken after `wait` cycles."""
    await ReadOnly()
    while not getattr(dut, f"s_axil__{channel}valid").value:
        await FallingEdge(dut.clk)
        await ReadOnly()
    response = int(getattr(dut, f"s_axil__{channel}resp").value)
    data = int(dut.s_axil__rdata.value) if channel == "r" else 0
    await FallingEdge(dut.clk)
    await _cycles(dut, wait)
    ready = getattr(dut, f"s_axil__{channel}ready")
    ready.value = 1
    await FallingEdge(dut.clk)
    ready.value = 0
    return response, data


async def write(dut, address, value, rng, strobes=15):
    dut.s_axil__awaddr.value, dut.s_axil__wdata.value, dut.s_axil__wstrb.value = address, value, strobes
    dut.s_axil__awprot.value = rng.randrange(8)

    async def late(channel, wait):
        await _cycles(dut, wait)
        await _hand(dut, channel)

    first = cocotb.start_soon(late("aw", rng.randrange(_SLOW)))
    second = cocotb.start_soon(late("w", rng.randrange(_SLOW)))
    await first
    await second
    return (await _answer(dut, "b", rng.randrange(_SLOW)))[0]


async def read(dut, address, rng):
    dut.s_axil__araddr.value, dut.s_axil__arprot.value = address, rng.randrange(8)
    await _hand(dut, "ar")
    return await _answer(dut, "r", rng.randrange(_SLOW))


async def thresholds(dut, config, rng):
    """Runs of nothing but HALT, which calculate the thresholds of curves between all zeros and all ones."""
    accelerator, most = Accelerator(dut), (1 << config.width - 1) - 1
    await accelerator.perform(driver.enable_interrupts())
    await accelerator.perform(driver.set_base(config, 0, [0] * (config.memory_ports - 1)))
    await accelerator.perform(driver.set_windows(config, read=(0, 1 << MEMORY_BITS), write=(0, 1 << MEMORY_BITS)))
    for target in (0, 255, 256, 511, 128, 37, 201):
        for low, high in ((0, most), (most, 0), (most, most), (0, 0)):
            knots = [low, *sorted((rng.randint(0, most) for _ in range(KNOTS - 2)), reverse=low > high), high]
            await accelerator.perform(driver.set_thresholds([knots] * config.prune_curves, target))
            await accelerator.start({"watchdog": 10_000, "address": 0, "length": 1})
            assert await accelerator.interrupt()
            assert (seen := await accelerator.show())["error_code"] == 0, seen


async def commands(dut, config):
    """Each command, and the reset pin, in each state of a run; every time the accelerator is idle again and runs."""
    accelerator = Accelerator(dut)

    async def give(command):
        await (reset(dut) if command is None else accelerator.write("CONTROL", command))

    async def begin(state):
        await accelerator.perform(driver.set_watchdog(0))
        if state in ("error", "run"):
            place, length = (0, 0) if state == "error" else (INSTRUCTION_BYTES, 2)
            await accelerator.perform(driver.start(place, length))
            await _cycles(dut, 400 + 80 * config.prune_curves)
            assert await accelerator.read("STATUS") == pack(by_name("STATUS"), **{"error" if length == 0 else "running": 1})
        elif state == "scrub":
            await accelerator.write("CONTROL", driver.SCRUB)
            await _cycles(dut, 60)
        elif state == "calculate":
            await accelerator.perform(driver.start(0, 1))

    async def end(command):
        if command is None:
            await _cycles(dut, 20)
            await accelerator.perform(driver.enable_interrupts())
            await accelerator.perform(driver.set_base(config, 0, [0] * (config.memory_ports - 1)))
        await accelerator.perform(driver.soft_reset())
        await accelerator.start({"watchdog": 10_000, "address": 0, "length": 1})
        assert await accelerator.interrupt() and (await accelerator.show())["error_code"] == 0

    for command in (driver.START, driver.RESET, driver.SCRUB, None):
        for state in ("idle", "calculate", "run", "error", "scrub"):
            await begin(state)
            await give(command)
            await end(command)
        for wait in range(0, 16, 2):  # While what is under way is awaited, and while everything is reset.
            await accelerator.write("CONTROL", driver.RESET)
            await _cycles(dut, wait)
            await give(command)
            await end(command)


@simulated(5_000_000)
async def every_register(dut):
    config, rng = AcceleratorConfig.from_dict(parameters()["config"]), random.Random(3)
    Clock(dut.clk, PERIOD, "ns", impl="gpi").start()
    RegisterBus(dut)
    await reset(dut)
    await _cycles(dut, 20)
    constants = config_values(config)
    built = [register for register in REGISTERS if register.built(config) and register.count == 1]
    for register in built:
        if register.name in constants:
            assert await read(dut, register.offset, rng) == (Response.OKAY, constants[register.name]), register.name
    for pattern in PATTERNS:
        for register in built:
            if register.access == "rw":
                mask = sum(((1 << part.bits) - 1) << part.offset for part in register.parts)
                assert await write(dut, register.offset, pattern, rng) == Response.OKAY
                assert await write(dut, register.offset, ~pattern & 0xFFFF_FFFF, rng, rng.randrange(15)) == Response.SLVERR
                assert await read(dut, register.offset, rng) == (Response.OKAY, pattern & mask), register.name
            elif register.access == "ro":
                assert await write(dut, register.offset, pattern, rng) == Response.SLVERR, register.name
        for curve in range(config.prune_curves):
            for knot in range(KNOTS):
                place = by_name("CURVE").offset + 4 * (CURVE_STRIDE * curve + knot)
                assert await write(dut, place, pattern, rng) == Response.OKAY
                assert await read(dut, place, rng) == (Response.OKAY, pattern & (1 << config.width - 1) - 1)
    for place in range(0, 1 << ADDRESS_BITS, 4):
        await read(dut, place + rng.randrange(4), rng)

    # A read and a write at once, again and again: neither is lost.
    scratch, other = by_name("PROGRAM_ADDRESS").offset, by_name("WATCHDOG").offset
    for value in range(40):
        written = cocotb.start_soon(write(dut, scratch, 64 * value, rng))
        assert (await read(dut, other, rng))[0] == Response.OKAY
        assert await written == Response.OKAY
    assert await read(dut, scratch, rng) == (Response.OKAY, 64 * 39)

    await thresholds(dut, config, rng)
    await commands(dut, config)

    lock = by_name("ACCESS_LOCK").offset
    assert await write(dut, lock, 1, rng) == Response.OKAY
    for register in built:
        if register.access == "rw":
            before = await read(dut, register.offset, rng)
            wanted = Response.SLVERR if register.lockable else Response.OKAY
            assert await write(dut, register.offset, 0xFFFF_FFFF, rng) == wanted, register.name
            assert not register.lockable or await read(dut, register.offset, rng) == before
    assert await write(dut, lock, 0, rng) == Response.OKAY
    assert await read(dut, lock, rng) == (Response.OKAY, 1), "only the reset pin unlocks"
