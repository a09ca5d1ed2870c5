"""Interrupts of the register file, cycle by cycle; what its registers hold is in `test_registers`."""

import random

from cocotb.triggers import FallingEdge

from acceltran.hw.control.register_file import RegisterFile
from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.registers import by_name
from acceltran.sim.unit import simulate_component, simulated
from support.renamed import Renamed
from support.streams import start

CONFIG = AcceleratorConfig.from_dict({"tile": 8, "integer_bits": 4, "fraction_bits": 4, "lines_per_beat": 1, "prune_curves": 4})


@simulated(10_000)
async def check_interrupts(dut):
    """An event in the cycle in which its interrupt is cleared is kept; the line follows what is pending and enabled."""
    rng = random.Random(1)
    dut.bus__read.value = dut.bus__write.value = dut.happens.value = dut.clear_events.value = 0
    await start(dut)
    pending = enabled = 0
    for _ in range(2000):
        event, clear = rng.randrange(4) if rng.random() < 0.3 else 0, rng.random() < 0.05
        written = rng.choice(("IRQ_STATUS", "IRQ_STATUS", "IRQ_ENABLE", None))
        value = rng.randrange(4)
        dut.happens.value, dut.clear_events.value = event, clear
        dut.bus__write.value, dut.bus__write_data.value = written is not None, value
        dut.bus__address.value = by_name(written or "STATUS").offset // 4
        line = int(pending & enabled > 0)
        await FallingEdge(dut.clk)
        assert int(dut.irq.value) == line
        pending = 0 if clear else pending & ~(value if written == "IRQ_STATUS" else 0) | event
        enabled = value if written == "IRQ_ENABLE" else enabled


def test_register_file():
    simulate_component(__name__, Renamed(RegisterFile(config=CONFIG), event="happens"))
