"""The kind `hostile`: programs that are after a secret, under locked windows; whatever the secret, all must look the same."""

import json
from collections import Counter

from acceltran.hw.spec.error_codes import ErrorCode
from acceltran.sim.cocotb_run import run_cocotb
from acceltran.sim.system import write_image
from support.axi_monitor import monitor_plusargs
from support.changed_programs import monitored_system
from support.hostile_programs import MEMORY_BITS, READ, WRITE, Attack, secret_program

from .attack import fewer_cases
from .configurations import configurations
from .kind import Tally, config_of, draws, make_batch, with_cases
from .system import CALM, draw_memory, plusargs_of, tally_bus

__all__ = ["Hostile"]

_PROGRAMS = 120
_SECRETS = (101, 202)
_ATTRIBUTES = {"prot": 2, "cache": 15}
_BASES = (0x8000_0000, 0x12_3456_7000)
_MOST_BITS = 1 << 24
"""Of the buffers that are filled with the secret through the bus."""


class Hostile:
    """See `Kind`. A case is the number of a program of `Attack`, whose seed is that of the batch."""

    name = "hostile"

    def batches(self, seed, count):
        """See `Kind`."""
        configs = [config for _, config in configurations()[0] if _buffer_bits(config) <= _MOST_BITS]
        for rng, config in draws(self.name, seed, count, configs):
            base = rng.choice([base for base in _BASES if base < 1 << config.address_bits])
            settings = draw_memory(rng) | {"base": base, "programs": _PROGRAMS, "seed": rng.randrange(1 << 30)}
            yield make_batch(self.name, seed, config, settings, list(range(_PROGRAMS)))

    def run(self, batch, folder):
        """See `Kind`."""
        tally, settings = Tally(), batch["settings"]
        attack = Attack(config_of(batch), settings["programs"], settings["seed"])
        runs = [attack.runs[number] | {"counters": number % 10 == 0} for number in batch["cases"]]
        first, second = (_simulate(batch, attack, runs, folder / str(secret), secret, tally) for secret in _SECRETS)
        _judge(batch, runs, first, second, tally)
        return tally

    def smaller(self, batch):
        """See `Kind`."""
        for cases in fewer_cases(batch["cases"]):
            yield with_cases(batch, cases)
        calm = batch["settings"] | CALM
        if calm != batch["settings"]:
            yield batch | {"settings": calm}
        if batch["settings"]["base"] != _BASES[0]:
            yield batch | {"settings": batch["settings"] | {"base": _BASES[0]}}


def _buffer_bits(config):
    return (config.activation_tiles * config.line_bits + config.weight_tiles * config.weight_line_bits) * config.tile


def _simulate(batch, attack, runs, folder, secret, tally):
    """What the registers showed, and the log of writes, with one secret."""
    config, base = config_of(batch), batch["settings"]["base"]
    folder.mkdir()
    address, instructions = secret_program(config)
    write_image(attack.image(secret), config.bus_width, folder / "image.hex")
    (folder / "parts.json").write_text(json.dumps([runs]))
    end = base + (1 << MEMORY_BITS) - 1
    reached = monitor_plusargs(read=(base, end), write=(base, end), **_ATTRIBUTES)
    run_cocotb(monitored_system(config), "support.hostile_runs", folder,
               plusargs=["+image=image.hex", f"+base={base:x}", *reached, *plusargs_of(batch["settings"])],
               parameters={"config": config.to_dict(), "base": base, "secret": [address, len(instructions)], "scrub": True,
                           "read": READ, "write": WRITE, "limit": 4_000_000, **_ATTRIBUTES})
    tally_bus(tally, folder)
    return json.loads((folder / "result.json").read_text()), (folder / "memory.log").read_text().splitlines()


def _judge(batch, runs, first, second, tally):
    (part, end), log = first
    base, seen = batch["settings"]["base"], part["runs"]
    tally.counts["programs"] += len(seen)
    tally.counts.update(Counter(f"ended {ErrorCode(one.get('error_code', 0)).name}" for one in seen))
    for number, one in enumerate(seen):
        if not (one["ended"] and one["reset"]):
            tally.counts["hangs"] += 1
            tally.failures.append((number, "it neither ended nor could it be reset"))
        if one.get("error_code", 0) in (ErrorCode.BUS_READ, ErrorCode.BUS_WRITE, ErrorCode.FETCH_BUS):
            tally.failures.append((number, f"{ErrorCode(one['error_code']).name}: the bus was asked for what is not there"))
    if len(seen) < len(runs):
        tally.failures.append((len(seen), f"{len(runs) - len(seen)} programs did not run"))
    if end["lock"] != 1:
        tally.failures.append((None, "the windows are no longer locked"))
    outside = [line for line in log if not base + WRITE[0] <= int(line.split()[1]) < base + WRITE[1]]
    if outside:
        tally.failures.append((None, f"{len(outside)} writes outside the window, the first: {outside[0]}"))
    if first[0] != second[0]:
        others = second[0][0]["runs"]
        number = next((number for number, (one, other) in enumerate(zip(seen, others, strict=False)) if one != other), None)
        tally.failures.append((number, "the registers show another secret in another way"))
    if log != second[1]:
        tally.failures.append((None, "main memory, or the time of a write, depends on the secret"))
    tally.counts["writes compared"] += len(log)
