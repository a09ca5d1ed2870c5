"""Inside the simulator: programs one after the other, without a reset between them but where one stopped with an error.

A cocotb test module for the campaign's random programs. The parameters are in ``job.json``; what the registers showed, and
when, goes to ``result.json``. It ends early at the first program that does not end, or cannot be reset.
"""

import json
from pathlib import Path

from cocotb.clock import Clock
from cocotb.utils import get_sim_time

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sim.clock import PERIOD
from acceltran.sim.register_bus import RegisterBus, reset
from acceltran.sim.unit import simulated
from acceltran.sw.host import DeviceError, driver, perform_async

_SETTING_UP = 100_000


def _job():
    return json.loads(Path("job.json").read_text())


def _now():
    return round(get_sim_time("ns"))


async def _play(bus, config, job, run, windows):
    """One program; what was seen of it."""
    if windows != (run["read"], run["write"]):
        await perform_async(bus, driver.set_windows(config, read=run["read"], write=run["write"]))
    await perform_async(bus, driver.set_base(config, run["base"], run["port_bases"]))
    begun = _now()
    await perform_async(bus, driver.start(run["address"], run["length"]))
    ended = await bus.wait(job["limit"])
    seen = await perform_async(bus, driver.outcome())
    found = {"ended": ended, "begun": begun, "done": _now(), "status": seen.status, "code": seen.error_code,
             "engine": seen.error_engine, "instruction": seen.error_instruction}
    if seen.error_code or run["scrub"] or not ended:
        try:
            await perform_async(bus, (driver.scrub if run["scrub"] else driver.soft_reset)(polls=job["polls"]))
        except DeviceError as error:
            found["reset"] = str(error)
        if run["scrub"]:
            await perform_async(bus, driver.set_thresholds(job["curves"], job["target"]))
    return found


@simulated(lambda _: _SETTING_UP + (_job()["limit"] + _SETTING_UP) * (1 + len(_job()["runs"])))
async def run_all(dut):
    """A scrub, so that buffers are zero; then all programs."""
    job, seen, windows = _job(), [], None
    config = AcceleratorConfig.from_dict(job["config"])
    Clock(dut.clk, PERIOD, "ns", impl="gpi").start()
    bus = RegisterBus(dut)
    await reset(dut)
    for steps in (driver.check_identity(config), driver.scrub(), driver.set_thresholds(job["curves"], job["target"]),
                  driver.set_watchdog(job["watchdog"]), driver.enable_interrupts()):
        await perform_async(bus, steps)
    for run in job["runs"]:
        seen.append(await _play(bus, config, job, run, windows))
        windows = run["read"], run["write"]
        if not seen[-1]["ended"] or "reset" in seen[-1]:
            break
    Path("result.json").write_text(json.dumps({"runs": seen, "cycles": _now() // PERIOD}))
