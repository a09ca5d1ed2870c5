"""Vector buffer: every reader gets the lines it asked for, in order, whatever the others do."""

import random

import cocotb
import pytest

from acceltran.hw.buffer.sram import SRAM_VERILOG
from acceltran.hw.buffer.vector_buffer import VectorBuffer
from acceltran.hw.spec.widths import LINE_ADDRESS_BITS
from acceltran.sim.clock import PERIOD
from acceltran.sim.unit import parameters, simulate_component, simulated
from support.streams import collect, send, start

TILE, WIDTH, LINES = 4, 8, 32


@simulated()
async def check_lines(dut):
    readers = parameters()["readers"]
    rng = random.Random(readers)
    await start(dut, "write", *(f"request__{n}" for n in range(readers)))
    lines = [rng.getrandbits(TILE * WIDTH) for _ in range(LINES)]
    await send(dut, "write", [address | line << LINE_ADDRESS_BITS for address, line in enumerate(lines)])
    for stall in (0, 0.4):
        asked = [[rng.randrange(LINES) for _ in range(60)] for _ in range(readers)]
        senders = [send(dut, f"request__{n}", asked[n], rng, stall) for n in range(readers)]
        takers = [collect(dut, f"o__{n}", 60, rng, stall) for n in range(readers)]
        results = await cocotb.triggers.gather(*senders, *takers)
        for wanted, got in zip(asked, results[readers:], strict=True):
            assert got == [lines[address] for address in wanted]


@simulated()
async def check_shared_lines(dut):
    """Readers that ask for the same lines get one every cycle, all of them."""
    readers = parameters()["readers"]
    await start(dut, "write", *(f"request__{n}" for n in range(readers)))
    lines = [3 * address for address in range(LINES)]
    await send(dut, "write", [address | line << LINE_ADDRESS_BITS for address, line in enumerate(lines)])
    begun = cocotb.utils.get_sim_time("step")
    await cocotb.triggers.gather(*(send(dut, f"request__{n}", list(range(LINES))) for n in range(readers)),
                                 *(collect(dut, f"o__{n}", LINES) for n in range(readers)))
    cycles = (cocotb.utils.get_sim_time("step") - begun) / cocotb.utils.get_sim_steps(PERIOD, "ns")
    assert cycles <= LINES + 6


@simulated()
async def check_turns(dut):
    """Readers that always ask, each for lines of its own, are answered in turn: none is ever two answers ahead of another."""
    readers = parameters()["readers"]
    await start(dut, "write", *(f"request__{n}" for n in range(readers)))
    await send(dut, "write", [address | address << LINE_ADDRESS_BITS for address in range(LINES)])
    each, answers = LINES // readers, [0] * readers

    def count(word):
        answers[word % readers] += 1
        assert max(answers) - min(answers) <= 1, answers

    await cocotb.triggers.gather(
        *(send(dut, f"request__{n}", [readers * place + n for place in range(each)]) for n in range(readers)),
        *(collect(dut, f"o__{n}", each, on_transfer=count) for n in range(readers)))
    assert answers == [each] * readers


@pytest.mark.parametrize("readers", [1, 3])
def test_vector_buffer(readers):
    simulate_component(__name__, VectorBuffer(tile=TILE, width=WIDTH, lines=LINES, readers=readers), sources=[SRAM_VERILOG],
                       readers=readers)
