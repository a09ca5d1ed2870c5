"""Energy of an inference: logic, SRAM and main memory."""

import csv
from collections import Counter
from pathlib import Path

from ..hw.spec.errors import ConfigError
from .activity import BANK
from .area import plain_name

__all__ = ["MAIN_MEMORY", "NOT_MODELLED", "MainMemory", "block_counts", "energy", "sram_energy"]

MAIN_MEMORY = Path(__file__).parent / "main_memory.csv"
"""Kinds of main memory and their energy per bit."""

NOT_MODELLED = "not modelled: wires, the clock tree, glitches within a cycle, pads and the controller of main memory"

_WITHIN = {"pe", "lane", "mac", "post", "softmax", "layernorm"}
"""Instances that are blocks of their own wherever they are; so is everything directly in the accelerator."""


class MainMemory:
    """A kind of main memory.

    Members
    -------
    kind : its name
    joules_per_byte : of reading or writing

    Raises
    ------
    ConfigError : there is no such kind
    """

    def __init__(self, kind):
        lines = [line for line in MAIN_MEMORY.read_text().splitlines() if not line.startswith("#")]
        kinds = {row["kind"]: float(row["pJ_per_bit"]) for row in csv.DictReader(lines)}
        if kind not in kinds:
            raise ConfigError(f"memory = {kind!r}: is no kind of main memory; choose one of {', '.join(kinds)}")
        self.kind = kind
        self.joules_per_byte = 8e-12 * kinds[kind]


def block_counts(modules):
    """{(block, distinct module): copies}; a block is the innermost of those that have a row of their own."""
    counts = Counter()

    def visit(name, block, copies, depth):
        counts[block, name] += copies
        below = Counter()
        for instance, child in modules[name].instances:
            plain = plain_name(instance)
            below[plain if depth == 0 or plain in _WITHIN else block, child] += copies
        for (inner, child), number in below.items():
            visit(child, inner, number, depth + 1)

    visit(next(reversed(modules)), "accelerator", 1, 0)
    return counts


def sram_energy(modules, mapped, sram, *, banks, other):
    """Joules of all accesses to SRAM macros, and their leakage in watts.

    Parameters
    ----------
    banks : {module of a bank: (reads, writes) of all copies}
    other : reads, and as many writes, of each macro that is no bank
    """
    copies = Counter()
    for (_, name), number in block_counts(modules).items():
        copies[name] += number
    joules = watts = 0.0
    for name in modules:
        for macro in mapped[name].macros:
            one = sram.estimate(width=macro["width"], depth=macro["depth"])
            reads, writes = banks[name] if name.startswith(BANK) else (other * copies[name],) * 2
            joules += 1e-12 * (reads * one.read_pJ + writes * one.write_pJ)
            watts += 1e-3 * one.leakage_mW * copies[name]
    return joules, watts


def energy(modules, power, *, clock, cycles, sram, memory, bytes_moved, multiplications, sequences):
    """All figures of a batch of `sequences` as plain values.

    Parameters
    ----------
    power : {module: ModulePower}
    clock : MHz
    sram : (joules, watts), see `sram_energy`
    memory : MainMemory
    bytes_moved : to and from main memory
    multiplications : of the dense model

    Returns
    -------
    dict: blocks: [{block, copies, power_mW, dynamic_uJ, leakage_uJ, energy_uJ, share}], the largest first; energy_uJ,
    seconds, sequences_per_second, power_mW and tops_per_watt (a multiplication with its addition is two operations)
    """
    seconds = cycles / (clock * 1e6)
    found = {}
    for (block, name), copies in block_counts(modules).items():
        one, row = power[name], found.setdefault(block, [0.0, 0.0])
        row[0] += copies * (one.internal + one.switching) * cycles
        row[1] += copies * one.leakage * seconds
    found["SRAM"] = [sram[0], sram[1] * seconds]
    found["main memory"] = [memory.joules_per_byte * bytes_moved, 0.0]
    total = sum(map(sum, found.values()))
    rows = [{"block": block, "power_mW": 1e3 * (dynamic + leakage) / seconds, "dynamic_uJ": 1e6 * dynamic / sequences,
             "leakage_uJ": 1e6 * leakage / sequences, "energy_uJ": 1e6 * (dynamic + leakage) / sequences,
             "share": (dynamic + leakage) / total}
            for block, (dynamic, leakage) in sorted(found.items(), key=lambda item: -sum(item[1]))]
    return {
        "blocks": rows, "energy_uJ": 1e6 * total / sequences, "power_mW": 1e3 * total / seconds, "seconds": seconds,
        "sequences": sequences, "sequences_per_second": sequences / seconds,
        "tops_per_watt": 2e-12 * multiplications / total,
    }
