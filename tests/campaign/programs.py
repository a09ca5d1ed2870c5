"""The kind `programs`: random programs back to back, of which a model says how they end and what they write."""

import json
from dataclasses import replace
from functools import lru_cache

from acceltran.hw.spec.error_codes import ErrorCode
from acceltran.hw.spec.isa import INSTRUCTION_BYTES
from acceltran.hw.spec.registers import by_name, pack
from acceltran.sim.cocotb_run import run_cocotb
from acceltran.sim.system import write_image
from support.changed_programs import monitored_system
from support.configs import CLUSTERS, CONFIGS
from support.instruction_faults import Surroundings
from support.program_model import Ending, ProgramModel, UnclearError

from .attack import fewer_cases
from .kind import Tally, config_of, draws, make_batch, with_cases
from .program_data import MEMORY_BITS, PROGRAMS, RESULTS, ProgramData
from .random_programs import CURVES, RandomPrograms, encoded
from .system import tally_bus

__all__ = ["PROGRAM_CONFIGS", "Programs"]

_SMALL = {"weight_tiles": 32, "vector_lines": 32}
PROGRAM_CONFIGS = (
    replace(CONFIGS["one_pe"], **_SMALL, activation_tiles=64), replace(CONFIGS["four_pes"], **_SMALL, activation_tiles=64),
    replace(CLUSTERS[2], **_SMALL, activation_tiles=128))
"""Buffers are small, so that programs meet in them, and a scrub is short."""

_CASES = 250
_WATCHDOG = 8000
_LIMIT = 400_000
"""Cycles after which a program counts as hung: more than its instructions can take one after the other."""

_POLLS = 5000
_KNOTS = 9
_LONG = 1 << 16
"""Bytes of a program that lies where the results go: there is room, but what runs before it may overwrite it."""
_INTERLEAVED = 8
"""Of so many determined programs, one is run a second time in Python, tile by tile."""

_WELL, _FAILED = (pack(by_name("STATUS"), **bits) for bits in ({"idle": 1, "done": 1}, {"error": 1}))
_CALM = {"latency": 4, "stall": 0, "stall_seed": 1, "base": 0}


class Programs:
    """See `Kind`.

    A case is a program and its run: the instructions (fields that are not zero, or ``raw`` bytes; ``times`` of the same), how
    many ``more`` (or fewer) PROGRAM_LENGTH says, the address it is started ``at`` if that is not its own, what is added to the
    ``base`` of main memory, and subtracted from all addresses, the windows to ``read`` and ``write``, as first byte of main
    memory and number of bytes, and whether the buffers are scrubbed after it.

    Parameters
    ----------
    configs : AcceleratorConfigs, of which a batch has one
    cases : programs of a batch
    build : function from a configuration to its simulator; with a monitor at the ports, what that saw counts too
    """

    name = "programs"

    def __init__(self, configs=PROGRAM_CONFIGS, cases=_CASES, build=monitored_system):
        self._configs, self._cases, self._build = configs, cases, build

    def batches(self, seed, count):
        """See `Kind`."""
        for rng, config in draws(self.name, seed, count, self._configs):
            settings = {"data": rng.randrange(1 << 30), "latency": rng.choice((1, 4, 4, 12)), "stall": rng.choice((0, 0, 40)),
                        "stall_seed": rng.randrange(1, 1 << 30), "base": rng.choice((0, 0x8000_0000)),
                        "target": rng.randrange(257), "knots": [sorted(rng.randrange(1 << config.width // 2)
                                                                       for _ in range(_KNOTS)) for _ in range(CURVES)]}
            programs = RandomPrograms(config, _data(config, settings["data"]), rng)
            cases = [*([programs.overflow()] if rng.random() < 0.5 else []), *(programs.case() for _ in range(self._cases))]
            yield make_batch(self.name, seed, config, settings, cases)

    def run(self, batch, folder):
        """See `Kind`."""
        config, settings = config_of(batch), batch["settings"]
        data = _data(config, settings["data"])
        runs, memory = _placed(batch, config, data)
        write_image(memory, config.bus_width, folder / "image.hex")
        (folder / "job.json").write_text(json.dumps({
            "config": config.to_dict(), "curves": settings["knots"], "target": settings["target"], "watchdog": _WATCHDOG,
            "limit": _LIMIT, "polls": _POLLS, "runs": runs}))
        plusargs = ["+image=image.hex", f"+base={settings['base']:x}", f"+latency={settings['latency']}"]
        if settings["stall"]:
            plusargs += [f"+stall={settings['stall']}", f"+stall_seed={settings['stall_seed']}"]
        run_cocotb(self._build(config), "support.program_runs", folder, plusargs=plusargs)
        seen = json.loads((folder / "result.json").read_text())
        tally = _Judgement(batch, config, data, memory, runs).of(seen, folder)
        if (folder / "axi.log").exists():
            tally_bus(tally, folder)
        else:
            tally.counts["cycles"] += seen["cycles"]
        return tally

    def smaller(self, batch):
        """See `Kind`."""
        for cases in fewer_cases(batch["cases"]):
            yield with_cases(batch, cases)
        if batch["settings"] | _CALM != batch["settings"]:
            yield batch | {"settings": batch["settings"] | _CALM}
        for number, case in enumerate(batch["cases"]):
            for smaller in _smaller_cases(case):
                yield with_cases(batch, [*batch["cases"][:number], smaller, *batch["cases"][number + 1:]])


@lru_cache(2)
def _data(config, seed):
    return ProgramData(config, seed)


def _smaller_cases(case):
    """The run with some instructions left out, then plainer, then with plainer instructions."""
    program = case["program"]
    for fewer in fewer_cases(program):
        yield case | {"program": fewer}
    for name, plain in (("more", 0), ("at", None), ("base", 0), ("read", None), ("write", None), ("scrub", False)):
        if case[name] != plain:
            yield case | {name: plain}
    for number, instruction in enumerate(program):
        for one in _smaller_instructions(instruction):
            yield case | {"program": [*program[:number], one, *program[number + 1:]]}


def _smaller_instructions(instruction):
    """The instruction with fewer fields that are not zero, then with single ones that are 1."""
    names = [name for name in instruction if name not in ("opcode", "raw", "times")]
    for kept in [[], *fewer_cases(names)] if names else ():
        yield {name: value for name, value in instruction.items() if name in kept or name not in names}
    for name in names:
        if instruction[name] != 1:
            yield instruction | {name: 1}


def _placed(batch, config, data):
    """The runs as `support.program_runs` wants them, and main memory with their programs."""
    memory, place, runs = bytearray(data.memory), PROGRAMS.start, []
    first, whole = batch["settings"]["base"], (0, 1 << config.address_bits)
    for case in batch["cases"]:
        text = b"".join(encoded(_moved(one, case["base"])) * one.get("times", 1) for one in case["program"])
        at = RESULTS.start if len(text) > _LONG else place
        runs.append({
            "address": (at if case["at"] is None else case["at"]) - case["base"] & 0xFFFF_FFFF,
            "length": max(0, len(text) // INSTRUCTION_BYTES + case["more"]), "base": first + case["base"],
            "port_bases": [first + case["base"] + data.port_base(port) for port in range(1, config.memory_ports)],
            **{name: whole if case[name] is None else (first + case[name][0], case[name][1]) for name in ("read", "write")},
            "scrub": case["scrub"]})
        memory[at: at + len(text)] = text
        place += len(text) if at == place else 0
    if place > PROGRAMS.stop:
        raise ValueError(f"{len(batch['cases'])} cases: their programs take more than {len(PROGRAMS):,} bytes; give fewer")
    return runs, memory


def _moved(instruction, base):
    """An instruction whose addresses count from `base` on."""
    return {name: value - base & 0xFFFF_FFFF if name in ("address", "indices") else value
            for name, value in instruction.items() if name != "times"}


class _Judgement:
    """Follows a batch on the model, and compares what was seen."""

    def __init__(self, batch, config, data, memory, runs):
        self._batch, self._settings, self._config, self._runs = batch, batch["settings"], config, runs
        curves = [*self._settings["knots"], *([[0] * _KNOTS] * (config.prune_curves - CURVES))]
        self._model = ProgramModel(config, bytes(memory), curves=curves, target=self._settings["target"], watchdog=_WATCHDOG,
                                   port_bases=[data.port_base(port) for port in range(1, config.memory_ports)])
        self._tally = Tally()

    def of(self, seen, folder):
        """The Tally of what ``result.json`` and the log of writes say."""
        tally, writes = self._tally, _writes(folder / "memory.log", self._settings["base"])
        for number, (case, run, one) in enumerate(zip(self._batch["cases"], self._runs, seen["runs"], strict=False)):
            tally.counts["programs"] += 1
            tally.counts[f"{case['kind']} programs"] += 1
            following = seen["runs"][number + 1: number + 2]
            # After an error a burst that is open goes on until the reset.
            count = sum(time < following[0]["begun"] for time, *_ in writes) if following else len(writes)
            own, writes = writes[:count], writes[count:]
            reason = self._judge(number, run, one, [write[1:] for write in own])
            if not reason and not one["code"] and own and own[-1][0] > one["done"]:
                reason = f"main memory is written after the interrupt, at {own[-1][1]:#x}"
            if reason:
                tally.failures.append((number, reason))
            self._go_on(run, one)
        if len(seen["runs"]) < len(self._runs) and not tally.failures:
            tally.failures.append((len(seen["runs"]) - 1, "the programs behind this one did not run"))
        return tally

    def _go_on(self, run, one):
        if run["scrub"]:
            self._model.scrub()
        elif one["code"] or not one["ended"]:
            self._model.lose()

    def _judge(self, number, run, one, writes):
        """What is wrong with one run, or None; `writes` are (place, bytes)."""
        model, counts, settings = self._model, self._tally.counts, self._settings
        around = Surroundings(
            base=run["base"], port_bases=tuple(run["port_bases"]), first=settings["base"], count=1 << MEMORY_BITS,
            **{name: (run[name][0], run[name][0] + run[name][1] - 1) for name in ("read", "write")},
            latency=settings["latency"], share=1 - settings["stall"] / 256)
        before = bytes(model.memory)
        try:
            expected = model.run(run["address"], run["length"], around, interleave=number % _INTERLEAVED == 0)
        except UnclearError:
            expected = None
            model.lose()
        wanted, actual = model.memory, bytearray(before)
        for place, raw in writes:
            actual[place: place + len(raw)] = raw
        ending = Ending(ErrorCode(one["code"]), one["engine"], one["instruction"]) if one["code"] else Ending(ErrorCode.NONE)
        reason = self._compare(expected, ending, one, wanted, actual, writes) if expected else None
        model.memory[:] = actual
        if not one["ended"]:
            counts["hangs"] += 1
            return f"no end within {_LIMIT} cycles"
        counts[f"ended {ending.code.name}"] += 1
        if "reset" in one:
            counts["hangs"] += 1
            return one["reset"]
        counts["unclear programs" if expected is None else "judged exactly" if len(expected.endings) == 1 else
               "judged by a set"] += 1
        return reason

    def _compare(self, expected, ending, one, wanted, actual, writes):
        counts = self._tally.counts
        if ending not in expected.endings:
            return f"{ending}, and not {' or '.join(map(str, sorted(expected.endings)))}"
        if one["status"] != (_FAILED if one["code"] else _WELL):
            return f"STATUS reads {one['status']:#x} after {ending}"
        stray = next((place for place, raw in writes if not any(
            first <= place and place + len(raw) <= end for first, end in expected.writes)), None)
        if stray is not None:
            return f"byte {stray:#x} is written, where no STORE leads"
        if one["code"]:
            return None
        for first, end in expected.unknown:
            wanted[first:end] = actual[first:end]
        counts["bytes compared"] += len(actual)
        counts["bytes written"] += sum(len(raw) for _, raw in writes)
        counts["well and determined" if expected.determined else "well, with unknown values"] += 1
        if wanted != actual:
            place = next(n for n, (a, b) in enumerate(zip(wanted, actual, strict=True)) if a != b)
            return f"byte {place:#x} of main memory is {actual[place]:#04x}, and not {wanted[place]:#04x}"
        return None


def _writes(path, base):
    """(time, place in main memory, bytes) of every beat that was written there, in order."""
    found = []
    for line in path.read_text().splitlines():
        time, address, strobe, word = line.split()
        raw, enabled, place = bytes.fromhex(word)[::-1], int(strobe, 16), int(address) - base
        if enabled and 0 <= place < 1 << MEMORY_BITS:
            assert enabled == (1 << len(raw)) - 1
            found.append((int(time), place, raw))
    return found
