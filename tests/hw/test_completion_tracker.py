"""Completion tracker: a product is done when, and only when, its last output tile is written, in order."""

import random

from cocotb.triggers import FallingEdge, ReadOnly

from acceltran.hw.matrix.completion_tracker import CompletionTracker
from acceltran.sim.unit import simulate_component, simulated
from support.streams import start

GRID, PORTS = 4, 3


@simulated()
async def check_completion(dut):
    rng = random.Random(3)
    for name in ("open", "issued", "close", "written"):
        getattr(dut, name).value = 0
    for n in range(PORTS):
        getattr(dut, f"written_tag__{n}").value = 0
    await start(dut)
    products = [[rng.randint(1, GRID) for _ in range(rng.randint(1, 4))] for _ in range(40)]
    waiting, missing, closed = [], {}, set()
    number, group, opened, finished = 0, 0, False, 0
    while finished < len(products):
        await FallingEdge(dut.clk)
        for name in ("open", "issued", "close", "written"):
            getattr(dut, name).value = 0
        landed = 0
        for port in range(PORTS):
            if waiting and rng.random() < 0.4:
                product = waiting.pop(rng.randrange(len(waiting)))
                getattr(dut, f"written_tag__{port}").value = product % 4
                landed |= 1 << port
                missing[product] -= 1
        dut.written.value = landed
        if number < len(products):
            if not opened:
                if dut.free.value and rng.random() < 0.7:
                    assert int(dut.tag.value) == number % 4
                    dut.open.value = 1
                    opened, group, missing[number] = True, 0, sum(products[number])
            elif rng.random() < 0.6:
                dut.issued.value = products[number][group]
                waiting += [number] * products[number][group]
                group += 1
                if group == len(products[number]):
                    dut.close.value = 1
                    closed.add(number)
                    number, opened = number + 1, False
        done_before = [n for n in closed if missing[n] == 0]
        await ReadOnly()
        if dut.done.value:
            assert finished in done_before
            finished += 1
    assert not waiting


def test_completion_tracker():
    simulate_component(__name__, CompletionTracker(grid=GRID, ports=PORTS))
