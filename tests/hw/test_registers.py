"""The register map and its three exports."""

import json
import re
import shutil
import subprocess
import zlib

import pytest
from cocotb.triggers import FallingEdge
from cocotbext.axi import AxiResp

from acceltran.hw.control.control_unit import ControlUnit
from acceltran.hw.spec.config import PRESETS, AcceleratorConfig
from acceltran.hw.spec.error_codes import ErrorCode
from acceltran.hw.spec.registers import (
    ADDRESS_BITS,
    CURVE_STRIDE,
    KNOTS,
    REGISTERS,
    by_name,
    config_values,
    counters_of,
    pack,
    to_c_header,
    to_json,
    to_markdown,
)
from acceltran.hw.spec.widths import MEMORY_PORTS
from acceltran.sim.unit import simulate_component, simulated
from support.control_bench import DONE, HALT, IDLE, RESET, START, Bench

_WORDS = 1 << ADDRESS_BITS - 2

ACCESS_CYCLES = 5
"""Of a register access, as docs/integration.md has it."""


def _mapped(config):
    """(register, word of its window) by offset, of everything that answers in an accelerator."""
    mapped = {r.offset: (r, 0) for r in REGISTERS if r.count == 1 and r.built(config)}
    tau, curve = by_name("TAU"), by_name("CURVE")
    mapped |= {tau.offset + 4 * c: (tau, c) for c in range(config.prune_curves)}
    mapped |= {curve.offset + 4 * n: (curve, n) for n in range(CURVE_STRIDE * config.prune_curves) if n % CURVE_STRIDE < KNOTS}
    return mapped


def _used(register, config):
    """Mask of the bits that a register has in an accelerator."""
    if register.count > 1:
        return (1 << config.width - 1) - 1
    return sum((1 << f.bits) - 1 << f.offset for f in register.parts)


async def _read_all(bench, stored):
    """Read every word of the address space, and compare with the map or, where the host wrote, with `stored`."""
    mapped, constants = _mapped(bench.config), config_values(bench.config)
    for offset in range(0, 4 * _WORDS, 4):
        if offset not in mapped:
            assert await bench.host.read(offset, resp=AxiResp.SLVERR) == 0, hex(offset)
            continue
        register, _ = mapped[offset]
        value = await bench.host.read(offset)
        expected = stored.get(offset, constants.get(register.name, register.reset))
        assert expected is None or value == expected, (register.name, hex(offset), value)
        assert not value & ~_used(register, bench.config), register.name


@simulated(300_000)
async def check_every_register(dut):
    bench = await Bench(dut, 11).open()
    host, rng, config = bench.host, bench.rng, bench.config
    await _read_all(bench, {})
    stored = {}
    for offset, (register, _) in _mapped(config).items():
        value = rng.getrandbits(32)
        if register.access == "ro":
            await host.write(offset, value, resp=AxiResp.SLVERR)
        elif register.access == "rw":
            await host.write(offset, value)
            stored[offset] = value & _used(register, config)
        elif register.access == "wo":
            await host.write(offset, 0)
        else:
            await host.write(offset, 0xFFFF_FFFF)
            if register.access == "w1s":
                stored[offset] = _used(register, config)
    for offset in sorted({*range(0, 4 * _WORDS, 4)} - {*_mapped(config)}):
        await host.write(offset, 0xFFFF_FFFF, resp=AxiResp.SLVERR)
    await _read_all(bench, stored)

    # Nothing unlocks, and what is locked stays.
    await host.write("ACCESS_LOCK", 0)
    for offset, (register, _) in _mapped(config).items():
        if register.lockable:
            await host.write(offset, ~stored[offset] & 0xFFFF_FFFF, resp=AxiResp.SLVERR)
    assert sum(register.lockable for register, _ in _mapped(config).values()) == 5 + 4 * (config.address_bits > 32)
    await host.write("CONTROL", RESET)
    while await host.read("STATUS") != IDLE:
        pass
    await _read_all(bench, stored)

    # What a run sets, writing zeros keeps and writing ones clears.
    program = [HALT]
    await bench.load(program)
    await host.write("IRQ_ENABLE", 0)
    await host.write("CONTROL", START)
    while await host.read("STATUS") != IDLE | DONE:
        pass
    for value, left in ((0, 1), (2, 1), (1, 0)):
        await host.write("IRQ_STATUS", value)
        assert await host.read("IRQ_STATUS") == left

    # The reset pin brings back what the map says, and leaves the knots.
    dut.rst.value = 1
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst.value = 0
    await _read_all(bench, {o: v for o, v in stored.items() if _mapped(config)[o][0].reset is None})


@simulated()
async def check_latency(dut):
    """Cycles from the one in which an access is offered to that in which its answer is there, as the documents say."""
    bench = await Bench(dut, 12).open()
    await bench.cycles(20)

    async def cycles_until(name):
        count = 0
        while not int(getattr(dut, f"csr__{name}").value):
            await FallingEdge(dut.clk)
            count += 1
            assert count < 50
        return count

    def offer(channels, value):
        for name in channels:
            getattr(dut, f"csr__{name}valid").value = value

    await FallingEdge(dut.clk)
    for channels, answer, ready in ((("ar",), "rvalid", "rready"), (("aw", "w"), "bvalid", "bready")):
        dut.csr__araddr.value = dut.csr__awaddr.value = by_name("WATCHDOG").offset
        dut.csr__wstrb.value, dut.csr__wdata.value = 15, 77
        offer(channels, 1)
        await FallingEdge(dut.clk)
        offer(channels, 0)
        assert await cycles_until(answer) + 1 == ACCESS_CYCLES, answer
        getattr(dut, f"csr__{ready}").value = 1
        await FallingEdge(dut.clk)
        assert not int(getattr(dut, f"csr__{answer}").value)


@pytest.mark.parametrize("values", [
    {"tile": 8, "integer_bits": 4, "fraction_bits": 4, "lines_per_beat": 1, "prune_curves": 4, "instruction_queue": 2},
    pytest.param({}, marks=pytest.mark.slow),
    {"address_bits": 64, "memory_ports": 4, "weight_banks": 4},
], ids=["small", "default", "wide addresses"])
def test_v5_the_map_says_what_the_hardware_reads(values):
    config = AcceleratorConfig.from_dict(values)
    simulate_component(__name__, ControlUnit(config=config), config=config.to_dict())


def test_v5_the_exports_have_the_resets_of_the_map():
    exported = {r["name"]: r for r in json.loads(to_json())["registers"]}
    resets = dict(re.findall(r"^\| 0x[0-9a-f]{3}[^|]*\| `(\w+)` \| \w+ \| (\w+) \|", to_markdown(), re.M))
    assert resets["STATUS"] == "0x1" and exported["STATUS"]["reset"] == 1
    assert resets["CONFIG_GRID"] == "configuration" and exported["CONFIG_GRID"]["reset"] is None
    assert resets["CURVE"] == resets["CYCLES_HI"] == "undefined"
    values = config_values(AcceleratorConfig())
    for r in REGISTERS:
        assert exported[r.name]["reset"] == r.reset and exported[r.name]["constant"] == r.constant
        assert r.reset is None or int(resets[r.name], 0) == r.reset < 1 << r.width
        assert not r.constant or r.reset in (None, values[r.name])


def test_no_overlap():
    taken = {}
    for r in REGISTERS:
        assert r.offset % 4 == 0
        assert r.offset + 4 * r.count <= 1 << ADDRESS_BITS
        for word in range(r.offset, r.offset + 4 * r.count, 4):
            assert word not in taken, f"{r.name} and {taken[word]}"
            taken[word] = r.name
        used = 0
        for f in r.parts:
            bits = ((1 << f.bits) - 1) << f.offset
            assert not used & bits and bits < 1 << r.width <= 1 << 32
            used |= bits
    assert len({r.name for r in REGISTERS}) == len(REGISTERS)
    assert [r.offset for r in REGISTERS] == sorted(r.offset for r in REGISTERS)


def test_exports_agree():
    exported = json.loads(to_json())
    header, document = to_c_header(), to_markdown()
    defines = {name: int(value.rstrip("u"), 0) for name, value in
               re.findall(r"^#define ACCELTRAN_(\w+) (0x[0-9a-f]+u|\d+u)", header, re.M)}
    rows = dict(re.findall(r"^\| (0x[0-9a-f]{3})[^|]*\| `(\w+)` \|", document, re.M))
    assert {int(offset, 16): name for offset, name in rows.items()} == {
        r["offset"]: r["name"] for r in exported["registers"]}
    for r in exported["registers"]:
        assert defines[r["name"]] == r["offset"]
        for f in r["fields"]:
            name = f"{r['name']}_{f['name'].upper()}"
            assert defines[f"{name}_SHIFT"] == f["offset"]
            assert defines[f"{name}_MASK"] == ((1 << f["bits"]) - 1) << f["offset"]
            assert f"| `{r['name']}` | {f['offset'] + f['bits'] - 1}:{f['offset']} | `{f['name']}` |" in document
    assert exported["error_codes"] == {c.name: int(c) for c in ErrorCode}
    assert all(defines[f"ERROR_CODE_{c.name}"] == c and c.doc for c in ErrorCode)


def test_c_header_compiles():
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    subprocess.run([compiler, "-Wall", "-Werror", "-fsyntax-only", "-x", "c", "-"], input=to_c_header().encode(),
                   check=True)


def test_counters_are_pairs():
    for name, _ in counters_of(max(MEMORY_PORTS)):
        assert by_name(f"{name.upper()}_HI").offset == by_name(f"{name.upper()}_LO").offset + 4


@pytest.mark.parametrize("preset", PRESETS)
def test_config_values(preset):
    config = AcceleratorConfig.load(preset)
    values = config_values(config, (0, 3))
    assert set(values) == {r.name for r in REGISTERS if r.constant}
    assert values["CONFIG_LOOP_ORDERS"] == 0b1001
    assert values["CONFIG_VALUE"] & 0xFF == config.tile
    assert values["CONFIG_ACTIVATION"] == config.cluster.activation_tiles | config.cluster.activation_banks << 24
    assert values["CONFIG_IDENTITY"] == zlib.crc32(config.to_json().encode())
    assert all(0 <= v < 1 << 32 for v in values.values())


def test_pack_refuses():
    with pytest.raises(ValueError, match="tile = 256"):
        pack(by_name("CONFIG_VALUE"), tile=256)
