"""Inside the simulator: start each program through the registers, sleep until the interrupt, read the results.

This is a cocotb test module; `sim.system.simulate` runs it. What to do comes from `sim.unit.parameters`, what was
seen goes to ``result.json``.
"""

import json
from dataclasses import asdict
from pathlib import Path

from cocotb.clock import Clock

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.registers import by_name
from acceltran.sw.host import DeviceError, perform_async
from acceltran.sw.host.driver import check_identity, enable_interrupts, run, set_base, set_thresholds, set_watchdog

from .clock import PERIOD
from .register_bus import RegisterBus, reset
from .unit import parameters, simulated

_SETTING_UP, _STARTING = 100_000, 1_000
"""Cycles within which all registers are set, and those of one run."""


@simulated(lambda job: _SETTING_UP + len(job["programs"]) * (job["timeout"] + _STARTING))
async def run_programs(dut):
    """One cycle of reset; set the thresholds, run the programs one after the other, collect what each showed."""
    job = parameters()
    config = AcceleratorConfig.from_dict(job["config"])
    Clock(dut.clk, PERIOD, "ns", impl="gpi").start()
    bus = RegisterBus(dut)
    await reset(dut)
    try:
        await perform_async(bus, check_identity(config))
    except DeviceError as error:
        Path("result.json").write_text(json.dumps({"refused": str(error)}))
        return
    for steps in (set_base(config, job["base"], job["port_bases"]), set_thresholds(job["curves"], job["target"]),
                  set_watchdog(job["watchdog"]), enable_interrupts()):
        await perform_async(bus, steps)
    results = []
    for address, length in job["programs"]:
        done = await perform_async(bus, run(address, length, limit=job["timeout"]))
        results.append(asdict(done) | {"started": bus.written[by_name("CONTROL").offset], "woken": bus.woken})
        if not done.well:
            break
    Path("result.json").write_text(json.dumps({"runs": results}))
