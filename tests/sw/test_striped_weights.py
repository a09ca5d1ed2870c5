"""Weights striped over several memory ports: configuration, image, descriptor, programs, driver, and what is refused."""

import json
import zlib
from dataclasses import replace

import numpy as np
import pytest

from acceltran.cli.options import DEFAULT_MODEL
from acceltran.cli.soc import soc_command
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.errors import ConfigError
from acceltran.hw.spec.isa import Buffer, Opcode
from acceltran.hw.spec.registers import config_values
from acceltran.sim.hand_program import HandProgram
from acceltran.sim.products import Product, measure_products
from acceltran.sw.compiler import (
    CompileError,
    compile_buckets,
    descriptor,
    load_programs,
    lower,
    quantise_encoder,
    save_programs,
)
from acceltran.sw.compiler.compile import compile_quantised
from acceltran.sw.compiler.image import Image, pack_matrix, pack_shares
from acceltran.sw.estimate.estimate import estimate
from acceltran.sw.golden.tiles import to_stream
from acceltran.sw.host import DeviceError, driver, perform
from acceltran.sw.ir.execute import golden_run
from acceltran.sw.models.checkpoint import load_checkpoint
from acceltran.sw.models.sentences import encode_texts
from support.machine import Machine
from support.models import make_checkpoint, random_texts
from support.register_model import ModelBus

NANO = AcceleratorConfig.load("nano")
TEXTS = random_texts(2, 14, seed=2)


def ported(ports, **fields):
    return replace(NANO, memory_ports=ports, weight_banks=max(2, ports), **fields)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return load_checkpoint(make_checkpoint(tmp_path_factory.mktemp("model"), ffn=76, labels=3))


@pytest.fixture(scope="module")
def encoder(checkpoint):
    return quantise_encoder(checkpoint, NANO, calibration_texts=TEXTS, weight_sparsity=0.4)


def program_of(checkpoint, encoder, config, **options):
    ids, lengths = encode_texts(checkpoint, TEXTS)
    return compile_quantised(encoder, config, ids, lengths, **options), golden_run, ids, lengths


def test_the_field_and_what_it_needs():
    with pytest.raises(ConfigError, match="memory_ports = 3: choose one of 1, 2, 4, 8"):
        replace(NANO, memory_ports=3)
    with pytest.raises(ConfigError, match="weight_banks = 2: needs at least memory_ports = 4; raise it"):
        replace(NANO, memory_ports=4, weight_banks=2)
    # Without further ports a configuration is what it was before there were any.
    assert "memory_ports" not in NANO.to_dict() and AcceleratorConfig.from_dict({**NANO.to_dict(), "memory_ports": 1}) == NANO
    assert config_values(NANO)["CONFIG_IDENTITY"] == zlib.crc32(NANO.to_json().encode()) == 0x28A7DD15
    assert AcceleratorConfig.from_dict(ported(4).to_dict()) == ported(4)
    assert config_values(ported(4))["CONFIG_BUS"] - config_values(NANO)["CONFIG_BUS"] == 3 << 12


@pytest.mark.parametrize("ports", [1, 2, 4, 8])
def test_shares_are_every_nth_tile(ports):
    rng = np.random.default_rng(ports)
    for rows, columns in ((1, 1), (3, 5), (4, 2)):
        matrix = rng.integers(-99, 99, (8 * rows, 8 * columns)) * (rng.random((8 * rows, 8 * columns)) < 0.4)
        tiles = [to_stream(matrix[8 * r: 8 * r + 8, 8 * c: 8 * c + 8], 8, 20) for r in range(rows) for c in range(columns)]
        shares = pack_shares(matrix, 8, 20, ports)
        wanted = [b"".join(tiles[port::ports]) for port in range(ports)]
        longest = max(map(len, wanted))
        assert shares == [share.ljust(longest, b"\0") for share in wanted]
        assert ports > 1 or shares == [pack_matrix(matrix, 8, 20)]


def test_equal_pieces_lie_once_and_others_do_not():
    """Pieces of which the first port's share is the same, and another's is not, are not the same."""
    image = Image(3)
    image.section("weights")
    one, same, other = (image.share_striped([b"a" * 70, b"b" * 70, last * 70]) for last in (b"c", b"c", b"d"))
    image.add_stripes("weights")
    assert one == same != other
    raw, (first, size) = image.to_bytes(), image.sections["weights"]
    for address, texts in ((one, "abc"), (other, "abd")):
        for section, text in zip(("weights", "stripe_1", "stripe_2"), texts, strict=True):
            start, length = image.sections[section]
            assert length == size and start % 4096 == 0
            assert raw[start + address - first:][:70] == text.encode() * 70


@pytest.mark.parametrize("ports", [2, 4, 8])
@pytest.mark.parametrize("resident", [False, True])
def test_programs_give_what_the_golden_model_gives(checkpoint, encoder, ports, resident):
    program, golden, ids, lengths = program_of(checkpoint, encoder, ported(ports), resident=resident)
    machine = Machine(program)
    machine.run()
    wanted = golden(program, ids, lengths)
    assert machine.seen.keys() == wanted.keys() and all(machine.seen[name].equal(wanted[name]) for name in wanted)
    alone, *_ = program_of(checkpoint, encoder, NANO, resident=resident)
    sizes = [program.sections[name][1] for name in ("weights", *(f"stripe_{port}" for port in range(1, ports)))]
    assert len(set(sizes)) == 1 and sizes[0] < alone.sections["weights"][1] * 0.8


def test_the_image_says_where_stripes_lie(checkpoint, encoder, tmp_path):
    programs = compile_buckets(encoder, ported(4), {8: [5, 6], 16: [5] * 12})
    save_programs(programs, tmp_path)
    for program in load_programs(tmp_path):
        first, size = program.sections["weights"]
        bases = program.port_bases(1 << 20)
        assert descriptor.read(program.image)["stripes"] == [
            {"offset": base - (1 << 20) + first, "bytes": size, "first": first} for base in bases]
        assert len(bases) == 3 and all(base % 4096 == 0 for base in bases)
        assert program.port_bases() == tuple(base - (1 << 20) for base in bases)
    assert descriptor.read(compile_buckets(encoder, NANO, {8: [5, 6]})[0].image)["stripes"] == []


def test_loads_are_planned_and_estimated_by_the_longest_share(checkpoint, encoder):
    found = {}
    for ports in (1, 4):
        program, *_ = program_of(checkpoint, encoder, ported(ports))
        loads = [fields for opcode, fields in program.instructions
                 if opcode is Opcode.LOAD and fields["buffer"] == Buffer.WEIGHT]
        assert ports == 1 or all(fields["rows"] == 1 and fields["pitch"] == 0 for fields in loads)
        result = estimate(program)
        assert result.counters["weight_tiles"] == sum(fields["rows"] * fields["columns"] for fields in loads)
        assert result.counters["bytes_read"] > sum(min(ports, fields["columns"]) * fields["bytes"] for fields in loads)
        found[ports] = program.planned_cycles, result.cycles
    assert all(few < one for few, one in zip(found[4], found[1], strict=True)), found


def test_a_block_is_no_longer_than_a_row_of_a_load(checkpoint, encoder, monkeypatch):
    monkeypatch.setattr(lower, "_STRIPED_TILES", 12)
    for ports in (1, 2):
        program, golden, ids, lengths = program_of(checkpoint, encoder, ported(ports))
        sizes = [fields["rows"] * fields["columns"] for opcode, fields in program.instructions
                 if opcode is Opcode.LOAD and fields["buffer"] == Buffer.WEIGHT and fields["columns"] > 1]
        assert (max(sizes) <= 12) == (ports > 1), sizes
    machine, wanted = Machine(program), golden(program, ids, lengths)
    machine.run()
    assert all(machine.seen[name].equal(wanted[name]) for name in wanted)


def test_the_driver_tells_every_port_its_base(checkpoint, encoder):
    config = ported(2, address_bits=64)
    program, *_ = program_of(checkpoint, encoder, config)
    bus = ModelBus(config)
    perform(bus, driver.load_program(program, limit=1.0))
    assert (bus.base, bus.address("PORT_BASE_1")) == (0, *program.port_bases())
    perform(bus, driver.set_base(config, 3 << 32, [5 << 32]))
    assert (bus.base, bus.address("PORT_BASE_1")) == (3 << 32, 5 << 32)
    assert [name for name, _ in perform(bus, driver.read_counters()).items() if name.startswith("bytes_read")] == [
        "bytes_read", "bytes_read_1"]
    for given, message in (((), r"port_bases = \(\): nano has 1 memory ports beside the first; give an address for each"),
                           ((64,), r"port_bases = \(64,\): that of m_axi_1 is no multiple of 4,096 below"),
                           ((-4096,), "is no multiple of 4,096 below")):
        with pytest.raises(DeviceError, match=message):
            perform(bus, driver.set_base(config, 0, given))
    assert "bytes_read_1" not in perform(ModelBus(NANO), driver.read_counters())


def test_what_cannot_work_is_refused(tmp_path):
    with pytest.raises(CompileError, match="memory_ports = 2: operands of single products come through one port"):
        measure_products(ported(2), [Product(m=8, k=8, n=8)], folder=tmp_path)
    with pytest.raises(ValueError, match="memory_ports = 2: programs by hand load weights by one; set it to 1"):
        HandProgram(ported(2)).load(Buffer.WEIGHT, 0, np.ones((8, 8), np.int64))
    file = tmp_path / "two.toml"
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in ported(2).to_dict().items()))
    with pytest.raises(CompileError, match="memory_ports = 2: the system on chip has one port for its accelerator; set it"):
        soc_command(config=file, model=DEFAULT_MODEL, texts=None, buckets="8", output=None, json_path=None, latency=40,
                    shuffle=False, ecp5=False)
