"""The simulators of the campaign, and what its memory does to the accelerator."""

from acceltran.hw.spec.error_codes import ErrorCode
from support.axi_monitor import monitored

__all__ = ["CALM", "STALLS", "draw_memory", "plusargs_of", "tally_bus", "told"]

CALM = {"latency": 5, "stall": 0, "stall_seed": 1, "shuffle": False, "power_up": None}
"""A memory that makes no trouble."""

STALLS = (0, 0, 20, 60, 130, 200)
"""Of 256 cycles, those in which a handshake is held back."""


def draw_memory(rng):
    """A random behaviour of main memory, and of the registers at power-up."""
    return {"latency": rng.choice((0, 1, 5, 40, 40, 150)), "stall": rng.choice(STALLS), "stall_seed": rng.randrange(1, 1 << 30),
            "shuffle": rng.random() < 0.5, "power_up": rng.choice((None, rng.randrange(1, 1 << 30)))}


def plusargs_of(settings):
    """What the simulator gets."""
    given = [f"+latency={settings['latency']}"]
    if settings["stall"]:
        given += [f"+stall={settings['stall']}", f"+stall_seed={settings['stall_seed']}"]
    if settings["shuffle"]:
        given.append("+shuffle")
    if settings["power_up"] is not None:
        given += ["+verilator+rand+reset+2", f"+verilator+seed+{settings['power_up']}"]
    return given


def tally_bus(tally, folder):
    """Count what the monitors of the memory ports saw; a broken rule of AXI is a failure."""
    violations, counts = monitored(folder)
    tally.counts.update({name: counts[name] for name in ("cycles", "reads", "writes", "interleaved", "overtaking")})
    tally.counts["violations"] += len(violations)
    if violations:
        tally.failures.append((None, f"{len(violations)} rules of AXI broken, the first: {violations[0]}"))


def told(seen):
    """What the error registers say, in words."""
    return f"{ErrorCode(seen['error_code']).name} of source {seen['error_engine']}, instruction {seen['error_instruction']}"
