"""Inside the simulator: programs with bases, curves and preloads of their own, one after the other without any reset.

A cocotb test module for the kind `encoders`. What each program showed goes to ``result.json``.
"""

import json
from dataclasses import asdict
from pathlib import Path

from cocotb.clock import Clock

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.registers import by_name
from acceltran.sim.clock import PERIOD
from acceltran.sim.register_bus import RegisterBus, reset
from acceltran.sim.unit import parameters, simulated
from acceltran.sw.host import perform_async
from acceltran.sw.host.driver import check_identity, enable_interrupts, run, set_base, set_thresholds, set_watchdog


@simulated(lambda job: 100_000 + sum(2 * one["limit"] + 100_000 for one in job["programs"]))
async def run_all(dut):
    job, seen = parameters(), []
    config = AcceleratorConfig.from_dict(job["config"])
    Clock(dut.clk, PERIOD, "ns", impl="gpi").start()
    bus = RegisterBus(dut)
    await reset(dut)
    await perform_async(bus, check_identity(config))
    await perform_async(bus, enable_interrupts())
    for program in job["programs"]:
        for steps in (set_base(config, program["base"], program["port_bases"]),
                      set_thresholds(program["curves"], program["target"]), set_watchdog(job["watchdog"])):
            await perform_async(bus, steps)
        for address, length in program["runs"]:
            done = await perform_async(bus, run(address, length, limit=program["limit"]))
            seen.append(asdict(done) | {"started": bus.written[by_name("CONTROL").offset], "woken": bus.woken})
            Path("result.json").write_text(json.dumps(seen))
            if not done.well:
                return
