"""Round robin against a model that counts turns."""

import random

import pytest
from cocotb.triggers import FallingEdge, ReadOnly

from acceltran.hw.streams.round_robin import RoundRobin
from acceltran.sim.unit import parameters, simulate_component, simulated
from support.streams import start


@simulated()
async def check_turns(dut):
    count = parameters()["inputs"]
    rng = random.Random(count)
    dut.asks.value = dut.advance.value = 0
    await start(dut)
    turn = 0
    for _ in range(2000):
        asks = rng.getrandbits(count) if rng.random() < 0.7 else rng.choice((0, 1 << rng.randrange(count), (1 << count) - 1))
        advance = rng.random() < 0.7
        dut.asks.value, dut.advance.value = asks, int(advance)
        await ReadOnly()
        asking = [n % count for n in range(turn, turn + count) if asks >> n % count & 1]
        choice = asking[0] if asking else 0
        assert int(dut.choice.value) == choice
        assert int(dut.grant.value) == (1 << choice if asking else 0)
        if asking:
            turn = (choice + advance) % count
        await FallingEdge(dut.clk)


@pytest.mark.parametrize("inputs", [1, 2, 5, 33])
def test_round_robin(inputs):
    simulate_component(__name__, RoundRobin(inputs=inputs), inputs=inputs)
