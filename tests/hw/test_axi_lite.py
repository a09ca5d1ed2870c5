"""AXI4-Lite front end against cocotbext-axi, with a register bus in Python behind it."""

import random

import cocotb
import pytest
from cocotb.triggers import FallingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from acceltran.hw.control.axi_lite import AxiLiteFrontEnd
from acceltran.sim.unit import parameters, simulate_component, simulated
from support.streams import start


async def serve(dut, memory, accesses, rng):
    """Registers at words 0 to 255, others are errors; answers after one to four cycles."""
    dut.bus__acknowledge.value = 0
    while True:
        await FallingEdge(dut.clk)
        write, read = int(dut.bus__write.value), int(dut.bus__read.value)
        assert not (write and read)
        if not (write or read):
            continue
        address, value = int(dut.bus__address.value), int(dut.bus__write_data.value)
        accesses.append((write, address))
        for _ in range(rng.randrange(4)):
            await FallingEdge(dut.clk)
            assert not int(dut.bus__write.value) and not int(dut.bus__read.value)
            assert int(dut.bus__address.value) == address
        if write and address < 256:
            memory[address] = value
        dut.bus__acknowledge.value = 1
        dut.bus__error.value = int(address >= 256)
        dut.bus__read_data.value = 0 if address >= 256 else memory.get(address, 0)
        await FallingEdge(dut.clk)
        dut.bus__acknowledge.value = 0


def pauses(rng, share):
    while True:
        yield rng.random() < share


async def open_bus(dut, rng, share):
    await start(dut)
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "axi_"), dut.clk, dut.rst)
    for channel in (master.write_if.aw_channel, master.write_if.w_channel, master.write_if.b_channel,
                    master.read_if.ar_channel, master.read_if.r_channel):
        channel.set_pause_generator(pauses(rng, share))
    return master


@simulated()
async def check_random_accesses(dut):
    values = parameters()
    rng = random.Random(int(100 * values["pause"]))
    memory, accesses, expected = {}, [], {}
    master = await open_bus(dut, rng, values["pause"])
    cocotb.start_soon(serve(dut, memory, accesses, rng))
    for _ in range(300):
        address = rng.choice((rng.randrange(256), rng.randrange(256), 255, 256, 1023))
        if rng.random() < 0.5:
            value = rng.getrandbits(32)
            answer = await master.write(4 * address, value.to_bytes(4, "little"))
            if address < 256:
                expected[address] = value
        else:
            answer = await master.read(4 * address, 4)
            assert int.from_bytes(answer.data, "little") == (expected.get(address, 0) if address < 256 else 0)
        assert answer.resp == (AxiResp.OKAY if address < 256 else AxiResp.SLVERR)
    assert memory == expected and len(accesses) == 300


@simulated()
async def check_partial_strobes(dut):
    rng = random.Random(2)
    memory, accesses = {}, []
    master = await open_bus(dut, rng, 0.3)
    cocotb.start_soon(serve(dut, memory, accesses, rng))
    await master.write(16, bytes([1, 2, 3, 4]))
    for address, data in ((16, b"\xaa"), (17, b"\xaa\xbb"), (18, b"\xaa\xbb"), (16, b"\xaa\xbb\xcc")):
        assert (await master.write(address, data)).resp == AxiResp.SLVERR
    assert memory == {4: 0x04030201} and len(accesses) == 1


@simulated()
async def check_reads_and_writes_alternate(dut):
    rng = random.Random(3)
    memory, accesses = {}, []
    master = await open_bus(dut, rng, 0.0)
    cocotb.start_soon(serve(dut, memory, accesses, rng))
    writes = cocotb.start_soon(master.write(0, bytes(range(160))))
    reads = cocotb.start_soon(master.read(512, 160))
    await writes
    await reads
    kinds = [write for write, _ in accesses]
    assert sum(kinds) == 40 and len(kinds) == 80
    longest = max(len(run) for kind in "01" for run in "".join(map(str, kinds[:60])).split(kind))
    assert longest <= 4
    assert [a for w, a in accesses if w] == list(range(40))
    assert [a for w, a in accesses if not w] == list(range(128, 168))


@simulated(10_000)
async def check_answers_wait(dut):
    """An answer that is not taken stays as it is, and the access behind it waits for it; the other direction goes on."""
    await start(dut)
    cocotb.start_soon(serve(dut, {0: 5, 1: 6}, [], random.Random(4)))
    dut.axi__wstrb.value, dut.axi__bready.value, dut.axi__rready.value = 15, 0, 0
    for channel in ("aw", "w", "ar"):
        getattr(dut, f"axi__{channel}valid").value = 0

    async def offer(channels, address):
        dut.axi__awaddr.value = dut.axi__araddr.value = address
        for channel in channels:
            getattr(dut, f"axi__{channel}valid").value = 1
        for _ in range(20):
            taken = [channel for channel in channels if getattr(dut, f"axi__{channel}ready").value]
            await FallingEdge(dut.clk)
            for channel in taken:
                getattr(dut, f"axi__{channel}valid").value = 0
            channels = [channel for channel in channels if channel not in taken]

    for first, second in ((1024, 0), (4, 1024)):
        await offer(("aw", "w"), first)
        await offer(("aw", "w"), second)
        await offer(("ar",), first)
        await offer(("ar",), second)
        for valid, response, ready in (("bvalid", "bresp", "bready"), ("rvalid", "rresp", "rready")):
            for address in (first, second):
                assert getattr(dut, f"axi__{valid}").value
                assert int(getattr(dut, f"axi__{response}").value) == (AxiResp.SLVERR if address >= 1024 else AxiResp.OKAY)
                getattr(dut, f"axi__{ready}").value = 1
                await FallingEdge(dut.clk)
                getattr(dut, f"axi__{ready}").value = 0
                for _ in range(20):
                    await FallingEdge(dut.clk)
            assert not getattr(dut, f"axi__{valid}").value


@pytest.mark.parametrize(("address_bits", "pause"), [(12, 0.0), (12, 0.5), (16, 0.2)])
def test_axi_lite(address_bits, pause):
    simulate_component(__name__, AxiLiteFrontEnd(address_bits=address_bits), pause=pause)
