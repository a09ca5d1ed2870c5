"""The order in which instructions are done of which several ports bring shares, against lists."""

import random

import pytest
from cocotb.triggers import FallingEdge, ReadOnly

from acceltran.hw.memory.share_order import ShareOrder
from acceltran.sim.unit import parameters, simulate_component, simulated
from support.streams import start

DEPTH = 4


@simulated(200_000)
async def check_order(dut):
    """Ports finish at random times; now and then some fail, and nobody fails who has shares before that are not done."""
    ports, rng = parameters()["ports"], random.Random(1)
    await start(dut, "i")
    for turn in range(60):
        dut.rst.value, dut.i__valid.value, dut.finished.value, dut.failed.value = 1, 0, 0, 0
        await FallingEdge(dut.clk)
        dut.rst.value = 0
        # All ports have a share of most instructions; others are a matter of one.
        told = [(1 << ports) - 1 if rng.random() < 0.6 else 1 << rng.randrange(ports) for _ in range(30)]
        shares = [[n for n, members in enumerate(told) if members >> port & 1] for port in range(ports)]
        fatal = {port: rng.choice(shares[port]) for port in range(ports) if turn % 2 and rng.random() < 0.6 and shares[port]}
        pace = [rng.choice((0.1, 0.5, 1)) for _ in range(ports)]
        begun, done, finished = 0, 0, [0] * ports
        stops = min(fatal.values(), default=len(told))
        for _ in range(600):
            offers = begun < len(told) and rng.random() < 0.7
            dut.i__valid.value, dut.i__payload.value = int(offers), told[begun] if offers else 0
            able = [finished[port] < len(shares[port]) and shares[port][finished[port]] < begun for port in range(ports)]
            fails = [able[port] and shares[port][finished[port]] == fatal.get(port) for port in range(ports)]
            ends = [able[port] and not fails[port] and rng.random() < pace[port] for port in range(ports)]
            dut.finished.value = sum(end << port for port, end in enumerate(ends))
            dut.failed.value = sum(fail << port for port, fail in enumerate(fails))
            await ReadOnly()
            complete = done < begun and all(finished[port] > shares[port].index(done) for port in range(ports)
                                            if done in shares[port])
            assert int(dut.done.value) == complete
            wanted = sum(1 << port for port in range(ports) if fails[port] and fatal[port] == done)
            assert int(dut.failing.value) == wanted
            assert int(dut.empty.value) == (done == begun) and int(dut.i__ready.value) == (begun - done < DEPTH)
            begun += offers and begun - done < DEPTH
            done += complete
            finished = [count + end for count, end in zip(finished, ends, strict=True)]
            await FallingEdge(dut.clk)
        assert done == stops


@pytest.mark.parametrize("ports", [2, pytest.param(8, marks=pytest.mark.slow)])
def test_share_order(ports):
    simulate_component(__name__, ShareOrder(ports=ports, depth=DEPTH), ports=ports)
