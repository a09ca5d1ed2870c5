"""Inside the simulator: a user's secret is loaded, the buffers are scrubbed, and hostile programs run under locked windows.

A cocotb test module for `test_hostile_system`. What the hostile user sees in the registers goes to ``result.json``.
"""

import json
from pathlib import Path

from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer
from cocotb.utils import get_sim_time

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.registers import by_name
from acceltran.sim.clock import PERIOD
from acceltran.sim.register_bus import reset
from acceltran.sim.unit import parameters, simulated
from acceltran.sw.host import DeviceError, driver

from .error_runs import Accelerator

_SECRET_LIMIT = 20_000_000
"""Cycles; with slow memory and one read at a time, filling the buffers takes some."""


def _base(config, base):
    """Steps that give all memory ports the same base."""
    return driver.set_base(config, base, [base] * (config.memory_ports - 1))


async def load_secret(accelerator, job):
    """The user before: all buffers full, then a scrub, or nothing but a soft reset; cycles of either."""
    perform = accelerator.perform
    config = AcceleratorConfig.from_dict(job["config"])
    await perform(_base(config, job["base"]))
    await perform(driver.set_attributes(prot=job["prot"], cache=job["cache"]))
    await perform(driver.set_thresholds([[7] * 9] * config.prune_curves, 128))
    await accelerator.start({"watchdog": 1 << 20, "address": job["secret"][0], "length": job["secret"][1]})
    assert await accelerator.bus.wait(_SECRET_LIMIT)
    assert (await accelerator.show())["error_code"] == 0
    begun = get_sim_time("ns")
    await perform(driver.scrub() if job["scrub"] else driver.soft_reset())
    return round((get_sim_time("ns") - begun) / PERIOD)


async def confine(accelerator, job):
    """Windows and lock, by one who is trusted."""
    config = AcceleratorConfig.from_dict(job["config"])
    windows = {name: (job["base"] + first, last - first) for name, (first, last) in (("read", job["read"]),
                                                                                     ("write", job["write"]))}
    await accelerator.perform(driver.set_windows(config, **windows))
    await accelerator.perform(driver.lock())
    try:
        await accelerator.perform(driver.set_windows(config, **windows))
    except DeviceError:
        return
    raise AssertionError("locked windows were written")


async def attack(accelerator, job, run):
    """One hostile program; what its user can see of it."""
    config = AcceleratorConfig.from_dict(job["config"])
    await accelerator.perform(_base(config, job["base"] + run["base"]))
    await accelerator.start(run | {"address": run["address"] - run["base"] & 0xFFFF_FFFF})
    if run["cut"] is not None:
        await Timer(run["cut"] * PERIOD, "ns")
        await FallingEdge(accelerator.dut.clk)
        seen = {"ended": True}
    else:
        seen = {"ended": await accelerator.bus.wait(job["limit"]), **await accelerator.show()}
    seen["counters"] = await accelerator.perform(driver.read_counters()) if run.get("counters") else None
    return seen | {"reset": await accelerator.reset()}


@simulated(30 * _SECRET_LIMIT)
async def run_all(dut):
    job, parts, seen = parameters(), json.loads(Path("parts.json").read_text()), []
    Clock(dut.clk, PERIOD, "ns", impl="gpi").start()
    accelerator = Accelerator(dut)
    for part in parts:
        await reset(dut)
        await accelerator.perform(driver.enable_interrupts())
        seen.append({"scrub": await load_secret(accelerator, job), "runs": []})
        if not part:
            break
        await confine(accelerator, job)
        for run in part:
            seen[-1]["runs"].append(await attack(accelerator, job, run))
            if not seen[-1]["runs"][-1]["reset"]:
                break
    seen.append({"lock": await accelerator.bus.read_register(by_name("ACCESS_LOCK").offset)})
    Path("result.json").write_text(json.dumps(seen))
