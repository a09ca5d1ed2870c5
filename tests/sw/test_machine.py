"""The accelerator in Python: what is in order gives one result in any order of tiles, and what is not shows."""

import random
from types import SimpleNamespace

import numpy as np
import pytest

from acceltran.hw.spec.isa import INSTRUCTION_BYTES, LoopOrder, Opcode, encode, fields_of
from campaign.program_data import PROGRAMS, ProgramData
from campaign.random_programs import RandomPrograms, encoded
from support.configs import CLUSTERS, CONFIGS
from support.machine import Machine

CONFIG = CONFIGS["four_pes"]
COUNT = 3
"""Tile rows and columns of every matrix."""


def machine_of(config, image, seed, curves=()):
    program = SimpleNamespace(config=config, image=image, curves=curves, target=0, port_bases=lambda base: [])
    return Machine(program, seed, exact=False)


def instruction(opcode, **fields):
    return encode(opcode, **{field.name: 0 for field in fields_of(opcode) if field.name != "opcode"} | fields)


def matmul(a, b, c, order=0, **header):
    """A product of square matrices of the activation buffer."""
    places = {f"{name}_slot": slot for name, slot in (("a", a), ("b", b), ("c", c))}
    pitches = {f"{name}_pitch": COUNT for name in "abc"}
    return instruction(Opcode.MATMUL, **places, **pitches, b_buffer=1, batch=1, rows=COUNT, inner=COUNT, columns=COUNT,
                       order=int(order), shift=8, **header)


def results(instructions, slot, seeds=24):
    """The distinct matrices that are at `slot` after the instructions, in so many orders."""
    found = set()
    for seed in range(seeds):
        machine = machine_of(CONFIG, b"".join([*instructions, instruction(Opcode.HALT)]), seed)
        values = np.random.default_rng(0).integers(-100, 100, machine.activations[0].values.shape)
        machine.activations[0].put(np.arange(len(values)), values)
        machine.run_from(0, [])
        found.add(machine.activations[0].values[slot: slot + COUNT * COUNT].tobytes())
    return len(found)


@pytest.mark.parametrize(("order", "again"), [(LoopOrder.BIJK, True), (LoopOrder.IJBK, True), (LoopOrder.JBKI, False)])
def test_a_product_over_its_own_operand_shows(order, again):
    """Over B only where it reads a tile of B again, for another tile row: with j outermost it does not."""
    assert results([matmul(0, 20, 40, order)], 40) == 1
    assert results([matmul(0, 20, 0, order)], 0) > 1
    assert (results([matmul(0, 20, 20, order)], 20) > 1) == again


def test_a_product_that_does_not_wait_for_the_one_before_shows():
    matrix = 1 << 1
    assert results([matmul(0, 20, 40, signal=matrix), matmul(40, 20, 60, wait_matrix=1)], 60) == 1
    assert results([matmul(0, 20, 40), matmul(40, 20, 60)], 60) > 2, "parts of the first are there, others are not"
    assert results([matmul(0, 20, 40), matmul(60, 80, 0)], 40) > 2, "the second writes what the first reads"


def test_rows_are_read_twice():
    """A softmax over its own operand, a tile further: sums and results are of other values."""
    fields = {"x_slot": 0, "x_pitch": 4, "o_pitch": 4, "rows": 2, "columns": 4, "valid_columns": 32, "x_shift": 3, "o_frac": 6}
    assert results([instruction(Opcode.SOFTMAX, o_slot=100, **fields)], 100) == 1
    assert results([instruction(Opcode.SOFTMAX, o_slot=1, **fields)], 0) > 1


@pytest.mark.parametrize("config", [CONFIGS["one_pe"], CONFIGS["four_pes"], CLUSTERS[2]], ids=lambda config: config.name)
def test_programs_that_wait_give_one_result_in_any_order(config):
    rng = random.Random(config.name)
    data = ProgramData(config, 1)
    programs = RandomPrograms(config, data, rng)
    for _ in range(6):
        case = {}
        while case.get("kind") != "valid" or case["more"] or case["at"]:
            case = programs.case()
        text, found = b"".join(map(encoded, case["program"])), set()
        assert len(text) > 3 * INSTRUCTION_BYTES
        memory = bytearray(data.memory)
        memory[PROGRAMS.start: PROGRAMS.start + len(text)] = text
        for seed in range(5):
            machine = machine_of(config, bytes(memory), seed, curves=[[0] * 9] * config.prune_curves)
            machine.bases = [0, *(data.port_base(port) for port in range(1, config.memory_ports))]
            machine.clear()
            machine.run_from(PROGRAMS.start, [])
            found.add(bytes(machine.memory))
        assert len(found) == 1, case
        assert found != {bytes(memory)}, "nothing was stored"
